// Maps over a radiograph: values between cells, colours, contours, and the words that looked at a place.
//
// A map is { shape: [views, rows, columns], bytes, max }: 255 is its maximum over all views. Cell (r, c) covers rows
// r/rows .. (r+1)/rows and columns c/columns .. (c+1)/columns of the radiograph, so its value is that of its centre.
const RASTER_SIDE = 256; // the browser enlarges the picture of a map further; painting it then takes well under one frame
const CONTOUR_CELLS = 96;

const decoded = (map) => ({ ...map, bytes: Uint8Array.from(atob(map.data), (c) => c.charCodeAt(0)) });

// Linear interpolation at the positions `at` (0 to 1): the cells beside each and the weight of the upper one.
function interpolation(at, cells) {
  const lower = new Int32Array(at.length), upper = new Int32Array(at.length), weight = new Float32Array(at.length);
  at.forEach((share, i) => {
    const place = Math.min(Math.max(share * cells - 0.5, 0), cells - 1);
    lower[i] = Math.min(Math.floor(place), Math.max(cells - 2, 0));
    upper[i] = Math.min(lower[i] + 1, cells - 1);
    weight[i] = place - lower[i];
  });
  return { lower, upper, weight };
}

const centres = (count) => Array.from({ length: count }, (_, i) => (i + 0.5) / count);
const nodes = (count) => Array.from({ length: count + 1 }, (_, i) => i / count);

// Values (0 to 255) of a map in a view, at each of `rows` and `columns` (positions 0 to 1).
function sampled(map, view, rows, columns) {
  const [, down, across] = map.shape;
  const values = new Float32Array(rows.length * columns.length), line = new Float32Array(across);
  const y = interpolation(rows, down), x = interpolation(columns, across);
  let at = 0;
  for (let row = 0; row < rows.length; row++) {
    const above = (view * down + y.lower[row]) * across, below = (view * down + y.upper[row]) * across;
    for (let cell = 0; cell < across; cell++) {
      line[cell] = map.bytes[above + cell] * (1 - y.weight[row]) + map.bytes[below + cell] * y.weight[row];
    }
    for (let column = 0; column < columns.length; column++) {
      const low = line[x.lower[column]];
      values[at++] = low + (line[x.upper[column]] - low) * x.weight[column];
    }
  }
  return values;
}

// 256 colours with opacity, as 32-bit pixels. Weak values leave the anatomy visible; those below `threshold` are hidden.
function palette(hexes, threshold) {
  const stops = hexes.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  return Uint32Array.from({ length: 256 }, (_, value) => {
    const place = (value / 255) * (stops.length - 1), low = Math.min(Math.floor(place), stops.length - 2);
    const [r, g, b] = stops[low].map((from, c) => Math.round(from + (stops[low + 1][c] - from) * (place - low)));
    const opacity = value / 255 < threshold ? 0 : Math.round(255 * (value / 255) ** 1.5);
    return (opacity << 24) | (b << 16) | (g << 8) | r;
  });
}

// The picture of a map in a view, about as many pixels wide and high as the radiograph's shape asks for. Each cell has a
// whole number of pixels, so that the picture is symmetrical about the centre of a cell.
function raster(map, view, size, colours, side = RASTER_SIDE) {
  const scale = side / Math.max(size.width, size.height);
  const [, rows, columns] = map.shape;
  const canvas = document.createElement("canvas");
  canvas.width = columns * Math.ceil((size.width * scale) / columns);
  canvas.height = rows * Math.ceil((size.height * scale) / rows);
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const values = sampled(map, view, centres(canvas.height), centres(canvas.width));
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < values.length; i++) pixels[i] = colours[(values[i] + 0.5) | 0];
  context.putImageData(image, 0, 0);
  return canvas;
}

// Lines on which a map in a view has the value `share` of its maximum: marching squares (Lorensen and Cline 1987, in
// two dimensions). Returns [x1, y1, x2, y2] with positions 0 to 1.
function contours(map, view, share) {
  const count = CONTOUR_CELLS, limit = share * 255, places = nodes(count);
  const values = sampled(map, view, places, places);
  const lines = [];
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < count; column++) {
      const corners = [[column, row], [column + 1, row], [column + 1, row + 1], [column, row + 1]];
      const heights = corners.map(([x, y]) => values[y * (count + 1) + x] - limit);
      const crossings = [];
      heights.forEach((height, i) => {
        const next = (i + 1) % 4;
        if (height >= 0 === heights[next] >= 0) return;
        const part = height / (height - heights[next]);
        crossings.push([0, 1].map((axis) => (corners[i][axis] + (corners[next][axis] - corners[i][axis]) * part) / count));
      });
      // Four crossings are a saddle: its centre decides which of them belong together.
      const centre = heights.reduce((sum, height) => sum + height) / 4;
      const order = crossings.length === 4 && centre >= 0 === heights[0] >= 0 ? [0, 1, 2, 3] : [3, 0, 1, 2];
      const ends = crossings.length === 4 ? order.map((i) => crossings[i]) : crossings;
      for (let i = 0; i + 1 < ends.length; i += 2) lines.push([...ends[i], ...ends[i + 1]]);
    }
  }
  return lines;
}

// For each word its map's value at a place, as a share of the map's maximum; the highest first.
function wordsAt(words, view, row, column) {
  return words
    .map((map, index) => ({ index, value: map && view < map.shape[0] ? sampled(map, view, [row], [column])[0] / 255 : 0 }))
    .sort((one, other) => other.value - one.value);
}

return { contours, decoded, palette, raster, wordsAt };
