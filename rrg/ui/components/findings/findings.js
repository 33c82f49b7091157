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

function percent(share) {
  return share > 0 && share < 0.1 ? (share * 100).toFixed(1) + " %" : Math.round(share * 100) + " %";
}

function probabilityCell(row) {
  const cell = make("td", "classifier");
  if (row.probability === null) {
    cell.append(make("span", "percent", "–"));
    return cell;
  }
  const bar = make("span", "bar");
  const fill = make("span", "fill");
  fill.style.width = row.probability * 100 + "%";
  bar.append(fill);
  const verdict = make("span", "verdict");
  if (row.threshold !== null) {
    const tick = make("span", "tick");
    tick.style.left = row.threshold * 100 + "%";
    bar.append(tick);
    bar.title = `Counts as present from ${percent(row.threshold)}`;
    bar.setAttribute("role", "img");
    bar.setAttribute("aria-label", bar.title);
    verdict.textContent = row.in_image ? "present" : "absent";
    verdict.classList.toggle("in-image", row.in_image);
  }
  cell.append(bar, make("span", "percent", percent(row.probability)), " ", verdict);
  return cell;
}

const REFERENCE_FLAGS = ["missed", "added"];

function summary(table) {
  const count = (flags) => table.rows.filter((row) => row.flags.some((flag) => flags.includes(flag))).length;
  const parts = [];
  if (!table.has_classifier) parts.push("This model has no classifier");
  else {
    const differing = count(["text only", "image only"]);
    parts.push(differing === 0 ? "Text and image agree" : `${differing} ${differing === 1 ? "differs" : "differ"} between text and image`);
  }
  if (table.has_reference) {
    const differing = count(REFERENCE_FLAGS);
    parts.push(differing === 0 ? "text and reference agree" : `${differing} ${differing === 1 ? "differs" : "differ"} from the reference`);
  }
  return parts.join(" · ");
}

function show() {
  const table = props.value || null; // Gradio converts None to an empty string
  find(".findings").hidden = !table;
  element.classList.toggle("has-reference", Boolean(table?.has_reference));
  body.replaceChildren();
  find(".conflicts").replaceChildren(...(table?.conflicts ?? []).map((message) => make("li", "", message)));
  if (!table) return;
  find(".summary").textContent = summary(table);
  find(".points").textContent = table.has_classifier ? table.points : "";
  table.rows.forEach((row, at) => {
    const line = make("tr", row.flags.length ? "disagrees" : "");
    line.dataset.index = row.index;
    line.dataset.status = row.status;
    line.tabIndex = at === 0 ? 0 : -1;
    const name = make("th", "name", row.name);
    name.scope = "row";
    row.flags.forEach((flag) => name.append(" ", make("span", REFERENCE_FLAGS.includes(flag) ? "flag against-reference" : "flag", flag)));
    const label = make("td", "mention");
    label.append(make("span", "status", row.label));
    line.append(name, label, make("td", "reference", row.reference), probabilityCell(row));
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
