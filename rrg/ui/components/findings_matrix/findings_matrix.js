const find = (selector) => element.querySelector(selector);
const body = find("tbody");
const SIGNS = { present: "+", uncertain: "?", absent: "−", "not mentioned": "·" };
const KINDS = {
  missed: "missed against the reference", added: "not in the reference", contradicted: "contradicts the reference",
  uncertain: "other certainty than the reference",
};
const send = (name, column, detail) =>
  window.dispatchEvent(new CustomEvent(name, { detail: { ...detail, channel: `compare-${column}` } }));

function make(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text ?? "";
  return node;
}

function cellOf(status, kind) {
  const cell = make("td", "");
  if (!status) return cell;
  const words = [status, KINDS[kind]].filter(Boolean).join(", ");
  const sign = make("span", "sign", SIGNS[status]);
  sign.setAttribute("aria-hidden", "true");
  cell.dataset.status = status;
  if (kind) cell.dataset.kind = kind;
  cell.title = words;
  cell.append(sign, make("span", "unseen", words));
  return cell;
}

function head(text, className = "") {
  const node = make("th", className);
  node.scope = "col";
  node.append(make("span", text === "Finding" ? "" : "up", text));
  return node;
}

function show() {
  const table = props.value || null; // Gradio converts None to an empty string
  find("section").hidden = !table;
  body.replaceChildren();
  if (!table) return;
  const titles = [...table.titles, ...(table.has_reference ? ["Reference"] : [])];
  element.classList.toggle("short", titles.every((title) => title.length <= 2));
  find("thead tr").replaceChildren(head("Finding"), ...titles.map((title) => head(title)));
  const differing = table.rows.filter((row) => row.differs).length;
  const written = table.rows[0].cells.filter(Boolean).length;
  find(".summary").textContent = written < 2 ? "" : differing ? `the reports differ in ${differing}` : "the reports agree";
  find(".signs").textContent = `${Object.entries(SIGNS).map(([word, sign]) => `${sign} ${word}`).join(", ")}.`
    + (table.has_reference ? " Red is missed or contradicts the reference, yellow is added or of other certainty." : "")
    + " ≠ marks findings in which the reports differ.";
  table.rows.forEach((row, at) => {
    const line = make("tr", row.differs ? "differs" : "");
    line.dataset.index = row.index;
    line.tabIndex = at === 0 ? 0 : -1;
    const name = make("th", "", row.name);
    name.scope = "row";
    line.append(name, ...row.cells.map((cell) => cellOf(cell?.status, cell?.kind)));
    if (table.has_reference) {
      const cell = cellOf(row.reference);
      cell.classList.add("reference");
      line.append(cell);
    }
    body.append(line);
  });
}

const rowOf = (event) => event.target.closest("tr");
const each = (name, detail) => (props.value?.titles ?? []).forEach((_, column) => send(name, column, detail(column)));
const finding = (row) => (column) => {
  const index = Number(row.dataset.index);
  const cell = props.value.rows[index].cells[column];
  return cell ? { kind: "finding", index, spans: cell.spans } : { kind: null, index: null };
};
const nothing = () => ({ kind: null, index: null });
const point = (row) => each("rrg:point", finding(row));
function pin(row) {
  const kept = row.classList.contains("pinned");
  each("rrg:pin", nothing);
  if (!kept) each("rrg:pin", finding(row));
}
body.addEventListener("pointerover", (event) => { if (rowOf(event)) point(rowOf(event)); });
body.addEventListener("pointerleave", () => each("rrg:point", nothing));
body.addEventListener("focusin", (event) => {
  const row = rowOf(event);
  if (!row) return;
  body.querySelectorAll('[tabindex="0"]').forEach((other) => { other.tabIndex = -1; });
  row.tabIndex = 0;
  point(row);
});
body.addEventListener("focusout", () => each("rrg:point", nothing));
body.addEventListener("click", (event) => { if (rowOf(event)) pin(rowOf(event)); });
body.addEventListener("keydown", (event) => {
  const row = rowOf(event);
  const goal = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling };
  if (event.key in goal) {
    event.preventDefault();
    goal[event.key]?.focus();
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    pin(row);
  }
});
// What each column shows; a row is marked while any of them shows its map.
const shown = new Map();
window.addEventListener("rrg:shown", (event) => {
  if (!event.detail?.channel?.startsWith("compare-")) return;
  shown.set(event.detail.channel, event.detail);
  const of = (pinned) => new Set([...shown.values()].filter((state) => state.kind === "finding" && (!pinned || state.pinned)).map((state) => state.index));
  const pointed = of(false), kept = of(true);
  body.querySelectorAll("tr").forEach((row) => {
    row.classList.toggle("shown", pointed.has(Number(row.dataset.index)));
    row.classList.toggle("pinned", kept.has(Number(row.dataset.index)));
  });
});
watch("value", show);
show();
