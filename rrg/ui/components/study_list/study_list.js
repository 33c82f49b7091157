const find = (selector) => element.querySelector(selector);
const search = find(".search"), filter = find(".filter"), list = find(".rows");
const DRAFT = "rrg:draft:", UPLOADS = "rrg:uploads";
const SEARCH_PAUSE = 250; // milliseconds after the last key before the search is sent
let open = null, timer = null;

const drafts = () => Object.keys(sessionStorage)
  .filter((name) => name.startsWith(DRAFT))
  .map((name) => decodeURIComponent(name.slice(DRAFT.length).split(":")[0]));
const worklist = () => new URLSearchParams(window.location.search).get("worklist");
const query = () => ({ text: search.value, filter: filter.value, drafts: drafts(), worklist: worklist() });
const uploads = () => JSON.parse(sessionStorage.getItem(UPLOADS) ?? "[]");

function make(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text ?? "";
  return node;
}

function entry(row) {
  const node = make("div", "row");
  node.dataset.id = row.id;
  node.setAttribute("role", "listitem");
  const state = row.corrected ? "corrected" : row.draft ? "draft" : row.written ? "written" : "unread";
  const mark = make("span", "mark");
  mark.dataset.state = state;
  mark.title = { corrected: "Corrected by you", draft: "Draft, not saved", written: "Has a report", unread: "Unread" }[state];
  const text = make("span", "text");
  text.append(make("span", "title", row.title), make("span", "detail", row.detail));
  const button = make("button", "open");
  button.type = "button";
  button.tabIndex = -1; // the list itself has the focus, and arrow keys go through it
  button.append(mark, text, make("span", "hidden-text", mark.title));
  node.append(button);
  if (row.id.startsWith("upload-")) return node;
  const flag = make("button", "flag", "⚑");
  flag.type = "button";
  flag.tabIndex = -1;
  flag.setAttribute("aria-pressed", row.flagged);
  flag.setAttribute("aria-label", row.flagged ? "Remove the flag" : "Flag to come back to");
  flag.title = flag.getAttribute("aria-label") + " (B)";
  node.append(flag);
  return node;
}

function show() {
  if (props.value && (props.value.text !== search.value || props.value.filter !== filter.value)) return; // of an earlier query
  const { rows = [], matching = 0, corrected = 0, total = 0 } = props.value || {};
  const drafted = new Set(drafts());
  const own = filter.value === "all" && !search.value && !worklist() ? uploads() : [];
  find(".worklist").hidden = !worklist();
  find(".worklist-name").textContent = `Worklist ${worklist() ?? ""}`;
  const shown = [...own.map((row) => ({ ...row, draft: drafted.has(row.id) })), ...rows.map((row) => ({ ...row, draft: drafted.has(row.id) }))];
  list.replaceChildren(...shown.map(entry));
  if (matching > rows.length) list.append(make("p", "more", `${(matching - rows.length).toLocaleString("en")} more. Search to narrow the list.`));
  find(".progress").textContent = `${corrected.toLocaleString("en")} of ${total.toLocaleString("en")} ${worklist() ? "done" : "corrected"}`
    + (matching === total ? "" : ` · ${matching.toLocaleString("en")} match`);
  find(".nothing").hidden = shown.length > 0;
  find(".nothing").textContent = search.value
    ? `No study matches “${search.value}”. Change the search or the filter.`
    : "No study has this mark.";
  reveal();
}

function reveal() {
  for (const row of list.querySelectorAll(".row")) row.classList.toggle("current", row.dataset.id === open);
  for (const button of list.querySelectorAll(".open")) button.setAttribute("aria-current", button.parentElement.dataset.id === open);
  const current = list.querySelector(".current");
  if (!current) return;
  // Not scrollIntoView: it would scroll the page as well.
  const top = current.offsetTop - list.offsetTop;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + current.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + current.offsetHeight - list.clientHeight;
}

function rememberUpload(study) {
  const known = uploads().filter((row) => row.id !== study.study_id);
  const row = { id: study.study_id, title: "Upload", detail: study.summary ?? "", written: false, corrected: false, flagged: false };
  sessionStorage.setItem(UPLOADS, JSON.stringify([row, ...known].slice(0, 20)));
}

const ask = () => trigger("query", { query: query() });
search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, SEARCH_PAUSE); });
search.addEventListener("keydown", (event) => { if (event.key === "Enter") { clearTimeout(timer); ask(); list.focus(); } });
filter.addEventListener("change", ask);
const flagged = (row) => trigger("mark", {
  study_id: row.dataset.id, flagged: row.querySelector(".flag").getAttribute("aria-pressed") !== "true", query: query(),
});
list.addEventListener("click", (event) => {
  const row = event.target.closest(".row");
  if (!row) return;
  if (event.target.closest(".flag")) flagged(row);
  else trigger("open", { study_id: row.dataset.id, query: query() });
});
list.addEventListener("keydown", (event) => {
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  if (!(event.key in steps)) return;
  event.preventDefault();
  window.dispatchEvent(new CustomEvent("rrg:step", { detail: steps[event.key] }));
});

window.addEventListener("rrg:study", (event) => {
  open = event.detail?.study_id ?? null;
  if (open?.startsWith("upload-")) { rememberUpload(event.detail); show(); }
  else reveal();
});
window.addEventListener("rrg:step", (event) => trigger("step", { step: event.detail, query: query() }));
window.addEventListener("rrg:skip", () => { if (worklist()) trigger("skip", { query: query() }); });
find(".leave").addEventListener("click", () => window.location.assign(window.location.pathname));
window.addEventListener("rrg:flag", () => {
  const row = list.querySelector(".current");
  if (row?.querySelector(".flag")) flagged(row);
});
window.addEventListener("rrg:refresh-list", ask);
window.addEventListener("rrg:drafts", show);
// The page asks for the query when "save and next" needs it.
window.rrg = Object.assign(window.rrg ?? {}, { query });
watch("value", show);
show();
