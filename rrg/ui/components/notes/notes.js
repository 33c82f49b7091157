const list = element.querySelector(".list");

function make(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text ?? "";
  return node;
}

function remedyButton(note) {
  const button = make("button", "remedy", note.label);
  button.type = "button";
  if (note.view) button.setAttribute("aria-label", `${note.label} (${note.view})`);
  button.addEventListener("click", () => {
    list.querySelectorAll("button").forEach((other) => { other.disabled = true; }); // until the answer replaces them
    trigger("remedy", { remedy: note.remedy, image: note.image });
  });
  return button;
}

function show() {
  const notes = props.value || [];
  list.hidden = !notes.length;
  list.replaceChildren(...notes.map((note) => {
    const item = make("li", "note");
    item.dataset.severity = note.severity;
    const reason = make("span", "reason");
    reason.append(make("span", "view", note.view), make("span", "", note.reason));
    item.append(reason);
    if (note.remedy) item.append(remedyButton(note));
    return item;
  }));
}
watch("value", show);
show();
