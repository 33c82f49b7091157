// Painting of a radiograph: window and level by a lookup table, then one drawImage with the matrix of its placement.
//
// A window is { level, width } in shares of the 16-bit range: level - width / 2 is black, level + width / 2 white.
const NARROWEST = 0.004;
const BACKGROUND = "#000000";
const table = new Uint32Array(65536); // shared by all views: it is filled before each painting
const buffer = document.createElement("canvas");
const bufferContext = buffer.getContext("2d", { willReadFrequently: true });

function fill({ level, width }, inverted) {
  const low = (level - width / 2) * 65535, span = Math.max(width, NARROWEST) * 65535;
  for (let value = 0; value < 65536; value++) {
    const share = Math.min(Math.max((value - low) / span, 0), 1);
    const grey = Math.round((inverted ? 1 - share : share) * 255);
    table[value] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
  }
}

// Paint a view { radiograph, canvas, size, box, ratio, placement, window, inverted }. `fast` takes a coarser copy.
function paint(view, fast) {
  const context = view.canvas.getContext("2d");
  const { size, box, ratio } = view;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = BACKGROUND;
  context.fillRect(0, 0, view.canvas.width, view.canvas.height);
  const matrix = geometry.matrix(view.placement, size, box).map((entry) => entry * ratio);
  const perRow = Math.hypot(matrix[0], matrix[1]); // pixels of the canvas per row of the image
  const copy = radiographs.level(view.radiograph, 1 / perRow, fast ? 1 : 2);
  // The visible part of the copy, with a border that the interpolation reads.
  const unit = [(size.width / view.radiograph.levels[0].width) * copy.reduction, copy.reduction];
  const corners = [[0, 0], [view.canvas.width, view.canvas.height]].map((corner) => geometry.inverse(matrix, corner));
  const [left, right] = range(corners.map(([x]) => x / unit[0]), copy.width);
  const [top, bottom] = range(corners.map(([, y]) => y / unit[1]), copy.height);
  if (right <= left || bottom <= top) return;
  fill(view.window, view.inverted);
  cut(copy, left, top, right - left, bottom - top);
  context.setTransform(...matrix);
  context.imageSmoothingEnabled = true;
  // The last column of a halved copy may stand for one column of the image alone.
  context.beginPath();
  context.rect(0, 0, size.width, size.height);
  context.save();
  context.clip();
  context.drawImage(
    buffer, 0, 0, right - left, bottom - top,
    left * unit[0], top * unit[1], (right - left) * unit[0], (bottom - top) * unit[1],
  );
  context.restore();
}

function range(ends, limit) {
  return [Math.max(Math.floor(Math.min(...ends)) - 2, 0), Math.min(Math.ceil(Math.max(...ends)) + 2, limit)];
}

// Put a rectangle of a copy, looked up in the table, into the top left corner of the buffer.
function cut({ pixels, width }, left, top, across, down) {
  if (buffer.width < across || buffer.height < down) {
    buffer.width = Math.max(buffer.width, across);
    buffer.height = Math.max(buffer.height, down);
  }
  const image = bufferContext.createImageData(across, down);
  const colours = new Uint32Array(image.data.buffer);
  let at = 0;
  for (let y = top; y < top + down; y++) {
    for (let i = y * width + left, end = i + across; i < end; i++) colours[at++] = table[pixels[i]];
  }
  bufferContext.putImageData(image, 0, 0);
}

return { NARROWEST, paint };
