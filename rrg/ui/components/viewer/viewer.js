// The viewer: its state, what changes it, and when it is painted. The other scripts of this folder do the work.
const IDLE = 150; // milliseconds after the last change until a view is painted at full resolution
const NOTHING = { kind: null, index: null };
const ZOOM_STEP = 1.25, DRAG_RANGE = 400; // a drag over this many pixels changes window and level by their whole range
const { make } = stages;

const find = (selector) => element.querySelector(selector);
const container = find(".views"), overlayMenu = find(".overlay select"), presetMenu = find(".preset");
const colourMenu = find(".colours select"), opacity = find(".opacity input"), threshold = find(".threshold input");

let views = [], shownValue = null, loading = null;
let heatmaps = { word: [], sentence: [], finding: [], native: [] }, regions = [];
let pointed = NOTHING, pinned = NOTHING, place = null, placeKept = false;
let tool = matchMedia("(pointer: coarse)").matches ? "pan" : "window";
let active = 0, single = false, contour = false, regionsShown = false, palette = null;

const send = (name, detail) => window.dispatchEvent(new CustomEvent(name, { detail: { ...detail, channel: props.channel } }));
const listen = (name, handle) => window.addEventListener(name, (event) => {
  if ((event.detail?.channel ?? "read") === props.channel) handle(event.detail);
});
const current = () => views[active];

// Views ---------------------------------------------------------------------------------------------------------------

function showViews() {
  const value = props.value || [];
  if (JSON.stringify(value) === shownValue) return; // new maps alone leave zoom and window as they are
  shownValue = JSON.stringify(value);
  loading?.abort();
  loading = new AbortController();
  views.forEach((view) => sizes.unobserve(view.stage));
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
    fetchPixels(view);
  }
  say("");
  setPlace(null, false);
  pinned = pointed = NOTHING;
  announce();
  showState();
}

async function fetchPixels(view) {
  const { signal } = loading;
  view.message.setAttribute("role", "status");
  view.message.textContent = "Loading the image";
  try {
    view.radiograph = await radiographs.load(view.info, signal);
  } catch (error) {
    if (!signal.aborted) stages.failed(view, error.message, () => fetchPixels(view));
    return;
  }
  if (signal.aborted) return;
  view.message.textContent = "";
  repaint(view);
}

// Sizes in pixels of the screen, so that a pixel of the canvas is one of the screen at every device pixel ratio.
const sizes = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const view = views.find((other) => other.stage === entry.target);
    if (!view) continue;
    view.box = { width: entry.contentRect.width, height: entry.contentRect.height };
    view.ratio = window.devicePixelRatio;
    for (const canvas of [view.canvas, view.overlay]) {
      canvas.width = Math.max(1, Math.round(view.box.width * view.ratio));
      canvas.height = Math.max(1, Math.round(view.box.height * view.ratio));
    }
    paint(view, false);
  }
});

// Painting ------------------------------------------------------------------------------------------------------------

const ready = (view) => view.radiograph && view.box.width > 0 && view.box.height > 0;

function paint(view, fast) {
  if (!ready(view)) return;
  painting.paint(view, fast);
  paintOverlay(view);
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

function shownMap() {
  const { kind, index } = pinned.kind ? pinned : pointed;
  return (kind && heatmaps[kind]?.[index]) || null;
}

function paintOverlay(view) {
  if (!ready(view)) return;
  const map = shownMap();
  const share = Number(threshold.value) / 100;
  const visible = map?.max && view.index < map.shape[0];
  if (visible && (view.picture?.map !== map || view.picture.palette !== palette)) {
    view.picture = { map, palette, canvas: maps.raster(map, view.index, view.size, palette.colours) };
  }
  if (visible && contour && (view.contour?.map !== map || view.contour.share !== share)) {
    view.contour = { map, share, lines: maps.contours(map, view.index, share) };
  }
  overlay.paint(view, {
    picture: visible ? view.picture.canvas : null,
    contour: visible && contour ? view.contour.lines : null,
    opacity: opacity.value / 100,
    colour: palette.hexes.at(-1),
    regions: regionsShown ? regions : null,
    place,
  });
}

// At once, not in the next frame: a map has to follow the pointer.
function repaintOverlays() {
  views.forEach(paintOverlay);
}

function choosePalette() {
  const hexes = props.colormaps[colourMenu.value];
  palette = { hexes, colours: maps.palette(hexes, Number(threshold.value) / 100) };
  find(".ramp").style.background = `linear-gradient(to right, ${hexes.join(",")})`;
  find(".threshold output").textContent = `${threshold.value} %`;
  repaintOverlays();
}

// Maps ----------------------------------------------------------------------------------------------------------------

function listMaps() {
  const sent = props.maps || {};
  for (const kind of Object.keys(heatmaps)) {
    heatmaps[kind] = (sent[kind] ?? []).map((map) => map && maps.decoded(map));
  }
  regions = sent.regions ?? [];
  legend.list(overlayMenu, heatmaps);
  if (!heatmaps[pinned.kind]?.[pinned.index]) pinned = NOTHING;
  setPlace(null, false);
  announce();
  showState();
}

function announce() {
  const shown = pinned.kind ? pinned : pointed;
  send("rrg:shown", { ...shown, pinned: Boolean(pinned.kind) });
  overlayMenu.value = ["native", "finding"].includes(pinned.kind) ? `${pinned.kind} ${pinned.index}` : "";
  repaintOverlays();
  describeMap();
}

function describeMap() {
  find(".unpin").hidden = !pinned.kind && !placeKept;
  const { kind } = pinned.kind ? pinned : pointed;
  legend.describe(element, {
    map: shownMap(), kind, pinned: Boolean(pinned.kind), place,
    hasViews: views.length > 0, hasMaps: heatmaps.word.length > 0,
  });
}

function release() {
  pinned = pointed = NOTHING;
  setPlace(null, false);
  announce();
}

// Look up the words at a place of a view (pixels of its stage), or none.
function lookUp(view, at, keep) {
  const [x, y] = geometry.inverse(geometry.matrix(view.placement, view.size, view.box), at);
  const column = x / view.size.width, row = y / view.size.height;
  const inside = column >= 0 && column <= 1 && row >= 0 && row <= 1;
  setPlace(inside ? { view: view.index, row, column } : null, inside && keep);
}

function setPlace(next, keep) {
  if (!next && !place) return;
  place = next;
  placeKept = Boolean(next) && keep;
  const words = place ? maps.wordsAt(heatmaps.word, place.view, place.row, place.column) : [];
  send("rrg:place", place ? { ...place, kept: placeKept, words } : { view: null, words });
  repaintOverlays();
  describeMap();
}

// Actions -------------------------------------------------------------------------------------------------------------

function arrange(change, fast = true) {
  const view = current();
  if (!view || !view.box.width) return;
  view.placement = change(view.placement, view.size, view.box);
  repaint(view, fast);
  showState();
}

const middle = (view) => [view.box.width / 2, view.box.height / 2];
const zoomBy = (factor) => arrange((placement, size, box) => geometry.zoomed(placement, factor, middle(current()), size, box));
const turn = (name) => arrange((placement) => geometry.turned(placement, name), false);

function setWindow(view, change) {
  const next = { ...view.window, ...change };
  view.window = { level: Math.min(Math.max(next.level, -0.5), 1.5), width: Math.min(Math.max(next.width, painting.NARROWEST), 3) };
  showState();
}

function activate(index) {
  if (!views[index]) return;
  active = index;
  showState();
}

const actions = {
  tool: (name) => { tool = name; if (name !== "look" && !placeKept) setPlace(null, false); },
  preset: (index) => { if (current()) { setWindow(current(), presets[index]); repaint(current()); } },
  zoomIn: () => zoomBy(ZOOM_STEP),
  zoomOut: () => zoomBy(1 / ZOOM_STEP),
  fit: () => arrange((placement) => ({ ...placement, zoom: 1, pan: [0, 0] }), false),
  turnLeft: () => turn("left"),
  turnRight: () => turn("right"),
  flipHorizontal: () => turn("horizontal"),
  flipVertical: () => turn("vertical"),
  invert: () => { if (current()) { current().inverted = !current().inverted; repaint(current()); } },
  reset: () => {
    if (!current()) return;
    Object.assign(current(), { placement: geometry.fresh(), inverted: false });
    setWindow(current(), presets[0]);
    repaint(current());
  },
  nextView: () => activate(Math.min(active + 1, views.length - 1)),
  previousView: () => activate(Math.max(active - 1, 0)),
  maximise: () => { single = !single && views.length > 1; },
  swap: () => trigger("swap"),
  fullScreen: () => (document.fullscreenElement ? document.exitFullscreen() : element.requestFullscreen()),
  open: () => openFiles?.(),
  contour: () => {
    contour = !contour;
    if (contour && threshold.value === "0") { threshold.value = 50; choosePalette(); }
    repaintOverlays();
  },
  regions: () => { regionsShown = !regionsShown; repaintOverlays(); },
  release,
  help: () => shortcuts.sheet(find(".help"), props.page_keys),
};

function act(name, argument) {
  actions[name](argument);
  showState();
}

function showState() {
  const view = current();
  const preset = view ? presets.findIndex(({ level, width }) => level === view.window.level && width === view.window.width) : 0;
  presetMenu.value = preset < 0 ? "" : preset;
  container.classList.toggle("alone", single || views.length === 1);
  views.forEach((other, index) => other.figure.classList.toggle("active", index === active));
  const none = !view, unmapped = overlayMenu.disabled && !heatmaps.word.length;
  presetMenu.disabled = none;
  const needImage = ["zoomIn", "zoomOut", "fit", "turnLeft", "turnRight", "flipHorizontal", "flipVertical", "invert", "reset"];
  toolbar.show(element, {
    tool,
    pressed: {
      invert: Boolean(view?.inverted), flipHorizontal: Boolean(view && geometry.mirrored(view.placement.orientation)),
      maximise: single, fullScreen: document.fullscreenElement === element, contour, regions: regionsShown,
    },
    disabled: { ...Object.fromEntries(needImage.map((name) => [name, none])), maximise: views.length < 2, contour: unmapped },
    hidden: { swap: !props.swappable || !views.length, open: !props.files, regions: !regions.length },
  });
}

// Input ---------------------------------------------------------------------------------------------------------------

function connect(view) {
  const change = (step) => { view.placement = step(view.placement, view.size, view.box); repaint(view, true); };
  pointer.attach(view.stage, {
    tool: () => tool,
    press: (used, at) => { activate(view.index); if (used === "look") lookUp(view, at, true); },
    drag: (used, [x, y], start, at) => {
      if (used === "window") {
        setWindow(view, { width: view.window.width + x / DRAG_RANGE, level: view.window.level + y / DRAG_RANGE });
        repaint(view, true);
      } else if (used === "pan") change((placement, size, box) => geometry.moved(placement, [x, y], size, box));
      else if (used === "zoom") change((placement, size, box) => geometry.zoomed(placement, Math.exp(-y / 100), start, size, box));
      else if (used === "look") lookUp(view, at, true);
    },
    release: showState,
    move: (step) => change((placement, size, box) => geometry.moved(placement, step, size, box)),
    zoom: (factor, at) => { activate(view.index); change((placement, size, box) => geometry.zoomed(placement, factor, at, size, box)); },
    hover: (at, alt) => {
      if (placeKept) return;
      if (tool === "look" || alt) lookUp(view, at, false);
      else setPlace(null, false);
    },
    leave: () => { if (!placeKept) setPlace(null, false); },
    double: () => { if (tool !== "look") { activate(view.index); act("maximise"); } },
  });
  view.stage.addEventListener("focus", () => activate(view.index));
}

function say(text) {
  find(".notice").textContent = text;
  find(".notice").hidden = !text;
}

// Of several viewers on the page, the one used last has the keys.
const use = () => { element.dataset.used = performance.now(); };
const hasKeys = () => element.offsetParent && ![...document.querySelectorAll(".rrg-viewer")].some(
  (other) => other !== element && other.offsetParent && Number(other.dataset.used ?? 0) > Number(element.dataset.used ?? 0),
);

function onKey(event) {
  if (!element.isConnected) { window.removeEventListener("keydown", onKey); return; }
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    say("");
    if (pinned.kind || place) release();
    return;
  }
  if (!hasKeys() || document.querySelector("dialog[open]")) return;
  const [name, argument] = shortcuts.action(event) ?? [];
  if (!name) return;
  event.preventDefault();
  act(name, argument);
}

element.classList.add("rrg-viewer");
element.addEventListener("pointerdown", use, true);
element.addEventListener("focusin", use);
const openFiles = props.files ? files.attach(element, props.files, say) : null;
presetMenu.append(...presets.map(({ name, level, width }, index) =>
  legend.choice(`${index + 1} ${name} (W ${Math.round(width * 100)} L ${Math.round(level * 100)})`, index)), legend.choice("Own window", ""));
presetMenu.lastChild.hidden = true;
presetMenu.addEventListener("change", () => act("preset", Number(presetMenu.value)));
colourMenu.append(...Object.keys(props.colormaps).map((name) => legend.choice(name, name)));
colourMenu.addEventListener("change", choosePalette);
threshold.addEventListener("input", choosePalette);
opacity.addEventListener("input", repaintOverlays);
overlayMenu.addEventListener("change", () => {
  const [kind, index] = overlayMenu.value.split(" ");
  // The findings table pins a finding, because it has the spans of the words that mention it.
  if (kind === "finding") send("rrg:choose-finding", { index: Number(index) });
  else { pinned = kind ? { kind, index: Number(index) } : NOTHING; announce(); }
});
// A menu that was used with the mouse gives the keys back to the image.
for (const menu of [presetMenu, colourMenu, overlayMenu]) {
  let byMouse = false;
  menu.addEventListener("pointerdown", () => { byMouse = true; });
  menu.addEventListener("keydown", () => { byMouse = false; });
  menu.addEventListener("change", () => { if (byMouse) current()?.stage.focus({ preventScroll: true }); });
}
toolbar.attach(element, act);
listen("rrg:point", (detail) => {
  const next = detail?.kind ? detail : NOTHING;
  if (next.kind === pointed.kind && next.index === pointed.index) return;
  pointed = next;
  announce();
});
listen("rrg:pin", (detail) => {
  const same = pinned.kind === detail.kind && pinned.index === detail.index;
  pinned = same ? NOTHING : detail;
  announce();
});
window.addEventListener("keydown", onKey);
window.addEventListener("keyup", (event) => { if (event.key === "Alt" && place && !placeKept && tool !== "look") setPlace(null, false); });
document.addEventListener("fullscreenchange", showState);
watch("value", showViews);
watch("maps", listMaps);
choosePalette();
showViews();
listMaps();
