// Which map is shown and how: pointed at, kept or chosen in the menu; colours, threshold, contour, regions; and the place
// that was looked up.
const NOTHING = { kind: null, index: null };

// `page` has send(name, detail), views(), boxes(view) and changed(), which is called when the toolbar may have to change.
function create(element, colormaps, page) {
  const find = (selector) => element.querySelector(selector);
  const menu = find(".overlay select"), colours = find(".colours select");
  const opacity = find(".opacity input"), threshold = find(".threshold input");
  let heatmaps = { word: [], sentence: [], finding: [], native: [], "edited-word": [], "edited-sentence": [] }, regions = [];
  let pointed = NOTHING, pinned = NOTHING, place = null, kept = false;
  let contour = false, regionsShown = false, palette = null;

  const target = () => (pinned.kind ? pinned : pointed);
  const share = () => Number(threshold.value) / 100;

  function shown() {
    const { kind, index } = target();
    return (kind && heatmaps[kind]?.[index]) || null;
  }

  // The picture and the contour of a view are kept until the map, its colours or its threshold change.
  function paint(view) {
    const map = shown();
    const visible = map?.max && view.index < map.shape[0];
    if (visible && (view.picture?.map !== map || view.picture.palette !== palette)) {
      view.picture = { map, palette, canvas: maps.raster(map, view.index, view.size, palette.colours) };
    }
    if (visible && contour && (view.contour?.map !== map || view.contour.share !== share())) {
      view.contour = { map, share: share(), lines: maps.contours(map, view.index, share()) };
    }
    overlay.paint(view, {
      picture: visible ? view.picture.canvas : null,
      contour: visible && contour ? view.contour.lines : null,
      opacity: opacity.value / 100,
      colour: palette.hexes.at(-1),
      regions: regionsShown ? regions : null,
      boxes: page.boxes(view),
      place,
    });
  }

  // At once, not in the next frame: a map has to follow the pointer.
  const repaint = () => page.views().filter((view) => view.ready).forEach(paint);

  function choosePalette() {
    const hexes = colormaps[colours.value];
    palette = { hexes, colours: maps.palette(hexes, share()) };
    find(".ramp").style.background = `linear-gradient(to right, ${hexes.join(",")})`;
    find(".threshold output").textContent = `${threshold.value} %`;
    repaint();
  }

  function announce() {
    page.send("rrg:shown", { ...target(), pinned: Boolean(pinned.kind) });
    menu.value = ["native", "finding"].includes(pinned.kind) ? `${pinned.kind} ${pinned.index}` : "";
    if (menu.selectedIndex < 0) menu.value = ""; // a map that is zero everywhere is not offered
    repaint();
    describe();
  }

  function describe() {
    find(".unpin").hidden = !pinned.kind && !kept;
    legend.describe(element, {
      map: shown(), kind: target().kind, pinned: Boolean(pinned.kind), place,
      hasViews: page.views().length > 0, hasMaps: heatmaps.word.length > 0,
    });
  }

  function list(sent) {
    for (const kind of Object.keys(heatmaps)) {
      heatmaps[kind] = (sent[kind] ?? []).map((map) => map && maps.decoded(map));
    }
    regions = sent.regions ?? [];
    legend.list(menu, heatmaps);
    if (!heatmaps[pinned.kind]?.[pinned.index]) pinned = NOTHING;
    setPlace(null);
    announce();
    page.changed();
  }

  // The maps of the words and sentences of an edited text; those of the report stay.
  function listEdited(sent) {
    for (const kind of ["word", "sentence"]) heatmaps[`edited-${kind}`] = (sent[kind] ?? []).map(maps.decoded);
    if (pinned.kind?.startsWith("edited-")) pinned = NOTHING;
    announce();
  }

  function point(next) {
    if (next.kind === pointed.kind && next.index === pointed.index) return;
    pointed = next.kind ? next : NOTHING;
    announce();
  }

  function pin(next) {
    const same = pinned.kind === next.kind && pinned.index === next.index;
    pinned = same || !next.kind ? NOTHING : next;
    announce();
  }

  function release() {
    pinned = pointed = NOTHING;
    setPlace(null);
    announce();
  }

  function setPlace(next, keep = false) {
    if (!next && !place) return;
    place = next;
    kept = Boolean(next) && keep;
    const [words, edited] = ["word", "edited-word"].map((kind) => (place ? maps.wordsAt(heatmaps[kind], place.view, place.row, place.column) : []));
    page.send("rrg:place", place ? { ...place, kept, words, edited } : { view: null, words, edited });
    repaint();
    describe();
  }

  // Look up the words at a place of a view (pixels of its stage); a kept place stays until it is released.
  function lookUp(view, at, keep) {
    if (kept && !keep) return;
    const [x, y] = geometry.inverse(geometry.matrix(view.placement, view.size, view.box), at);
    const column = x / view.size.width, row = y / view.size.height;
    const inside = column >= 0 && column <= 1 && row >= 0 && row <= 1;
    setPlace(inside ? { view: view.index, row, column } : null, keep);
  }

  const leave = () => { if (!kept) setPlace(null); };

  colours.append(...Object.keys(colormaps).map((name) => legend.choice(name, name)));
  colours.addEventListener("change", choosePalette);
  threshold.addEventListener("input", choosePalette);
  opacity.addEventListener("input", repaint);
  menu.addEventListener("change", () => {
    const [kind, index] = menu.value.split(" ");
    // The findings table pins a finding, because it has the spans of the words that mention it.
    if (kind === "finding") page.send("rrg:choose-finding", { index: Number(index) });
    else pin(kind ? { kind, index: Number(index) } : NOTHING);
  });
  choosePalette();

  return {
    leave, list, listEdited, lookUp, paint, pin, point, release, repaint,
    // The finding whose map is kept, by name.
    finding: () => (pinned.kind === "finding" ? shown()?.target ?? null : null),
    toggleContour: () => {
      contour = !contour;
      if (contour && threshold.value === "0") { threshold.value = 50; choosePalette(); }
      repaint();
    },
    toggleRegions: () => { regionsShown = !regionsShown; repaint(); },
    // What the toolbar shows.
    state: () => ({
      contour, regionsShown, hasRegions: regions.length > 0, hasMaps: heatmaps.word.length > 0 || !menu.disabled,
      busy: Boolean(pinned.kind || place), looking: Boolean(place) && !kept,
    }),
  };
}

return { create };
