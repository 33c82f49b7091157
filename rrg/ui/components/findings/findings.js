const find = (selector) => element.querySelector(selector);
const body = find("tbody");
const channel = props.channel ?? "read";
const send = (name, detail) => window.dispatchEvent(new CustomEvent(name, { detail: { ...detail, channel } }));
const listen = (name, handle) => window.addEventListener(name, (event) => { if (event.detail.channel === channel) handle(event.detail); });

function make(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text ?? "";
  return node;
}

function probabilityCell(row) {
  const cell = make("td", "classifier");
  if (row.probability === null) {
    cell.append(make("span", "percent", "–"));
    return cell;
  }
  const percent = Math.round(row.probability * 100);
  const bar = make("span", "bar");
  const fill = make("span", "fill");
  fill.style.width = percent + "%";
  bar.append(fill);
  cell.append(bar, make("span", "percent", percent + " %"));
  return cell;
}

function show() {
  const table = props.value || null; // Gradio converts None to an empty string
  find(".findings").hidden = !table;
  element.classList.toggle("has-reference", Boolean(table?.has_reference));
  body.replaceChildren();
  if (!table) return;
  const disagreeing = table.rows.filter((row) => row.disagreement).length;
  find(".summary").textContent = table.rows.every((row) => row.probability === null)
    ? "This model has no classifier"
    : disagreeing === 0 ? "Text and image agree" : `${disagreeing} disagree`;
  table.rows.forEach((row, at) => {
    const line = make("tr", row.disagreement ? "disagrees" : "");
    line.dataset.index = row.index;
    line.dataset.status = row.status;
    line.tabIndex = at === 0 ? 0 : -1;
    const name = make("th", "name", row.name);
    name.scope = "row";
    const label = make("td", "mention");
    label.append(make("span", "status", row.label));
    const classifier = probabilityCell(row);
    if (row.disagreement) classifier.append(make("span", "flag", row.disagreement));
    line.append(name, label, make("td", "reference", row.reference), classifier);
    body.append(line);
  });
}

const target = (event) => event.target.closest("tr");
const finding = (index) => ({ kind: "finding", index, spans: props.value.rows[index].spans });
const detail = (row) => finding(Number(row.dataset.index));
body.addEventListener("pointerover", (event) => { const row = target(event); if (row) send("rrg:point", detail(row)); });
body.addEventListener("pointerleave", () => send("rrg:point", { kind: null }));
body.addEventListener("focusin", (event) => {
  const row = target(event);
  if (!row) return;
  body.querySelectorAll('[tabindex="0"]').forEach((other) => { other.tabIndex = -1; });
  row.tabIndex = 0;
  send("rrg:point", detail(row));
});
body.addEventListener("focusout", () => send("rrg:point", { kind: null }));
body.addEventListener("click", (event) => { const row = target(event); if (row) send("rrg:pin", detail(row)); });
body.addEventListener("keydown", (event) => {
  const row = target(event);
  const goal = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling };
  if (event.key in goal) {
    event.preventDefault();
    goal[event.key]?.focus();
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    send("rrg:pin", detail(row));
  }
});
listen("rrg:choose-finding", ({ index }) => send("rrg:pin", finding(index)));
listen("rrg:shown", ({ kind, index, pinned }) => {
  body.querySelectorAll("tr").forEach((row) => {
    const own = kind === "finding" && Number(row.dataset.index) === index;
    row.classList.toggle("shown", own);
    row.classList.toggle("pinned", own && pinned);
  });
});
watch("value", show);
show();
