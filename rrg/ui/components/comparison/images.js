// The images of a column under its map. All columns show the same views, placed and windowed in step.
// Pixels of the longer side of a map's picture: the panes are small, and a word has up to 14 pictures that follow the pointer.
const RASTER = 64;
const ZOOM_STEP = 1.25;

// `page` has panes(), opacity() and palette().
function create(page) {
  let shared = [], loading = null;

  function paint(pane, view) {
    view.ready = Boolean(view.radiograph && view.box.width && view.box.height);
    if (!view.ready) return;
    painting.paint(view, false);
    paintMap(pane, view);
    view.canvas.dataset.ready = "true";
  }

  function paintMap(pane, view) {
    const map = pane.map?.max && view.index < pane.map.shape[0] ? pane.map : null;
    if (map && !view.pictures.has(map)) {
      view.pictures.set(map, maps.raster(map, view.index, view.size, page.palette().colours, RASTER));
    }
    overlay.paint(view, {
      picture: map ? view.pictures.get(map) : null, contour: null, opacity: page.opacity(), colour: page.palette().hexes.at(-1),
      regions: null, place: null,
    });
  }

  const repaintMap = (pane) => pane.views.filter((view) => view.ready).forEach((view) => paintMap(pane, view));

  const sizes = new ResizeObserver((entries) => {
    for (const { target, contentRect: { width, height } } of entries) {
      for (const pane of page.panes()) {
        const view = pane.views.find((other) => other.stage === target);
        if (!view) continue;
        view.box = { width, height };
        view.ratio = window.devicePixelRatio;
        for (const canvas of [view.canvas, view.overlay]) {
          canvas.width = Math.max(1, Math.round(width * view.ratio));
          canvas.height = Math.max(1, Math.round(height * view.ratio));
        }
        paint(pane, view);
      }
    }
  });

  // Change all panes' views of one index, in the next frame.
  function change(index, values) {
    Object.assign(shared[index], values);
    shared[index].frame ??= requestAnimationFrame(() => {
      shared[index].frame = undefined;
      for (const pane of page.panes()) {
        const view = pane.views[index];
        if (!view) continue;
        Object.assign(view, { placement: shared[index].placement, window: shared[index].window });
        paint(pane, view);
      }
    });
  }

  const arrange = (view, step) => {
    if (view.box.width) change(view.index, { placement: step(shared[view.index].placement, view.size, view.box) });
  };
  const fit = () => shared.forEach((_, index) => change(index, { placement: geometry.fresh() }));
  const setWindow = (preset) => shared.forEach((_, index) => change(index, { window: preset }));

  function connect(view) {
    const zoom = (factor, at) => arrange(view, (placement, size, box) => geometry.zoomed(placement, factor, at, size, box));
    const move = (step) => arrange(view, (placement, size, box) => geometry.moved(placement, step, size, box));
    const nothing = () => {};
    pointer.attach(view.stage, {
      tool: () => "pan", press: nothing, move, zoom, hover: nothing, leave: nothing, double: fit,
      drag: (used, step, start) => (used === "zoom" ? zoom(Math.exp(-step[1] / 100), start) : move(step)),
    });
    const middle = () => [view.box.width / 2, view.box.height / 2];
    const keys = {
      "+": () => zoom(ZOOM_STEP, middle()), "-": () => zoom(1 / ZOOM_STEP, middle()), "=": fit, " ": fit,
      ArrowLeft: () => move([24, 0]), ArrowRight: () => move([-24, 0]), ArrowUp: () => move([0, 24]), ArrowDown: () => move([0, -24]),
    };
    view.stage.addEventListener("keydown", (event) => {
      if (event.target !== view.stage || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
  }

  // New panes for these views. Each radiograph is fetched once, for all of them.
  function open(infos, count) {
    loading?.abort();
    loading = new AbortController();
    sizes.disconnect();
    shared = infos.map(() => ({ placement: geometry.fresh(), window: presets[0] }));
    const panes = Array.from({ length: count }, () => {
      const views = infos.map(stages.view);
      views.forEach((view) => {
        view.stage.setAttribute("aria-label", `${view.info.title} view. Plus and minus zoom all columns, the arrow keys move, Space fits.`);
        view.pictures = new WeakMap(); // the picture of each map that was shown
        connect(view);
        sizes.observe(view.stage);
      });
      return { views, map: null };
    });
    infos.forEach((info, index) => fetchPixels(info, panes.map((pane) => ({ pane, view: pane.views[index] })), loading.signal));
    return panes;
  }

  async function fetchPixels(info, places, signal) {
    places.forEach(({ view }) => { view.message.textContent = "Loading the image"; });
    try {
      const radiograph = await radiographs.load(info, signal);
      places.forEach(({ pane, view }) => {
        view.radiograph = radiograph;
        view.message.textContent = "";
        paint(pane, view);
      });
    } catch (error) {
      if (signal.aborted) return;
      places.forEach(({ view }) => stages.failed(view, error.message, () => fetchPixels(info, places, signal)));
    }
  }

  return { fit, open, repaintMap, setWindow };
}

return { create };
