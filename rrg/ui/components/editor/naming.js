// The reader's name: that of the field on the page, asked for in place where it is missing.
const KEY = "rrg:reader";
const field = () => document.querySelector("#reader input, #reader textarea");
const reader = () => (field()?.value ?? sessionStorage.getItem(KEY) ?? "").trim();

// Connect the form. Returns { ask(), cancel(), isAsking() }.
function attach(node) {
  const input = node.querySelector("input");
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (!name || !field()) return;
    node.hidden = true;
    field().value = name;
    for (const type of ["input", "change"]) field().dispatchEvent(new Event(type, { bubbles: true }));
  });
  return {
    ask: () => { node.hidden = false; input.focus(); },
    cancel: () => { node.hidden = true; },
    isAsking: () => !node.hidden,
  };
}

return { attach, reader };
