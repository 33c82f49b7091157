// A draft is in the tab's session storage until it is saved: it survives a reload and a change of study, and is deleted
// when the tab closes (the browser asks for confirmation). It is a draft only while it differs from the saved text.
const find = (selector) => element.querySelector(selector);
const area = find("textarea"), state = find(".state");
const PREFIX = "rrg:draft:", TAB = crypto.randomUUID?.() ?? String(Math.random());
const channel = new BroadcastChannel("rrg-drafts");
const EDITED_PAUSE = 600; // milliseconds after the last key before the text is compared with the reference
let timer = null;
let saving = false, next = false, elsewhere = false, unreachable = false;

const value = () => props.value || null; // Gradio converts None to an empty string
const key = (report) => `${PREFIX}${encodeURIComponent(report.study_id)}:${report.model}`;
const draft = (report) => sessionStorage.getItem(key(report));
const changed = () => value() !== null && area.value !== value().text;

function tell(text, tone) {
  state.textContent = text;
  state.dataset.tone = tone;
  state.setAttribute("role", tone === "bad" ? "alert" : "status");
}

function describe() {
  const report = value();
  if (!report) return;
  const { saved } = report;
  find(".revert").hidden = !changed();
  for (const button of element.querySelectorAll(".save, .next")) button.disabled = saving;
  if (saving) tell("Saving", "busy");
  else if (props.failure) tell(`NOT saved. ${props.failure}`, "bad");
  else if (elsewhere && changed()) tell("Not saved yet. Another tab of this browser edits the same report: save in one of them only.", "warning");
  else if (elsewhere) tell("Another tab of this browser edits this report.", "warning");
  else if (changed()) tell(unreachable ? "Not saved: the server cannot be reached. The draft is kept in this tab." : "Not saved yet. The draft is kept in this tab.", "warning");
  else if (saved) tell(`Saved ${saved.at} by ${saved.reader}.${saved.named ? "" : " Enter your name or code as reader to find it again."}`, "good");
  else tell("", "quiet");
  state.title = saved ? `Correction ${saved.id}` : "";
}

function keep() {
  const report = value();
  if (!report) return;
  if (changed()) sessionStorage.setItem(key(report), area.value);
  else sessionStorage.removeItem(key(report));
  window.dispatchEvent(new CustomEvent("rrg:drafts"));
  describe();
}

let shown = null;
function show() {
  const report = value(), kept = report && draft(report);
  find(".editor").hidden = !report;
  saving = false;
  window.dispatchEvent(new CustomEvent("rrg:saved", { detail: report?.saved?.id ?? null }));
  if (!report) { shown = null; return; }
  area.value = kept ?? report.text; // what was typed while a save was under way is in the draft
  if (shown === null || key(shown) !== key(report)) elsewhere = false;
  shown = report;
  keep();
  const goOn = next && report.saved && !changed();
  next = false;
  if (goOn) window.dispatchEvent(new CustomEvent("rrg:step", { detail: 1 }));
}

function save(andNext) {
  const report = value();
  if (!report || saving) return;
  saving = true;
  next = andNext;
  props.failure = null;
  describe();
  trigger("save", { report_id: report.report_id, text: area.value, query: window.rrg.query() });
}

area.addEventListener("input", () => {
  props.failure = null;
  keep();
  if (!value()) return;
  channel.postMessage({ key: key(value()), tab: TAB });
  clearTimeout(timer);
  timer = setTimeout(() => { if (value()) trigger("edited", { report_id: value().report_id, text: area.value, saved: Boolean(value().saved) }); }, EDITED_PAUSE);
});
channel.onmessage = (event) => {
  if (value() && event.data.key === key(value()) && event.data.tab !== TAB) { elsewhere = true; describe(); }
};
find(".save").addEventListener("click", () => save(false));
find(".next").addEventListener("click", () => save(true));
find(".revert").addEventListener("click", () => { area.value = value().text; props.failure = null; keep(); area.focus(); });
window.addEventListener("rrg:save", (event) => save(event.detail.next));
window.addEventListener("rrg:edit", () => { area.focus(); });
window.addEventListener("rrg:connection", (event) => { unreachable = !event.detail; if (unreachable && saving) { saving = false; props.failure = "The server cannot be reached. Keep this tab open and save again."; } describe(); });
window.addEventListener("beforeunload", (event) => {
  if (Object.keys(sessionStorage).some((name) => name.startsWith(PREFIX))) event.preventDefault();
});
watch("value", show);
watch("failure", () => { saving = next = false; describe(); });
show();
