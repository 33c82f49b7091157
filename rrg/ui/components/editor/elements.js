// Elements of the page. Every text goes in as text.
function make(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text ?? "";
  return node;
}

function button(className, text, title, label) {
  const node = make("button", className, text);
  node.type = "button";
  if (title) node.title = title;
  if (label ?? title) node.setAttribute("aria-label", label ?? title);
  return node;
}

function option(value, text) {
  const node = make("option", "", text);
  node.value = value;
  return node;
}

return { button, make, option };
