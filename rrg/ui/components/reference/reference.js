const KEY = "rrg:hide-reference";
const find = (selector) => element.querySelector(selector);
const box = find(".until-corrected"), field = find("textarea"), compare = find(".compare");

function make(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text ?? "";
  return node;
}

// A browser may forbid the storage; the choice then lasts until the page is left.
function remembered() {
  try { return localStorage.getItem(KEY) === "yes"; } catch { return false; }
}
function remember(hide) {
  try { localStorage.setItem(KEY, hide ? "yes" : "no"); } catch { /* not kept */ }
}

function sentence(parts) {
  const cell = make("td", "");
  if (parts.length === 0) cell.append(make("span", "missing", "nothing like it"));
  parts.forEach((part) => {
    const words = part.text.trimEnd();
    cell.append(part.differs ? make("mark", "", words) : words, part.text.slice(words.length));
  });
  return cell;
}

function show() {
  const value = props.value || null; // Gradio converts None to an empty string
  const hidden = Boolean(value?.reference && box.checked && !value.corrected);
  find(".panel").hidden = !value;
  find(".hide").hidden = !value?.reference;
  find(".hidden-note").hidden = !hidden;
  find(".paste").hidden = !value || value.reference;
  find(".comparison").hidden = !value?.reference || hidden;
  find(".summary").textContent = hidden ? "" : value?.summary ?? "";
  const body = find("tbody"), scores = find(".scores");
  body.replaceChildren();
  scores.replaceChildren();
  if (!value || hidden) return; // a hidden reference is not in the page either
  value.rows.forEach((row) => {
    const line = make("tr", row.equal ? "equal" : "");
    line.append(sentence(row.report), sentence(row.reference));
    body.append(line);
    if (row.notes.length === 0) return;
    const notes = make("tr", "notes"), cell = make("td", "");
    cell.colSpan = 2;
    row.notes.forEach(({ kind, text }) => cell.append(make("span", `kind ${kind}`, text)));
    notes.append(cell);
    body.append(notes);
  });
  value.scores.forEach((score) => scores.append(
    make("dt", "", score.name), make("dd", "value", score.value), make("dd", "worth", score.worth)));
}

box.checked = remembered();
box.addEventListener("change", () => { remember(box.checked); show(); });
// The panel may be on the page several times: all follow a change of the choice.
box.addEventListener("change", () => window.dispatchEvent(new CustomEvent("rrg:hide-reference", { detail: box.checked })));
window.addEventListener("rrg:hide-reference", (event) => {
  if (box.checked === event.detail) return;
  box.checked = event.detail;
  show();
});
field.addEventListener("input", () => { compare.disabled = !field.value.trim(); });
compare.addEventListener("click", () => {
  trigger("paste", { text: field.value, report_id: props.value.report_id });
  field.value = "";
  compare.disabled = true;
});
watch("value", show);
show();
