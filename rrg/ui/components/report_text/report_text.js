const find = (selector) => element.querySelector(selector);
const lines = find(".lines");
const LOOKED = 0.5, LOOKED_MOST = 0.8; // shares of the maximum of a word's map from which the word looked at a place
const channel = props.channel ?? "read";
const send = (name, detail) => window.dispatchEvent(new CustomEvent(name, { detail: { ...detail, channel } }));
const listen = (name, handle) => window.addEventListener(name, (event) => { if (event.detail.channel === channel) handle(event.detail); });
const point = (detail) => send("rrg:point", detail ?? { kind: null });

function part(className, text, kind, index, label) {
  const node = document.createElement("span");
  node.className = className;
  node.textContent = text;
  node.setAttribute("role", "button");
  node.setAttribute("aria-pressed", "false");
  if (label) node.setAttribute("aria-label", label);
  node.tabIndex = -1;
  node.dataset.kind = kind;
  node.dataset.index = index;
  return node;
}

function supportOf(line) {
  if (line.support === null || line.support === undefined) return null;
  const node = document.createElement("span");
  node.className = "support";
  node.textContent = `${Math.round(line.support * 100)} %`;
  node.title = `${Math.round(line.support * 100)} % of the candidates say the same`;
  if (line.probability !== null && line.probability !== undefined) {
    node.title += `; ${Math.round(line.probability * 100)} % of such sentences agreed with the radiologist on val`;
  }
  return node;
}

// Which text is shown: the edited one as soon as it has maps, unless the reader chose the other for this report.
let which = "generated", chosen = null, shownReport = null;
const edited = () => (props.value && props.edited?.lines ? props.edited : null);

function show() {
  const report = props.value || null; // Gradio converts None to an empty string
  const partial = report ? "" : props.partial || "";
  find(".empty").hidden = Boolean(report || partial);
  find(".partial").hidden = !partial;
  find(".partial").textContent = partial;
  find(".copy").hidden = find(".blank").hidden = !report;
  showBadges();
  find(".copy").textContent = "Copy";
  find(".facts").textContent = report?.facts ?? "";
  if (shownReport !== report?.report_id) chosen = null; // Gradio may send the same report again
  shownReport = report?.report_id;
  showText();
  window.dispatchEvent(new CustomEvent("rrg:report", { detail: report && { ...report, channel } }));
}

function showText() {
  const report = props.value || null;
  which = edited() ? chosen ?? "edited" : "generated";
  const generated = which === "generated";
  find(".which").hidden = !edited();
  element.querySelectorAll(".which button").forEach((button) => button.setAttribute("aria-pressed", button.dataset.which === which));
  find(".shade").hidden = !generated || !report?.lines.some((line) => supportOf(line));
  lines.setAttribute("aria-label", `${generated ? "Generated report" : "Edited text"}. Arrow keys move between words and sentences, Enter keeps a map.`);
  lines.replaceChildren(...(generated ? generatedRows(report) : editedRows(edited())));
  const unknown = lines.querySelector(".unknown");
  find(".edited-note").hidden = generated;
  find(".edited-note").textContent = `These maps belong to your edited text, as if the model had written it.${unknown ? " The dotted words have no map: it does not know them, or the text is too long for it." : ""}`;
  const first = lines.querySelector("[data-kind]");
  if (first) first.tabIndex = 0;
}

// A sentence with its number and its words; `text` is the whole text, `prefix` that of the kinds of its parts.
function row(text, words, sentence, prefix) {
  const node = document.createElement("div"), body = document.createElement("div");
  node.className = "line";
  body.className = "words";
  node.append(part("number", sentence + 1, `${prefix}sentence`, sentence, `Sentence ${sentence + 1}`), body);
  words.forEach(({ index, start, end }, i) => {
    // The spacing of the text: a full stop follows its word without a blank.
    if (i) body.append(text.slice(words[i - 1].end, start));
    body.append(part("word", text.slice(start, end), `${prefix}word`, index));
  });
  return node;
}

function generatedRows(report) {
  return (report?.lines ?? []).map(({ words, ...line }, sentence) => {
    const node = row(report.text, words, sentence, "");
    node.style.setProperty("--support", line.support ?? 1);
    node.querySelectorAll(".word").forEach((word, i) => {
      word.title = `${Math.round(words[i].probability * 100)} % sure of this word`;
      word.dataset.start = words[i].start;
      word.dataset.end = words[i].end;
    });
    const support = supportOf(line);
    if (support) node.append(support);
    return node;
  });
}

function editedRows({ text, lines: sentences }) {
  return sentences.map((words, sentence) => {
    const places = words.map(({ index, span: [start, end] }) => ({ index, start, end }));
    const node = row(text, places, sentence, "edited-");
    node.querySelectorAll(".word").forEach((word, i) => word.classList.toggle("unknown", !words[i].known));
    return node;
  });
}

const target = (event) => event.target.closest("[data-kind]");
const detail = (node) => ({ kind: node.dataset.kind, index: Number(node.dataset.index) });

lines.addEventListener("pointerover", (event) => { const node = target(event); if (node) point(detail(node)); });
lines.addEventListener("pointerleave", () => point(null));
lines.addEventListener("focusin", (event) => {
  const node = target(event);
  if (!node) return;
  lines.querySelectorAll('[tabindex="0"]').forEach((other) => { other.tabIndex = -1; });
  node.tabIndex = 0;
  point(detail(node));
});
lines.addEventListener("focusout", () => point(null));
lines.addEventListener("click", (event) => {
  const node = target(event);
  if (node) send("rrg:pin", detail(node));
});
lines.addEventListener("keydown", (event) => {
  const node = target(event);
  if (!node) return;
  const all = [...lines.querySelectorAll("[data-kind]")], at = all.indexOf(node);
  const numbers = all.filter((other) => other.dataset.kind.endsWith("sentence"));
  const line = numbers.indexOf(node.closest(".line").querySelector(".number"));
  const goal = {
    ArrowRight: all[at + 1], ArrowLeft: all[at - 1],
    ArrowDown: numbers[line + 1], ArrowUp: node.dataset.kind.endsWith("word") ? numbers[line] : numbers[line - 1],
    Home: all[0], End: all[all.length - 1],
  };
  if (event.key in goal) {
    event.preventDefault();
    goal[event.key]?.focus();
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    node.click();
  }
});

listen("rrg:shown", ({ kind, index, spans, pinned }) => {
  lines.querySelectorAll("[data-kind]").forEach((node) => {
    const own = node.dataset.kind === kind && Number(node.dataset.index) === index;
    const mentioned = (spans ?? []).some(([start, end]) => Number(node.dataset.start) < end && Number(node.dataset.end) > start);
    node.classList.toggle("shown", own);
    node.classList.toggle("mentioned", mentioned);
    node.setAttribute("aria-pressed", own && pinned);
    if (node.dataset.kind.endsWith("sentence")) node.closest(".line").classList.toggle("shown", own);
  });
});
// The words that looked at a place light up, the stronger the closer the value there is to the maximum of their map.
listen("rrg:place", (place) => {
  const words = which === "edited" ? place.edited : place.words;
  const values = new Map(words.map(({ index, value }) => [index, value]));
  lines.querySelectorAll(".word").forEach((node) => {
    const value = values.get(Number(node.dataset.index)) ?? 0;
    node.classList.toggle("looked", value >= LOOKED);
    node.classList.toggle("looked-most", value >= LOOKED_MOST);
    node.style.setProperty("--looked", value >= LOOKED ? `${Math.round(value * 100)}%` : null);
  });
});
find(".copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(props.value.text);
  find(".copy").textContent = "Copied";
});
find(".shade").addEventListener("click", (event) => {
  const shaded = element.classList.toggle("shaded");
  event.currentTarget.setAttribute("aria-pressed", shaded);
});
function showBadges() {
  const texts = props.value ? [...(props.badges ?? []), props.blank].filter(Boolean) : [];
  find(".badges").replaceChildren(...texts.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    item.classList.toggle("quiet", text === props.blank && !props.blank_same);
    return item;
  }));
}
find(".blank").addEventListener("click", () => trigger("blank", { report_id: props.value.report_id }));
watch(["badges", "blank"], showBadges);
find(".which").addEventListener("click", (event) => {
  chosen = event.target.dataset.which ?? chosen;
  showText();
});
watch("edited", showText);
watch(["value", "partial"], show);
show();
