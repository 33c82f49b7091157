// The buttons of the viewer: each names its action, and the arrow keys move between those of the toolbar.
// `stage()` is the view that gets the keys back after a menu was used with the mouse.
function attach(element, act, stage) {
  element.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-do], button[data-tool]");
    if (!button) return;
    if (button.dataset.tool) act("tool", button.dataset.tool);
    else act(button.dataset.do);
  });
  for (const menu of element.querySelectorAll("select")) {
    let byMouse = false;
    menu.addEventListener("pointerdown", () => { byMouse = true; });
    menu.addEventListener("keydown", () => { byMouse = false; });
    menu.addEventListener("change", () => { if (byMouse) stage()?.focus({ preventScroll: true }); });
  }
  const bar = element.querySelector(".tools");
  const buttons = () => [...bar.querySelectorAll("button")].filter((button) => !button.hidden && !button.disabled);
  const enter = (button) => {
    bar.querySelectorAll("button").forEach((other) => { other.tabIndex = other === button ? 0 : -1; });
  };
  enter(buttons()[0]);
  bar.addEventListener("focusin", (event) => { if (event.target.closest("button")) enter(event.target); });
  bar.addEventListener("keydown", (event) => {
    const all = buttons(), at = all.indexOf(event.target);
    const goal = { ArrowRight: all[at + 1], ArrowLeft: all[at - 1], Home: all[0], End: all.at(-1) };
    if (at < 0 || !(event.key in goal)) return;
    event.preventDefault();
    goal[event.key]?.focus();
  });
}

// Show which tool and which switches are on, and what can be used now.
function show(element, { tool, pressed, disabled, hidden }) {
  element.querySelectorAll("button[data-tool]").forEach((button) => {
    button.setAttribute("aria-pressed", button.dataset.tool === tool);
  });
  const button = (name) => element.querySelector(`button:is([data-do=${name}], [data-tool=${name}])`);
  for (const [name, on] of Object.entries(pressed)) button(name).setAttribute("aria-pressed", on);
  for (const [name, on] of Object.entries(disabled)) button(name).disabled = on;
  for (const [name, on] of Object.entries(hidden)) button(name).hidden = on;
}

return { attach, show };
