// The layer over a radiograph: the picture of a map, its contour, the regions, the reader's boxes and the place that was
// looked up.
const LINE = 1.5;

// Paint a view { overlay, size, box, ratio, placement, index } with { map, picture, contour, opacity, colour, regions,
// boxes, place }; what is null is left out.
function paint(view, shown) {
  const context = view.overlay.getContext("2d");
  const matrix = geometry.matrix(view.placement, view.size, view.box);
  const onCanvas = matrix.map((entry) => entry * view.ratio);
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, view.overlay.width, view.overlay.height);
  if (shown.picture) {
    context.setTransform(...onCanvas);
    context.globalAlpha = shown.opacity;
    context.imageSmoothingEnabled = true;
    context.drawImage(shown.picture, 0, 0, view.size.width, view.size.height);
    context.globalAlpha = 1;
  }
  context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  const onScreen = (x, y) => geometry.forward(matrix, [x * view.size.width, y * view.size.height]);
  if (shown.contour) outline(context, shown.contour, shown.colour, onScreen);
  frames(context, (shown.regions ?? []).filter((region) => region.view === view.index), onScreen, view.box);
  labelled(context, (shown.boxes ?? []).map(({ label, edges: [left, top, right, bottom], isChosen }) => ({
    name: label, left, top, right, bottom, colour: isChosen ? "#ffffff" : BOX, width: isChosen ? 2.5 : 2,
  })), view.box);
  if (shown.place?.view === view.index) cross(context, onScreen(shown.place.column, shown.place.row));
}

// Twice: a dark line under a bright one shows on every grey.
function stroke(context, colour, width = LINE) {
  context.lineJoin = "round";
  context.strokeStyle = "rgba(0, 0, 0, 0.7)";
  context.lineWidth = width + 2;
  context.stroke();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

function outline(context, lines, colour, onScreen) {
  context.beginPath();
  for (const [x1, y1, x2, y2] of lines) {
    context.moveTo(...onScreen(x1, y1));
    context.lineTo(...onScreen(x2, y2));
  }
  stroke(context, colour);
}

const LABEL_HEIGHT = 16;
const REGION = "#7cc4f0", BOX = "#ffc14d";

function frames(context, regions, onScreen, box) {
  if (!regions.length) return; // choosing a font takes longer than painting a map
  const boxes = regions.map(({ name, box: [x0, y0, x1, y1] }) => {
    const [one, other] = [onScreen(x0, y0), onScreen(x1, y1)];
    const [left, right] = [Math.min(one[0], other[0]), Math.max(one[0], other[0])];
    const [top, bottom] = [Math.min(one[1], other[1]), Math.max(one[1], other[1])];
    return { name, left, right, top, bottom, colour: REGION, width: 1 };
  });
  labelled(context, boxes, box);
}

// Rectangles with their names, in pixels of the view.
function labelled(context, boxes, box) {
  for (const { left, right, top, bottom, colour, width } of boxes) {
    context.beginPath();
    context.rect(left, top, right - left, bottom - top);
    stroke(context, colour, width);
  }
  context.font = "500 11px system-ui, sans-serif";
  context.textBaseline = "middle";
  const taken = [];
  for (const region of boxes.filter(({ name }) => name)) {
    const place = labelPlace(region, context.measureText(region.name).width + 8, taken, box);
    taken.push(place);
    context.fillStyle = "rgba(0, 0, 0, 0.65)";
    context.fillRect(place.x, place.y, place.width, LABEL_HEIGHT);
    context.fillStyle = region.colour === REGION ? "#d9eefb" : region.colour;
    context.fillText(region.name, place.x + 4, place.y + LABEL_HEIGHT / 2 + 0.5);
  }
}

// The first line inside the box, then below it, on which no other label is; within the view.
function labelPlace({ left, top }, width, taken, box) {
  const x = Math.min(Math.max(left, 0), Math.max(box.width - width, 0));
  const overlaps = (y) => taken.some((other) => x < other.x + other.width && other.x < x + width && Math.abs(other.y - y) < LABEL_HEIGHT);
  let y = Math.min(Math.max(top, 0), box.height - LABEL_HEIGHT);
  while (overlaps(y) && y + 2 * LABEL_HEIGHT <= box.height) y += LABEL_HEIGHT;
  return { x, y, width };
}

function cross(context, [x, y]) {
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + dx * 4, y + dy * 4);
    context.lineTo(x + dx * 12, y + dy * 12);
  }
  stroke(context, "#ffffff");
}

return { paint };
