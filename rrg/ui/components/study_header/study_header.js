const find = (selector) => element.querySelector(selector);
const details = find("details");

function make(tag, text) {
  const node = document.createElement(tag);
  node.textContent = text;
  return node;
}

function show() {
  const study = props.value || null; // Gradio converts None to an empty string
  find(".none").hidden = Boolean(study);
  details.hidden = !study;
  details.open = false;
  find(".title").textContent = study?.title ?? "";
  const rows = new Map(study?.rows ?? []);
  find(".short").textContent = rows.get("Indication") ?? study?.summary ?? "";
  find("dl").replaceChildren(...[...rows].flatMap(([name, text]) => [make("dt", name), make("dd", text)]));
  window.dispatchEvent(new CustomEvent("rrg:study", { detail: study }));
}

details.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && details.open) { details.open = false; event.stopPropagation(); }
});
document.addEventListener("pointerdown", (event) => { if (!details.contains(event.target)) details.open = false; });
watch("value", show);
show();
