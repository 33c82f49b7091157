// The page elements of a view: stage with two canvases, marks in its corners, message, caption.
function make(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text ?? "";
  return node;
}

// A view that waits for its pixels.
function view(info, index) {
  const figure = make("figure", "view");
  const stage = make("div", "stage");
  stage.tabIndex = 0;
  stage.setAttribute("role", "group");
  stage.setAttribute("aria-label", `${info.title} view. The key ? lists keys.`);
  const canvas = make("canvas", "image");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${info.title} radiograph`);
  const overlay = make("canvas", "map");
  overlay.setAttribute("aria-hidden", "true");
  const marks = make("div", "corner marks");
  const readout = make("div", "corner readout");
  const message = make("div", "message");
  message.setAttribute("role", "status");
  stage.append(canvas, overlay, make("div", "corner title", info.title), marks, readout, message);
  const caption = make("figcaption", "", info.caption);
  caption.title = info.caption;
  figure.append(stage, caption);
  return {
    info, index, figure, stage, canvas, overlay, marks, readout, message,
    size: { width: info.height * info.aspect, height: info.height },
    box: { width: 0, height: 0 }, ratio: 1, ready: false, radiograph: null, picture: null, contour: null,
    placement: geometry.fresh(), window: presets[0], inverted: false,
  };
}

function placeholder(title, hint) {
  const figure = make("figure", "view empty");
  const stage = make("div", "stage");
  stage.append(make("span", "empty-title", title), make("span", "empty-hint", hint));
  figure.append(stage);
  return figure;
}

// Show why there is no image, with a button that tries again.
function failed(view, text, retry) {
  const button = make("button", "worded", "Try again");
  button.type = "button";
  button.addEventListener("click", retry);
  view.message.setAttribute("role", "alert");
  view.message.replaceChildren(make("p", "", text), button);
}

const percent = (share) => `${Math.round(share * 100)}\u202f%`;

// Write orientation, inversion, window and size into the corners.
function describe(view) {
  const { orientation } = view.placement;
  const marks = [];
  if (geometry.mirrored(orientation)) marks.push(make("span", "mark flipped", "Flipped"));
  else if (geometry.degrees(orientation)) marks.push(make("span", "mark", `Rotated ${geometry.degrees(orientation)}°`));
  if (view.inverted) marks.push(make("span", "mark", "Inverted"));
  view.marks.replaceChildren(...marks);
  const scale = geometry.scaleOf(view.placement, view.size, view.box);
  view.readout.textContent = `W ${percent(view.window.width)}  L ${percent(view.window.level)}  ·  ${percent(scale)}`;
}

return { describe, failed, make, placeholder, view };
