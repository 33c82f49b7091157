// Keys, those of OHIF where it has one, and the sheet that lists them.
const TOOLS = [
  ["W", "Window and level tool", "tool", "window"],
  ["Z", "Zoom tool", "tool", "zoom"],
  ["P", "Pan tool", "tool", "pan"],
  ["Q", "Look up the words that looked at a place", "tool", "look"],
];
const BOX = ["D", "Draw a box around a missed or misplaced finding", "tool", "box"];
const IMAGE = [
  ["+", "Zoom in", "zoomIn"],
  ["-", "Zoom out", "zoomOut"],
  ["=", "Fit", "fit"],
  ["L", "Rotate left", "turnLeft"],
  ["R", "Rotate right", "turnRight"],
  ["H", "Flip horizontally", "flipHorizontal"],
  ["V", "Flip vertically", "flipVertical"],
  ["I", "Invert", "invert"],
  ...presets.map(({ name }, index) => [String(index + 1), `Window: ${name}`, "preset", index]),
  ["Space", "Reset", "reset"],
];
const LAYOUT = [
  ["→", "Next view", "nextView"],
  ["←", "Previous view", "previousView"],
  ["M", "One view, both views", "maximise"],
  ["F", "Full screen", "fullScreen"],
  ["O", "Open files", "open"],
  ["C", "Contour of the map", "contour"],
  ["Esc", "Release map and place", "release"],
  ["?", "This sheet", "help"],
];
const MOUSE = [
  ["Left drag", "The chosen tool"],
  ["Middle drag", "Pan"],
  ["Ctrl or Shift + drag", "Pan"],
  ["Right drag", "Zoom"],
  ["Wheel", "Zoom at the pointer"],
  ["Double click", "One view, both views"],
  ["Alt + point", "Look up the words of the place"],
  ["Alt + click", "Keep the place"],
  ["Two fingers", "Zoom and pan"],
];
const NAMES = { " ": "Space", ArrowRight: "→", ArrowLeft: "←", Escape: "Esc" };
const BOUND = new Map([...TOOLS, BOX, ...IMAGE, ...LAYOUT].map(([key, , ...action]) => [key, action]));
const TYPING = "textarea, select, [contenteditable]:not([contenteditable=false]), input:not([type=range], [type=checkbox], [type=radio], [type=button], [type=file])";
const OPERATED = "button, a, input, summary, [role=button], [role=slider], [role=option], [role=tab], tr[tabindex]";

// The action of a key press, [name, argument], or undefined. Keys that operate the focused element are left to it.
function action(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return undefined;
  if (event.target.closest?.(TYPING)) return undefined;
  const key = NAMES[event.key] ?? event.key.toUpperCase();
  if (["Space", "→", "←"].includes(key) && event.target.closest?.(OPERATED)) return undefined;
  return BOUND.get(key);
}

// Fill and open the sheet; `further` are keys of the page, [key, meaning], and `boxable` says that boxes can be drawn.
function sheet(dialog, further, boxable) {
  const groups = { Tools: boxable ? [...TOOLS, BOX, ["Delete", "Delete the box that was clicked"]] : TOOLS, Image: IMAGE, "Views and maps": LAYOUT, Page: further, "Mouse and touch": MOUSE };
  const lists = Object.entries(groups).filter(([, rows]) => rows.length).map(([title, rows]) => {
    const list = stages.make("dl", "");
    for (const [key, meaning] of rows) {
      const row = stages.make("div", "");
      const term = stages.make("dt", "");
      term.append(stages.make("kbd", "", key));
      row.append(term, stages.make("dd", "", meaning));
      list.append(row);
    }
    const section = stages.make("section", "");
    section.append(stages.make("h3", "", title), list);
    return section;
  });
  dialog.querySelector(".help-lists").replaceChildren(...lists);
  dialog.showModal();
}

return { action, sheet };
