// The reports of several models in columns: images under their maps above, aligned sentences below.
const find = (selector) => element.querySelector(selector);
const body = find("tbody"), heads = find("thead tr"), preset = find(".preset"), opacity = find(".opacity");
const NOTHING = { kind: null, index: null };
const BOTH_FROM = 400; // pixels of a column from which both views are shown at once
const VIEWS = { 0: "Frontal", 1: "Lateral", both: "Both" };
const make = stages.make;
const send = (name, column, detail) =>
  window.dispatchEvent(new CustomEvent(name, { detail: { ...detail, channel: `compare-${column}` } }));
const palette = { hexes: props.colours, colours: maps.palette(props.colours, 0) };

// A column is { head, title, facts, caption, pane, heatmaps, pointed, pinned }.
let columns = [], value = null, opened = null, chosenViews = null;
const pictures = images.create({
  panes: () => columns.map((column) => column.pane), opacity: () => opacity.value / 100, palette: () => palette,
});

// Heads ---------------------------------------------------------------------------------------------------------------

// The panes stay when only the reports change, with their zoom and window.
function showColumns() {
  const wanted = JSON.stringify([value?.views, value?.columns.length]);
  if (wanted !== opened) {
    opened = wanted;
    chosenViews = null;
    preset.value = 0;
    columns = pictures.open(value?.views ?? [], value?.columns.length ?? 0).map((pane) => {
      const head = make("th", "column"), title = make("div", "model"), facts = make("div", "facts");
      const figures = make("div", "figures"), caption = make("div", "caption");
      head.scope = "col";
      figures.append(...pane.views.map((view) => view.figure));
      head.append(title, facts, figures, caption);
      return { head, title, facts, caption, pane, heatmaps: null, pointed: NOTHING, pinned: NOTHING };
    });
  }
  columns.forEach((column, at) => {
    const { title, facts, note } = value.columns[at];
    column.title.textContent = title;
    column.facts.textContent = note || facts;
    column.facts.classList.toggle("note", Boolean(note));
    column.pointed = column.pinned = NOTHING;
  });
  heads.replaceChildren(...columns.map((column) => column.head));
  if (value?.has_reference) {
    const head = make("th", "reference");
    head.scope = "col";
    head.append(make("div", "model", "Reference"), make("div", "facts", "the report of the data set"));
    heads.append(head);
  }
  showViews();
}

function showViews() {
  const views = value?.views ?? [];
  const width = columns[0]?.head.clientWidth ?? 0;
  const shown = chosenViews ?? (views.length > 1 && width >= BOTH_FROM ? "both" : "0");
  element.dataset.views = shown;
  find(".shown-views").hidden = views.length < 2;
  find(".shown-views").replaceChildren(...Object.keys(VIEWS).map((name) => {
    const button = make("button", "", views[name]?.title ?? VIEWS[name]);
    button.type = "button";
    button.dataset.views = name;
    button.setAttribute("aria-pressed", name === shown);
    return button;
  }));
}

// Sentences -----------------------------------------------------------------------------------------------------------

function part(className, text, kind, index, label) {
  const node = make("span", className, text);
  node.setAttribute("role", "button");
  node.setAttribute("aria-pressed", "false");
  if (label) node.setAttribute("aria-label", label);
  node.tabIndex = -1;
  node.dataset.kind = kind;
  node.dataset.index = index;
  return node;
}

function cellOf(cell, column, text) {
  const node = make("td", cell ? "said" : "unsaid");
  node.dataset.column = column;
  if (!cell) {
    if (text !== null) node.append(make("span", "missing", "nothing like it"));
    return node;
  }
  node.append(part("number", cell.sentence + 1, "sentence", cell.sentence, `Sentence ${cell.sentence + 1}`));
  const words = make("span", "words");
  cell.words.forEach((word, at) => {
    if (at) words.append(text.slice(cell.words[at - 1].end, word.start));
    const piece = part("word", text.slice(word.start, word.end), "word", word.index);
    piece.dataset.start = word.start;
    piece.dataset.end = word.end;
    words.append(piece);
  });
  node.append(words);
  return node;
}

function showRows() {
  body.replaceChildren();
  const span = columns.length + (value?.has_reference ? 1 : 0);
  (value?.rows ?? []).forEach((row, at) => {
    const line = make("tr", row.contradictions.length ? "contradicts" : "");
    line.dataset.row = at;
    line.append(...row.cells.map((cell, column) => cellOf(cell, column, value.columns[column].text)));
    if (value.has_reference) {
      const cell = make("td", "reference", row.reference);
      if (row.reference === null) cell.append(make("span", "missing", "nothing like it"));
      line.append(cell);
    }
    body.append(line);
    if (!row.contradictions.length) return;
    const notes = make("tr", "notes"), cell = make("td", "");
    cell.colSpan = span;
    cell.append(...row.contradictions.map((name) => make("span", "kind", `Contradiction: ${name.toLowerCase()}`)));
    notes.append(cell);
    body.append(notes);
  });
  const first = body.querySelector("[data-kind]");
  if (first) first.tabIndex = 0;
}

function show() {
  value = props.value || null; // Gradio converts None to an empty string
  find(".empty").hidden = Boolean(value);
  find(".tools").hidden = find(".scroll").hidden = !value;
  element.style.setProperty("--columns", (value?.columns.length ?? 0) + (value?.has_reference ? 1 : 0));
  showColumns();
  showRows();
  columns.forEach((_, column) => announce(column));
  askForMaps();
}

// Stored reports come without maps. The maps of a report that is being written follow it by themselves.
function askForMaps() {
  if (!value?.ask) return;
  const missing = columns.map((column, at) => at).filter((at) => value.columns[at].text !== null && !columns[at].heatmaps);
  if (missing.length) trigger("explain", { columns: missing });
}

// Maps ----------------------------------------------------------------------------------------------------------------

const target = (column) => (column.pinned.kind || column.pinned.silent ? column.pinned : column.pointed);

function listMaps(at) {
  const sent = props[`maps_${at}`] || {};
  const column = columns[at];
  if (!column) return;
  column.heatmaps = sent.word
    && Object.fromEntries(Object.entries(sent).map(([kind, list]) => [kind, list.map((map) => map && maps.decoded(map))]));
  announce(at);
}

// Show a column's map at once, in its image and in its sentences, and tell the other components.
function announce(at) {
  const column = columns[at], { kind, index, spans, silent } = target(column);
  const map = (kind && column.heatmaps?.[kind]?.[index]) || null;
  column.pane.map = map;
  pictures.repaintMap(column.pane);
  column.caption.textContent = silent ? "says nothing about it"
    : !kind ? (column.heatmaps ? "" : value.columns[at].text === null ? "" : "Maps follow")
      : !map ? "no map of it"
        : map.max ? `“${map.target}” · max ${map.max.toPrecision(2)}` : `“${map.target}” · zero everywhere`;
  column.caption.title = map?.method ? [map.method, map.reduction, map.layer].filter(Boolean).join(" · ") : "";
  const pinned = Boolean(column.pinned.kind);
  for (const node of body.querySelectorAll(`td[data-column="${at}"] [data-kind]`)) {
    const own = node.dataset.kind === kind && Number(node.dataset.index) === index;
    const mentioned = (spans ?? []).some(([start, end]) => Number(node.dataset.start) < end && Number(node.dataset.end) > start);
    node.classList.toggle("shown", own);
    node.classList.toggle("mentioned", mentioned);
    node.setAttribute("aria-pressed", own && pinned);
    if (node.dataset.kind === "sentence") node.closest("td").classList.toggle("shown", own);
  }
  find(".release").hidden = !columns.some(({ pinned: kept }) => kept.kind);
  send("rrg:shown", at, { kind, index, spans, pinned });
}

function point(at, next) {
  const column = columns[at];
  if (column.pointed.kind === next.kind && column.pointed.index === next.index && column.pointed.silent === next.silent) return;
  column.pointed = next.kind || next.silent ? next : NOTHING;
  announce(at);
}

function pin(at, next) {
  const column = columns[at];
  const same = column.pinned.kind === next.kind && column.pinned.index === next.index;
  column.pinned = (same || !next.kind) && !next.silent ? NOTHING : next;
  announce(at);
}

const release = () => columns.forEach((_, at) => { columns[at].pointed = NOTHING; send("rrg:pin", at, NOTHING); });

for (const [name, handle] of [["rrg:point", point], ["rrg:pin", pin]]) {
  window.addEventListener(name, (event) => {
    const at = columns.findIndex((_, column) => event.detail?.channel === `compare-${column}`);
    if (at >= 0) handle(at, event.detail);
  });
}

// Input ---------------------------------------------------------------------------------------------------------------

const pieceOf = (event) => event.target.closest("[data-kind]");

// What each column shows for a word or sentence of one of them.
function counterparts(piece) {
  const row = value.rows[Number(piece.closest("tr").dataset.row)];
  const from = Number(piece.closest("td").dataset.column);
  const texts = value.columns.map((column) => column.text);
  const wanted = { kind: piece.dataset.kind, index: Number(piece.dataset.index) };
  return columns.map((_, column) => {
    const found = counterpart.of(row, texts, from, column, wanted);
    return found.kind ? found : { ...NOTHING, silent: true };
  });
}

const pointAt = (piece) => counterparts(piece).forEach((detail, column) => send("rrg:point", column, detail));
const leave = () => columns.forEach((_, column) => send("rrg:point", column, NOTHING));

body.addEventListener("pointerover", (event) => {
  // Between the words of a sentence, its own map is shown.
  const piece = pieceOf(event) ?? event.target.closest("td")?.querySelector(".number");
  if (piece) pointAt(piece);
  else leave();
});
body.addEventListener("pointerleave", leave);
body.addEventListener("focusin", (event) => {
  const piece = pieceOf(event);
  if (!piece) return;
  body.querySelectorAll('[tabindex="0"]').forEach((other) => { other.tabIndex = -1; });
  piece.tabIndex = 0;
  pointAt(piece);
});
body.addEventListener("focusout", leave);
body.addEventListener("click", (event) => {
  const piece = pieceOf(event);
  if (!piece) return;
  const kept = piece.getAttribute("aria-pressed") === "true";
  columns.forEach((_, column) => send("rrg:pin", column, NOTHING));
  if (!kept) counterparts(piece).forEach((detail, column) => send("rrg:pin", column, detail));
});
body.addEventListener("keydown", (event) => {
  const piece = pieceOf(event);
  if (!piece) return;
  const all = [...body.querySelectorAll("[data-kind]")], at = all.indexOf(piece);
  const cell = piece.closest("td");
  const numbers = [...body.querySelectorAll(`td[data-column="${cell.dataset.column}"] .number`)];
  const line = numbers.indexOf(cell.querySelector(".number"));
  const goal = {
    ArrowRight: all[at + 1], ArrowLeft: all[at - 1],
    ArrowDown: numbers[line + 1], ArrowUp: piece.dataset.kind === "word" ? numbers[line] : numbers[line - 1],
    Home: all[0], End: all.at(-1),
  };
  if (event.key in goal) {
    event.preventDefault();
    goal[event.key]?.focus();
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    piece.click();
  }
});
window.addEventListener("keydown", (event) => { if (event.key === "Escape" && element.offsetParent) release(); });

preset.append(...presets.map(({ name }, index) => {
  const option = make("option", "", name);
  option.value = index;
  return option;
}));
preset.addEventListener("change", () => pictures.setWindow(presets[preset.value]));
opacity.addEventListener("input", () => columns.forEach(({ pane }) => pictures.repaintMap(pane)));
find(".fit").addEventListener("click", pictures.fit);
find(".release").addEventListener("click", release);
find(".shown-views").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  chosenViews = button.dataset.views;
  showViews();
  find(`.shown-views [data-views="${chosenViews}"]`).focus();
});
find(".ramp").style.background = `linear-gradient(to right, ${props.colours.join(",")})`;
watch("value", show);
for (let at = 0; `maps_${at}` in props; at++) watch(`maps_${at}`, () => listMaps(at));
show();
columns.forEach((_, at) => listMaps(at));
