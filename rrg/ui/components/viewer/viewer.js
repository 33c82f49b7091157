// The viewer: its views, what changes them, and when they are painted. The other scripts of this folder do the work.
const IDLE = 150; // milliseconds after the last change until a view is painted at full resolution
const ZOOM_STEP = 1.25, DRAG_RANGE = 400; // a drag over this many pixels changes window and level by their whole range
const NEED_IMAGE = ["zoomIn", "zoomOut", "fit", "turnLeft", "turnRight", "flipHorizontal", "flipVertical", "invert", "reset"];

const find = (selector) => element.querySelector(selector);
const container = find(".views"), presetMenu = find(".preset"), help = find(".help");

let views = [], shownValue = null, loading = null;
let tool = matchMedia("(pointer: coarse)").matches ? "pan" : "window", toolBefore = tool;
let active = 0, single = false, hasReport = false;

const send = (name, detail) => window.dispatchEvent(new CustomEvent(name, { detail: { ...detail, channel: props.channel } }));
const listen = (name, handle) => window.addEventListener(name, (event) => {
  if ((event.detail?.channel ?? "read") === props.channel) handle(event.detail ?? { kind: null });
});
const current = () => views[active];
const shown = mapstate.create(element, props.colormaps, { send, views: () => views, changed: showState, boxes: (view) => boxed.of(view) });
const boxed = boxing.create({ send, finding: () => shown.finding(), changed: () => shown.repaint() });
const openFiles = props.files ? files.attach(element, props.files, say) : null;

// Views ---------------------------------------------------------------------------------------------------------------

function showViews() {
  const value = props.value || [];
  if (JSON.stringify(value) === shownValue) return; // new maps alone leave zoom and window as they are
  shownValue = JSON.stringify(value);
  loading?.abort();
  loading = new AbortController();
  sizes.disconnect();
  views.forEach((view) => { clearTimeout(view.idle); cancelAnimationFrame(view.frame); });
  views = value.map(stages.view);
  active = 0;
  single = false;
  container.replaceChildren(...views.map((view) => view.figure));
  if (!views.length) {
    const how = props.files ? "Drop an image here, or choose Open files" : "No image open";
    container.append(stages.placeholder("Frontal", how), stages.placeholder("Lateral", "Optional"));
  }
  for (const view of views) {
    connect(view);
    sizes.observe(view.stage);
    fetchPixels(view, loading.signal);
  }
  say("");
  shown.release();
  showState();
}

async function fetchPixels(view, signal) {
  view.message.setAttribute("role", "status");
  view.message.textContent = "Loading the image";
  try {
    view.radiograph = await radiographs.load(view.info, signal);
  } catch (error) {
    if (!signal.aborted) stages.failed(view, error.message, () => fetchPixels(view, signal));
    return;
  }
  if (signal.aborted) return;
  view.message.textContent = "";
  repaint(view);
}

// A pixel of the canvas is one of the screen at every device pixel ratio.
const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect: { width, height } } of entries) {
    const view = views.find((other) => other.stage === target);
    if (!view) continue;
    view.box = { width, height };
    view.ratio = window.devicePixelRatio;
    for (const canvas of [view.canvas, view.overlay]) {
      canvas.width = Math.max(1, Math.round(width * view.ratio));
      canvas.height = Math.max(1, Math.round(height * view.ratio));
    }
    paint(view, false);
  }
});

function paint(view, fast) {
  view.ready = Boolean(view.radiograph && view.box.width && view.box.height);
  if (!view.ready) return;
  painting.paint(view, fast);
  shown.paint(view);
  stages.describe(view);
  view.canvas.dataset.ready = "true";
}

// Paint in the next frame; with `fast` coarsely, and at full resolution once nothing has changed for a moment.
function repaint(view, fast = false) {
  view.fast = fast;
  clearTimeout(view.idle);
  if (fast) view.idle = setTimeout(() => repaint(view), IDLE);
  view.frame ??= requestAnimationFrame(() => {
    view.frame = undefined;
    paint(view, view.fast);
  });
}

// Changes -------------------------------------------------------------------------------------------------------------

// Place a view anew: `step(placement, size, box)` returns the new placement.
function arrange(view, step, fast = true) {
  if (!view?.box.width) return;
  view.placement = step(view.placement, view.size, view.box);
  repaint(view, fast);
}

function zoomBy(factor) {
  arrange(current(), (placement, size, box) => geometry.zoomed(placement, factor, [box.width / 2, box.height / 2], size, box));
}

const turn = (name) => arrange(current(), (placement) => geometry.turned(placement, name), false);

function setWindow(view, { level, width }, fast = false) {
  view.window = { level: Math.min(Math.max(level, -0.5), 1.5), width: Math.min(Math.max(width, painting.NARROWEST), 3) };
  repaint(view, fast);
  showState();
}

function activate(index) {
  if (!views[index] || index === active) return;
  active = index;
  showState();
}

function reset(view) {
  Object.assign(view, { placement: geometry.fresh(), inverted: false });
  setWindow(view, presets[0]);
}

const withView = (change) => (argument) => { if (current()) change(current(), argument); };
const actions = {
  tool: (name) => {
    if (name === "box" && !canDraw()) return;
    if (tool !== "box") toolBefore = tool;
    tool = name;
    shown.leave();
  },
  preset: withView((view, index) => setWindow(view, presets[index])),
  zoomIn: () => zoomBy(ZOOM_STEP),
  zoomOut: () => zoomBy(1 / ZOOM_STEP),
  fit: () => arrange(current(), (placement) => ({ ...placement, zoom: 1, pan: [0, 0] }), false),
  turnLeft: () => turn("left"),
  turnRight: () => turn("right"),
  flipHorizontal: () => turn("horizontal"),
  flipVertical: () => turn("vertical"),
  invert: withView((view) => { view.inverted = !view.inverted; repaint(view); }),
  reset: withView(reset),
  nextView: () => activate(active + 1),
  previousView: () => activate(active - 1),
  maximise: () => { single = !single && views.length > 1; },
  swap: () => trigger("swap"),
  fullScreen: () => (document.fullscreenElement ? document.exitFullscreen() : element.requestFullscreen()),
  open: () => openFiles?.(),
  contour: () => { if (shown.state().hasMaps) shown.toggleContour(); },
  regions: shown.toggleRegions,
  release: shown.release,
  help: () => shortcuts.sheet(help, props.page_keys, props.boxable),
};

const canDraw = () => props.boxable && hasReport && views.length > 0;

function act(name, argument) {
  actions[name](argument);
  showState();
}

function showState() {
  const view = current();
  const preset = view ? presets.findIndex(({ level, width }) => level === view.window.level && width === view.window.width) : 0;
  presetMenu.value = preset < 0 ? "" : preset;
  presetMenu.disabled = !view;
  container.classList.toggle("alone", single || views.length === 1);
  views.forEach((other, index) => other.figure.classList.toggle("active", index === active));
  const { contour, regionsShown, hasRegions, hasMaps } = shown.state();
  element.classList.toggle("has-maps", hasMaps);
  element.dataset.tool = tool;
  toolbar.show(element, {
    tool,
    pressed: {
      invert: Boolean(view?.inverted), flipHorizontal: Boolean(view && geometry.mirrored(view.placement.orientation)),
      maximise: single, fullScreen: document.fullscreenElement === element, contour, regions: regionsShown,
    },
    disabled: { ...Object.fromEntries(NEED_IMAGE.map((name) => [name, !view])), maximise: views.length < 2, contour: !hasMaps, box: !canDraw() },
    hidden: { box: !props.boxable, swap: !props.swappable || !view, open: !props.files, regions: !hasRegions },
  });
}

// Input ---------------------------------------------------------------------------------------------------------------

function connect(view) {
  const move = (step) => arrange(view, (placement, size, box) => geometry.moved(placement, step, size, box));
  const zoom = (factor, at) => arrange(view, (placement, size, box) => geometry.zoomed(placement, factor, at, size, box));
  pointer.attach(view.stage, {
    tool: () => tool,
    press: (used, at) => {
      activate(view.index);
      if (used === "look") shown.lookUp(view, at, true);
      else if (used === "box") boxed.press(view, at);
    },
    drag: (used, [x, y], start, at) => {
      const { level, width } = view.window;
      if (used === "window") setWindow(view, { level: level + y / DRAG_RANGE, width: width + x / DRAG_RANGE }, true);
      else if (used === "pan") move([x, y]);
      else if (used === "zoom") zoom(Math.exp(-y / 100), start);
      else if (used === "box") boxed.drag(at);
      else shown.lookUp(view, at, true);
    },
    release: (used) => {
      if (used !== "box") boxed.cancel();
      else if (boxed.release()) act("tool", toolBefore); // one box at a time, so that no drag makes one by mistake
    },
    move,
    zoom: (factor, at) => { activate(view.index); zoom(factor, at); },
    hover: (at, alt) => (tool === "look" || alt ? shown.lookUp(view, at, false) : shown.leave()),
    leave: shown.leave,
    double: () => { if (tool !== "look") act("maximise"); },
  });
  view.stage.addEventListener("focus", () => activate(view.index));
}

function say(text) {
  find(".notice").textContent = text;
  find(".notice").hidden = !text;
}

// Of several viewers on the page, the one used last has the keys.
const use = () => { element.dataset.used = performance.now(); };
const lastUse = (viewer) => Number(viewer.dataset.used ?? 0);
const hasKeys = () => element.offsetParent !== null && ![...document.querySelectorAll(".rrg-viewer")].some(
  (other) => other !== element && other.offsetParent !== null && lastUse(other) > lastUse(element),
);

window.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    say("");
    boxed.cancel();
    if (tool === "box") act("tool", toolBefore);
    if (shown.state().busy) shown.release();
    return;
  }
  if (["Delete", "Backspace"].includes(event.key) && event.target.closest?.(".stage") && boxed.remove()) {
    event.preventDefault();
    return;
  }
  const [name, argument] = (hasKeys() && shortcuts.action(event)) || [];
  if (!name) return;
  event.preventDefault();
  act(name, argument);
});
window.addEventListener("keyup", (event) => { if (event.key === "Alt" && tool !== "look") shown.leave(); });

element.classList.add("rrg-viewer");
element.addEventListener("pointerdown", use, true);
element.addEventListener("focusin", use);
presetMenu.append(...presets.map(({ name }, index) => legend.choice(`${index + 1} ${name}`, index)));
presetMenu.append(legend.choice("Own window", ""));
presetMenu.lastChild.hidden = true;
presetMenu.addEventListener("change", () => act("preset", Number(presetMenu.value)));
toolbar.attach(element, act, () => current()?.stage);
listen("rrg:point", shown.point);
listen("rrg:pin", shown.pin);
listen("rrg:boxes", ({ boxes }) => { boxed.list(boxes); shown.repaint(); });
listen("rrg:report", ({ report_id }) => { hasReport = Boolean(report_id); showState(); });
document.addEventListener("fullscreenchange", showState);
watch("value", showViews);
watch("maps", () => shown.list(props.maps || {}));
watch("edited", () => shown.listEdited(props.edited || {}));
showViews();
shown.list(props.maps || {});
