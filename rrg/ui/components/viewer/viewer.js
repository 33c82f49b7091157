const find = (selector) => element.querySelector(selector);
const container = find(".views"), opacity = find(".opacity input"), menu = find(".overlay select");
const COLORS = props.colormap.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
const OVERLAY_SIDE = 384; // the browser enlarges the overlay further; a redraw then takes well under one frame
const NOTHING = { kind: null, index: null };

let canvases = [];   // one per view: { canvas, image }
let pointed = NOTHING, pinned = NOTHING, inverted = false, scheduled = false;

find(".ramp").style.background = `linear-gradient(to right, ${props.colormap.join(",")})`;

function make(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text ?? "";
  return node;
}

function placeholder(title, hint) {
  const figure = make("figure", "view empty");
  const stage = make("div", "stage");
  stage.append(make("span", "empty-title", title), make("span", "empty-hint", hint));
  figure.append(stage);
  return figure;
}

function showViews() {
  const views = props.value || [];
  canvases = [];
  container.replaceChildren();
  container.classList.toggle("single", views.length === 1);
  if (!views.length) {
    container.append(placeholder("Frontal", "No image open"), placeholder("Lateral", "Optional"));
  }
  views.forEach((view, index) => {
    const figure = make("figure", "view");
    const stage = make("div", "stage");
    const canvas = make("canvas", "");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${view.title} radiograph`);
    stage.append(canvas);
    const caption = make("figcaption", "");
    caption.append(make("strong", "", view.title), make("span", "", view.caption));
    figure.append(stage, caption);
    container.append(figure);
    const entry = { canvas, image: new Image(), index };
    entry.image.onload = () => {
      // The aspect ratio accounts for non-square pixels.
      canvas.height = entry.image.naturalHeight;
      canvas.width = Math.round(entry.image.naturalHeight * view.aspect);
      canvas.dataset.ready = "true";
      schedule();
    };
    entry.image.src = "data:image/png;base64," + view.png;
    canvases.push(entry);
  });
  pinned = pointed = NOTHING;
  announce();
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function choice(text, value) {
  const option = make("option", "", text);
  option.value = value;
  return option;
}

// Lists the maps of the model and of findings in groups: "class map: Edema" is "Edema" in the group "Class map".
function listMaps() {
  menu.replaceChildren(choice("What the pointer is at", ""));
  const groups = new Map();
  const add = (group, text, value) => {
    if (!groups.has(group)) {
      groups.set(group, make("optgroup", ""));
      groups.get(group).label = group;
      menu.append(groups.get(group));
    }
    groups.get(group).append(choice(capital(text), value));
  };
  (props.maps?.native ?? []).forEach((map, index) => {
    const [group, ...rest] = map.target.split(": ");
    if (rest.length) add(capital(group), rest.join(": "), `native ${index}`);
    else menu.append(choice(capital(group), `native ${index}`));
  });
  (props.maps?.finding ?? []).forEach((map, index) => {
    if (map) add(`${map.method} of the classifier`, map.target, `finding ${index}`);
  });
  menu.disabled = menu.options.length === 1;
  if (!props.maps?.[pinned.kind]?.[pinned.index]) pinned = NOTHING;
  announce();
}

function currentMap() {
  const { kind, index } = pinned.kind ? pinned : pointed;
  const map = kind && props.maps?.[kind]?.[index];
  if (map && !map.bytes) map.bytes = Uint8Array.from(atob(map.data), (c) => c.charCodeAt(0));
  return map || null;
}

// Linear interpolation of `cells` values to `size` pixels: the neighbours of each pixel and the weight of the upper one.
// Cell c covers c/cells .. (c+1)/cells of the image, so its centre is at (c + 0.5)/cells.
function interpolation(size, cells) {
  return Array.from({ length: size }, (_, i) => {
    const at = Math.min(Math.max(((i + 0.5) * cells) / size - 0.5, 0), cells - 1);
    const lower = Math.min(Math.floor(at), Math.max(cells - 2, 0));
    return { lower, upper: Math.min(lower + 1, cells - 1), weight: at - lower };
  });
}

function overlay(map, view, width, height) {
  const [, rows, columns] = map.shape;
  const start = view * rows * columns;
  const scale = Math.min(1, OVERLAY_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  const across = interpolation(canvas.width, columns), down = interpolation(canvas.height, rows);
  let at = 0;
  for (const y of down) {
    const above = start + y.lower * columns, below = start + y.upper * columns;
    for (const x of across) {
      const top = map.bytes[above + x.lower] * (1 - x.weight) + map.bytes[above + x.upper] * x.weight;
      const bottom = map.bytes[below + x.lower] * (1 - x.weight) + map.bytes[below + x.upper] * x.weight;
      const value = (top * (1 - y.weight) + bottom * y.weight) / 255;
      const place = value * (COLORS.length - 1), low = Math.min(Math.floor(place), COLORS.length - 2);
      for (let c = 0; c < 3; c++) {
        pixels.data[at++] = COLORS[low][c] + (COLORS[low + 1][c] - COLORS[low][c]) * (place - low);
      }
      pixels.data[at++] = 255 * value ** 1.5; // weak attention leaves the anatomy visible
    }
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

function draw() {
  scheduled = false;
  const map = currentMap();
  for (const { canvas, image, index } of canvases) {
    if (!canvas.dataset.ready) continue;
    const context = canvas.getContext("2d");
    context.filter = inverted ? "invert(1)" : "none";
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    context.filter = "none";
    if (map && index < map.shape[0]) {
      context.globalAlpha = opacity.value / 100;
      context.imageSmoothingEnabled = true;
      context.drawImage(overlay(map, index, canvas.width, canvas.height), 0, 0, canvas.width, canvas.height);
      context.globalAlpha = 1;
    }
  }
  describe(map);
}

function describe(map) {
  element.classList.toggle("has-map", Boolean(map));
  find(".unpin").hidden = !pinned.kind;
  menu.value = ["native", "finding"].includes(pinned.kind) ? `${pinned.kind} ${pinned.index}` : "";
  const hint = !canvases.length
    ? "Open a study to begin."
    : props.maps?.word
      ? "Point at a word, a sentence number or a finding to see its map; click to keep it, or choose an overlay."
      : "Maps appear here once a report is written.";
  const name = map && (pinned.kind === "native" ? capital(map.target) : `${pinned.kind ? "Kept: " : ""}“${map.target}”`);
  find(".legend-target").textContent = name || hint;
  find(".legend-method").textContent = map
    ? [map.method, map.reduction, map.layer].filter(Boolean).join(" · ") + ". Where the model looked is not proof of what is there."
    : "";
  find(".legend-max").textContent = map ? (map.max > 0 ? map.max.toPrecision(2) : "0 everywhere") : "";
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(draw);
}

function announce() {
  const shown = pinned.kind ? pinned : pointed;
  window.dispatchEvent(new CustomEvent("rrg:shown", { detail: { ...shown, pinned: Boolean(pinned.kind) } }));
  schedule();
}

function release() {
  pinned = pointed = NOTHING;
  announce();
}

window.addEventListener("rrg:point", (event) => { pointed = event.detail ?? NOTHING; announce(); });
window.addEventListener("rrg:pin", (event) => {
  const same = pinned.kind === event.detail.kind && pinned.index === event.detail.index;
  pinned = same ? NOTHING : event.detail;
  announce();
});
window.addEventListener("keydown", (event) => { if (event.key === "Escape" && pinned.kind) release(); });
find(".unpin").addEventListener("click", release);
menu.addEventListener("change", () => {
  const [kind, index] = menu.value.split(" ");
  // The findings table pins a finding, because it has the spans of the words that mention it.
  if (kind === "finding") window.dispatchEvent(new CustomEvent("rrg:choose-finding", { detail: Number(index) }));
  else { pinned = kind ? { kind, index: Number(index) } : NOTHING; announce(); }
});
opacity.addEventListener("input", schedule);
find(".invert").addEventListener("click", (event) => {
  inverted = !inverted;
  event.currentTarget.setAttribute("aria-pressed", inverted);
  schedule();
});
find(".enlarge").addEventListener("click", (event) => {
  const enlarged = container.classList.toggle("enlarged");
  event.currentTarget.setAttribute("aria-pressed", enlarged);
});
watch("value", showViews);
watch("maps", listMaps);
showViews();
listMaps();
