// The editor of the correction: what it shows, and how its parts work together.
const find = (selector) => element.querySelector(selector);
const editor = find(".editor"), area = find("#correction-text"), notice = find(".state");
const { reader } = naming;
const THEN_NEXT = "rrg:then-next", TAB = crypto.randomUUID?.() ?? String(Math.random());
const windows = new BroadcastChannel("rrg-drafts");

let current = null; // the value of the server: the report with what its reader has saved
let state = null, base = null; // the correction, and as it was saved last or generated
let identity = null; // report and reader of the state
let mode = "report", isWhole = false, said = null, isElsewhere = false, isReachable = true;
let afterName = null, asked = null, pinned = null;

const value = () => current;
const report = () => value()?.report ?? null;
const identityOf = (v) => v && JSON.stringify([v.report_id, v.reader]);
const isDivided = () => state.whole === null || state.divided === state.whole;
const content = (of = state) => correction.content(of, report());
const isDirty = () => Boolean(state) && JSON.stringify(content()) !== JSON.stringify(content(base));
const send = (name, detail) => window.dispatchEvent(new CustomEvent(name, { detail }));

const time = clock.create();
const history = steps.create((chosen) => { state = chosen; changed(); });
const kept = drafts.create({
  now: () => ({ value: value(), state, content: correction.content(state, report(), isDivided()), isDirty: isDirty(), seconds: time.seconds() }),
  // While the name is typed, and while the correction is being saved.
  isHeld: (name) => document.activeElement?.closest("#reader") || reader() !== name || submitted.isPending(),
  send: (event) => trigger("draft", event), changed: describe,
});
const submitted = submission.create({ send: (event) => trigger("save", event), changed: describe });
const own = restoring.create({ tab: TAB, reader, report_id: () => value().report_id, send: (event) => trigger("restore", event), late: () => readerChanged() });
const list = rows.create(find(".rows"), {
  state: () => state, report, expand: (event) => phrases.expand(event, reader()),
  change: (sentences, label) => step({ ...state, rows: sentences, whole: null }, label),
  point: (source) => send("rrg:point", { kind: source === null ? null : "sentence", index: source, channel: "read" }),
});
const boxed = boxes.create(find(".boxes"), {
  state: () => state, findings: props.findings, change: (chosen) => step({ ...state, boxes: chosen }),
});
const answers = form.attach(find(".form"), { state: () => state, report, change: (changes, label) => step({ ...state, ...changes }, label) });
const openPhrases = phrases.attach(find(".phrases"), reader);
const nameForm = naming.attach(find(".name"));
const compared = checks.create(find(".checks"), {
  ask: () => state && trigger("edited", {
    report_id: value().report_id, text: correction.text(state, report()), saved: Boolean(value().saved), boxes: state.boxes, divide: !isDivided(),
  }),
});

// Showing -------------------------------------------------------------------------------------------------------------

function step(next, label) {
  state = next;
  history.take(state, label);
  changed();
}

function changed() {
  said = asked = props.failure = null;
  kept.take();
  windows.postMessage({ identity, tab: TAB });
  compared.ask();
  show();
}

function show() {
  editor.hidden = !state;
  if (!state) return;
  list.show();
  boxed.show();
  answers.show();
  const text = correction.text(state, report());
  if (area.value !== text) area.value = text;
  find(".rows").hidden = isWhole;
  area.hidden = !isWhole;
  find(".whole").setAttribute("aria-pressed", isWhole);
  find(".undo").disabled = !history.can().undo;
  find(".redo").disabled = !history.can().redo;
  const answer = props.checks || null;
  compared.show(answer, answer?.report_id === value().report_id && answer.text === text, correction.isChanged(state, report()));
  describe();
}

function setMode(next) {
  mode = next;
  element.dataset.mode = mode;
  const column = document.querySelector("#column");
  if (column) column.dataset.mode = mode;
}

function describe() {
  if (!state) return;
  const draft = kept.status(), dirty = isDirty();
  find(".revert").hidden = !dirty;
  for (const part of element.querySelectorAll(".accept, .then-next")) part.hidden = !correction.isRight(state, report());
  for (const button of element.querySelectorAll(".save, .next, .accept")) button.disabled = submitted.isPending();
  find(".conflict").hidden = !draft.conflict;
  if (draft.conflict) find(".conflict-text").textContent = status.conflict(draft.conflict);
  const [text, tone] = status.line({
    value: value(), draft, failure: props.failure, said, isPending: submitted.isPending(), isLate: submitted.isLate(), isReachable, isDirty: dirty, isElsewhere,
  });
  notice.textContent = text;
  notice.dataset.tone = tone;
  notice.title = value().saved ? `Record ${value().saved.id}` : "";
  notice.setAttribute("role", tone === "bad" ? "alert" : "status");
}

// A value of the server ------------------------------------------------------------------------------------------------

function receive(next) {
  current = next;
  editor.inert = false;
  send("rrg:saved", next?.saved?.id ?? null);
  if (!next) {
    kept.flush();
    state = base = identity = null;
    time.stop();
    setMode("report");
    send("rrg:boxes", { boxes: [], channel: "read" });
    show();
    return;
  }
  if (next.saved && submitted.acknowledged(next.saved.key) && identity === identityOf(next)) saved(next);
  else if (identity !== identityOf(next) || next.stamp) open(next);
  else base = baseOf(next);
  show();
}

const baseOf = (next) => (next.saved ? correction.restored(next.saved.content, next.report) : correction.untouched(next.report));

function open(next) {
  const isNaming = identity === JSON.stringify([next.report_id, ""]); // the reader of the shown text has given a name
  const isOpen = mode === "correct" && identity !== null && JSON.parse(identity)[0] === next.report_id;
  identity = identityOf(next);
  base = baseOf(next);
  if (next.reader) kept.rename(next, next.reader);
  const stored = next.draft, local = kept.local(next, next.reader);
  const useLocal = local && (local.unsent || (!stored && !next.reader));
  if (isNaming && useLocal) {
    kept.open(0, stored, true, stored && { draft: stored });
    return;
  }
  state = useLocal ? ownState(local, next) : stored ? correction.restored(stored.content, next.report) : base;
  const other = useLocal && local.revision !== (stored?.revision ?? 0) ? { draft: stored } : null;
  history.begin(state);
  time.start((useLocal ? local.seconds : stored?.content.seconds) ?? next.saved?.content.seconds ?? 0);
  [said, asked, isElsewhere, props.failure] = [null, null, false, null];
  nameForm.cancel();
  kept.open(useLocal ? local.revision : stored?.revision ?? 0, stored, Boolean(useLocal), other);
  submitted.resume(next.report_id, next.reader);
  setMode(isDirty() || isOpen ? "correct" : "report");
  isWhole = isOpen ? isWhole : state.whole !== null && isDirty();
  if (isDirty() || correction.isChanged(state, next.report)) compared.ask();
}

// A record of this tab as a state; that of another report on the study is taken as a text.
function ownState(local, next) {
  if (local.report_id !== next.report_id) return { ...base, whole: local.text, divided: null };
  return { ...local.state, rows: local.state.rows.map(correction.again) };
}

function saved(next) {
  base = baseOf(next);
  if (!isDivided() && content().text === content(base).text) { // the server has divided it
    state = { ...state, rows: base.rows, divided: state.whole, verdict: base.verdict };
    history.amend(state);
  }
  kept.saved();
  if (!isDirty()) isElsewhere = false;
  if (submitted.goesOn() && !isDirty()) send("rrg:step", 1);
}

// The server has divided the text that was typed as a whole into edits of the report's sentences.
function checked() {
  const answer = props.checks || null;
  if (state && state.whole !== null && answer?.edits && answer.text === state.whole) {
    state = { ...correction.divided(state, answer.edits, report()), divided: state.whole };
    history.amend(state);
    kept.take();
  }
  show();
}

// Saving --------------------------------------------------------------------------------------------------------------

function withName(action) {
  if (reader() && reader() === value()?.reader) { action(); return; }
  afterName = action;
  if (reader()) { readerChanged(); return; } // the answer to it goes on
  nameForm.ask();
}

function submit(andNext) {
  const whose = identity;
  kept.settle(() => {
    if (identity !== whose || submitted.isPending()) return;
    props.failure = said = null;
    submitted.begin({
      report_id: value().report_id, ...correction.content(state, report(), isDivided()), seconds: time.seconds(),
      reader: value().reader, query: window.rrg.query(), next: Boolean(andNext),
    }, andNext);
    describe();
  });
}

function save(andNext) {
  if (!state || submitted.isPending()) return;
  withName(() => {
    if (!isDirty() && value().saved) {
      said = "Nothing has changed since it was saved.";
      describe();
      if (andNext) send("rrg:step", 1);
      return;
    }
    if (asked !== JSON.stringify(content()) && correction.edits(state, report()).some((e) => e.action === "edit" && !e.reason)) {
      setMode("correct");
      isWhole = false;
      show();
      const number = list.ask();
      asked = JSON.stringify(content());
      said = `Sentence ${number}: choose a reason (1 to 6), or save again without one.`;
      describe();
      return;
    }
    submit(andNext);
  });
}

function accept() {
  if (!state || submitted.isPending()) return;
  if (!correction.isRight(state, report())) {
    said = "The report has changes. Save them, or discard them to accept the report as it is.";
    describe();
    return;
  }
  withName(() => {
    const accepted = { ...state, verdict: null, whole: null };
    const andNext = find(".then-next input").checked;
    if (value().saved && JSON.stringify(content(accepted)) === JSON.stringify(content(base))) {
      said = "Accepted already.";
      describe();
      if (andNext) send("rrg:step", 1);
      return;
    }
    if (state.verdict !== null) step(accepted);
    submit(andNext);
  });
}

function revert() {
  step({ ...base });
  asked = null;
  history.amend(state);
}

// The reader ------------------------------------------------------------------------------------------------------------

function readerChanged() {
  const name = reader(), shown = value();
  if (!shown || name === shown.reader) return;
  if (shown.reader) { // another person: nothing of the one before stays on the page
    current = { ...shown, reader: null }; // nobody's, until the answer is there
    identity = null;
    state = base = correction.untouched(shown.report);
    history.begin(state);
    props.checks = null;
    leave();
    show();
    editor.inert = true;
  }
  own.ask();
}

// Whether an answer is that of the reader who is named now.
const isOfReader = (answer) => (answer.stamp ? own.accepts(answer.stamp) : value().reader !== null);

// Input -----------------------------------------------------------------------------------------------------------------

function enter(source = null) {
  if (!state) return;
  setMode("correct");
  show();
  if (isWhole) area.focus();
  else list.focusSource(source);
}

function leave() {
  setMode("report");
  if (element.contains(document.activeElement)) document.activeElement.blur();
  kept.flush();
}

document.addEventListener("keydown", (event) => {
  const isOwn = element.contains(event.target) || event.target === document.body;
  if (!isOwn || element.offsetParent === null || document.querySelector("dialog[open]")) return;
  const control = (event.ctrlKey || event.metaKey) && !event.altKey;
  if (event.key === "Escape" && !event.defaultPrevented && (mode === "correct" || nameForm.isAsking())) {
    event.preventDefault();
    event.stopPropagation(); // else the viewer releases its map too
    if (!nameForm.isAsking()) leave();
    else { nameForm.cancel(); afterName = null; }
  } else if (mode === "correct" && control && ["z", "y"].includes(event.key.toLowerCase()) && !event.target.closest(".name")) {
    event.preventDefault();
    if (event.key.toLowerCase() === "y" || event.shiftKey) history.redo();
    else history.undo();
  }
});
for (const text of [area, find(".comment textarea")]) text.addEventListener("keydown", (event) => phrases.expand(event, reader()));
area.addEventListener("input", () => step({ ...state, whole: area.value }, "whole"));
element.addEventListener("focusout", (event) => { if (!element.contains(event.relatedTarget)) kept.flush(); });
window.addEventListener("blur", () => kept.flush());
document.addEventListener("visibilitychange", () => { if (document.hidden) kept.flush(); });
window.addEventListener("beforeunload", (event) => {
  kept.flush();
  if (kept.anyUnsent() || submitted.isPending()) event.preventDefault();
});

const pressed = {
  undo: history.undo, redo: history.redo, leave, save: () => save(false), next: () => save(true), accept, revert, correct: () => enter(pinned),
  "open-phrases": openPhrases,
  whole: () => { isWhole = !isWhole; if (!isWhole && !isDivided()) compared.ask(0); show(); if (isWhole) area.focus(); else list.focusSource(null); },
  "use-theirs": () => {
    kept.forget(value(), value().reader);
    own.ask();
  },
  "keep-mine": () => { kept.keepMine(); describe(); },
};
element.addEventListener("click", (event) => {
  const name = [...(event.target.closest("button")?.classList ?? [])].find((part) => part in pressed);
  if (name && !event.target.closest(".rows, .boxes, dialog")) pressed[name]();
});
const thenNext = find(".then-next input");
try { thenNext.checked = localStorage.getItem(THEN_NEXT) === "yes"; } catch { /* not kept */ }
thenNext.addEventListener("change", () => { try { localStorage.setItem(THEN_NEXT, thenNext.checked ? "yes" : "no"); } catch { /* not kept */ } });

window.addEventListener("rrg:save", (event) => save(event.detail.next));
window.addEventListener("rrg:accept", accept);
window.addEventListener("rrg:edit", () => enter(pinned));
window.addEventListener("rrg:reader", readerChanged);
window.addEventListener("rrg:box", (event) => {
  if (!state || event.detail.channel !== "read") return;
  if (mode !== "correct") enter();
  boxed.add(event.detail);
});
window.addEventListener("rrg:box-remove", (event) => { if (state && event.detail.channel === "read") boxed.drop(event.detail.index); });
window.addEventListener("rrg:shown", ({ detail }) => {
  if (detail.channel !== "read") return;
  const source = detail.kind === "sentence" ? detail.index : null;
  pinned = detail.pinned ? source : null;
  if (state) list.mark(source);
});
window.addEventListener("rrg:connection", (event) => {
  isReachable = event.detail;
  if (isReachable) { submitted.retry(); kept.flush(); own.end(); readerChanged(); }
  describe();
});
windows.onmessage = (event) => {
  if (identity && event.data.identity === identity && event.data.tab !== TAB) { isElsewhere = true; describe(); }
};
watch("value", () => { own.end(); receive(props.value || null); }); // Gradio converts None to an empty string
// The answer to a save or to a change of reader. It may be of a report that is no longer shown.
watch("answer", () => {
  const answer = props.answer || null;
  if (!answer) return;
  if (answer.report_id !== current?.report_id || !isOfReader(answer)) { submitted.acknowledged(answer.saved?.key); return; }
  receive(answer);
  const action = afterName;
  if (!action || !answer.reader || answer.reader !== reader()) return;
  afterName = null;
  action();
});
watch("draft", () => kept.answer(props.draft || null));
watch("checks", checked);
watch("failure", () => {
  if (props.failure) submitted.failed(props.failure.key);
  describe();
});
setMode("report");
receive(props.value || null);
