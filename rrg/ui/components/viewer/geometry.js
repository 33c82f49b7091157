// Placement of a radiograph in its view: orientation, zoom and pan, and the matrix that draws it.
//
// Image coordinates are in rows of the image: y from 0 to its height, x from 0 to its width times the shape of a pixel.
// An orientation is one of the eight rotations and flips, [a, b, c, d] as in a canvas: x' = a x + c y, y' = b x + d y.
// A pan is the distance of the image's centre from that of the view, on the axes of the screen, in rows of the image.
const UPRIGHT = [1, 0, 0, 1];
const TURNS = { right: [0, 1, -1, 0], left: [0, -1, 1, 0], horizontal: [-1, 0, 0, 1], vertical: [1, 0, 0, -1] };
const LEAST_ZOOM = 0.2, MOST_ZOOM = 40;
const KEPT = 32; // pixels of the image that remain in the view

const fresh = () => ({ orientation: UPRIGHT, zoom: 1, pan: [0, 0] });
const applied = ([a, b, c, d], [x, y]) => [a * x + c * y, b * x + d * y];
const mirrored = ([a, b, c, d]) => a * d - b * c < 0;
const sideways = ([a]) => a === 0;

function after(turn, orientation) {
  const [a, b, c, d] = orientation;
  return [...applied(turn, [a, b]), ...applied(turn, [c, d])];
}

// Degrees by which an orientation that is not mirrored is turned clockwise.
const degrees = ([a, b]) => (a === 1 ? 0 : b === 1 ? 90 : a === -1 ? 180 : 270);

// Pixels of the screen per row of the image at zoom 1, at which the image just fits into the view.
function fitting(size, orientation, view) {
  const [across, down] = sideways(orientation) ? [size.height, size.width] : [size.width, size.height];
  return Math.min(view.width / across, view.height / down);
}

const scaleOf = (placement, size, view) => fitting(size, placement.orientation, view) * placement.zoom;

// The matrix [a, b, c, d, e, f] from image coordinates to pixels of the view.
function matrix(placement, size, view) {
  const scale = scaleOf(placement, size, view);
  const turned = placement.orientation.map((entry) => entry * scale);
  const [x, y] = applied(turned, [size.width / 2, size.height / 2]);
  return [...turned, view.width / 2 + placement.pan[0] * scale - x, view.height / 2 + placement.pan[1] * scale - y];
}

// The image coordinates of a pixel of the view.
function inverse([a, b, c, d, e, f], [x, y]) {
  const area = a * d - b * c;
  return [(d * (x - e) - c * (y - f)) / area, (a * (y - f) - b * (x - e)) / area];
}

const forward = ([a, b, c, d, e, f], [x, y]) => [a * x + c * y + e, b * x + d * y + f];

// Turned or flipped on the screen about the centre of the view.
const turned = (placement, turn) => ({
  ...placement,
  orientation: after(TURNS[turn], placement.orientation),
  pan: applied(TURNS[turn], placement.pan),
});

// Zoomed by `factor`; the pixel `at` of the view keeps its place in the image.
function zoomed(placement, factor, at, size, view) {
  const zoom = Math.min(Math.max(placement.zoom * factor, LEAST_ZOOM), MOST_ZOOM);
  const before = scaleOf(placement, size, view);
  const now = (before * zoom) / placement.zoom;
  const pan = [at[0] - view.width / 2, at[1] - view.height / 2].map(
    (offset, i) => (offset - ((offset - placement.pan[i] * before) * now) / before) / now,
  );
  return kept({ ...placement, zoom, pan }, size, view);
}

function moved(placement, [x, y], size, view) {
  const scale = scaleOf(placement, size, view);
  return kept({ ...placement, pan: [placement.pan[0] + x / scale, placement.pan[1] + y / scale] }, size, view);
}

// Part of the image stays in the view.
function kept(placement, size, view) {
  const scale = scaleOf(placement, size, view);
  const [across, down] = sideways(placement.orientation) ? [size.height, size.width] : [size.width, size.height];
  const furthest = [
    Math.max(0, (across * scale + view.width) / 2 - KEPT) / scale,
    Math.max(0, (down * scale + view.height) / 2 - KEPT) / scale,
  ];
  return { ...placement, pan: placement.pan.map((p, i) => Math.min(Math.max(p, -furthest[i]), furthest[i])) };
}

return { degrees, forward, fresh, inverse, matrix, mirrored, moved, scaleOf, turned, zoomed };
