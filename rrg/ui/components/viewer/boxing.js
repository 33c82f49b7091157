// Boxes that a reader draws around findings: drawn with the box tool, shown with their names, deleted with a key.
//
// A box is { image, left, top, right, bottom, label } in shares of the radiograph's width and height, so it follows every
// change of the view. The page has the boxes; what is drawn or deleted here is sent to it.
const LEAST = 6, NEAR = 6; // pixels of a side that is no slip of the hand, and from an edge that is pressed

const within = (share) => Math.min(Math.max(share, 0), 1);

function shares(view, at) {
  const [x, y] = geometry.inverse(geometry.matrix(view.placement, view.size, view.box), at);
  return [within(x / view.size.width), within(y / view.size.height)];
}

// The edges of a box on the screen, [left, top, right, bottom] in pixels of the stage.
function onScreen(view, { left, top, right, bottom }) {
  const matrix = geometry.matrix(view.placement, view.size, view.box);
  const [one, other] = [[left, top], [right, bottom]].map(([x, y]) => geometry.forward(matrix, [x * view.size.width, y * view.size.height]));
  return [Math.min(one[0], other[0]), Math.min(one[1], other[1]), Math.max(one[0], other[0]), Math.max(one[1], other[1])];
}

// `page` has send(name, detail), finding() (the name of the finding whose map is kept, or null) and changed(view).
function create(page) {
  let boxes = [], drawn = null, chosen = null;

  // The box whose edge is pressed, the one drawn last first.
  function at(view, [x, y]) {
    return boxes.findLastIndex((box) => {
      if (box.image !== view.index) return false;
      const [left, top, right, bottom] = onScreen(view, box);
      if (x < left - NEAR || x > right + NEAR || y < top - NEAR || y > bottom + NEAR) return false;
      return Math.min(Math.abs(x - left), Math.abs(x - right), Math.abs(y - top), Math.abs(y - bottom)) <= NEAR;
    });
  }

  return {
    list: (sent) => { boxes = sent; chosen = null; },
    press: (view, place) => {
      const index = at(view, place);
      chosen = index < 0 ? null : index;
      drawn = index < 0 ? { view, from: place, to: place } : null;
      page.changed();
    },
    drag: (place) => {
      if (!drawn) return;
      drawn.to = place;
      page.changed();
    },
    // Returns whether a box was drawn.
    release: () => {
      if (!drawn) return false;
      const { view, from, to } = drawn;
      drawn = null;
      page.changed();
      const [one, other] = [shares(view, from), shares(view, to)];
      const [left, top] = [Math.min(one[0], other[0]), Math.min(one[1], other[1])];
      const [right, bottom] = [Math.max(one[0], other[0]), Math.max(one[1], other[1])];
      if (Math.abs(from[0] - to[0]) < LEAST || Math.abs(from[1] - to[1]) < LEAST || left >= right || top >= bottom) return false;
      page.send("rrg:box", { image: view.index, left, top, right, bottom, finding: page.finding() });
      return true;
    },
    cancel: () => { drawn = chosen = null; page.changed(); },
    // Delete the box that was pressed. Returns whether there was one.
    remove: () => {
      if (chosen === null) return false;
      page.send("rrg:box-remove", { index: chosen });
      chosen = null;
      return true;
    },
    // What overlay.js paints over a view.
    of: (view) => [
      ...boxes.map((box, index) => ({ ...box, edges: onScreen(view, box), isChosen: index === chosen })).filter((box) => box.image === view.index),
      ...(drawn?.view === view ? [{ label: "", edges: onScreen(view, { ...spanned(view, drawn) }), isChosen: true }] : []),
    ],
  };
}

function spanned(view, { from, to }) {
  const [[left, top], [right, bottom]] = [shares(view, from), shares(view, to)];
  return { left, top, right, bottom };
}

return { create };
