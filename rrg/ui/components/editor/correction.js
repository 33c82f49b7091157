// The correction as a value. A state { rows, whole, verdict, quality, comment, boxes } is never changed: each step makes
// a new one. `report` is { text, sentences }.
//
// A row is a sentence: `source` is its index in the report, null if the reader inserted it. `whole` is the text that was
// typed as a whole, null while the rows are the text. `verdict` is null while the proposed one holds.
const REASONS = ["false finding", "omission", "wrong location", "wrong severity", "unfounded comparison", "missing comparison"];
const DEFAULT_REASON = { delete: "false finding", insert: "omission" };
let rows = 0;

const row = (source, text, more) => ({ id: ++rows, source, text, deleted: false, reason: null, significant: null, ...more });
const again = ({ id, source, text, ...more }) => row(source, text, more); // ids are of one page
const untouched = (report) => ({
  rows: report.sentences.map((text, source) => row(source, text)), whole: null, verdict: null, quality: null, comment: "", boxes: [],
});

// `content` is what the server stores: { text, verdict, quality, comment, edits, boxes }.
function restored(content, report) {
  const state = {
    rows: content.edits.length ? rowsOf(content.edits, report) : untouched(report).rows,
    whole: null, verdict: content.verdict, quality: content.quality, comment: content.comment, boxes: content.boxes,
  };
  if (text(state, report) !== content.text) state.whole = state.divided = content.text;
  return state.verdict === proposed(state, report) ? { ...state, verdict: null } : state;
}

function rowsOf(edits, report) {
  return edits.map(({ action, source, text, reason, significant }) => row(
    source, action === "insert" || action === "edit" ? text : report.sentences[source] ?? text,
    { deleted: action === "delete", reason: reason === DEFAULT_REASON[action] ? null : reason, significant },
  ));
}

// Rows for another division of the text. What the reader said of a sentence stays with it.
function divided(state, edits, report) {
  const said = new Map(state.rows.filter((r) => r.source !== null).map((r) => [r.source, r]));
  return {
    ...state,
    rows: rowsOf(edits, report).map((r) => {
      const before = said.get(r.source);
      return before ? { ...r, id: before.id, reason: r.reason ?? before.reason, significant: r.significant ?? before.significant } : r;
    }),
  };
}

function action({ source, text, deleted }, report) {
  if (source === null) return text.trim() ? "insert" : "none";
  if (deleted || !text.trim()) return "delete";
  return text.trim() === report.sentences[source].trim() ? "keep" : "edit";
}

const reason = (r, report) => r.reason ?? DEFAULT_REASON[action(r, report)] ?? null;

function edits(state, report) {
  return state.rows.filter((r) => action(r, report) !== "none").map((r) => {
    const done = action(r, report), changed = done !== "keep";
    return {
      action: done, source: r.source, text: done === "delete" ? "" : done === "keep" ? report.sentences[r.source] : r.text.trim(),
      reason: changed ? reason(r, report) : null, significant: changed ? r.significant : null,
    };
  });
}

const kept = (state, report) => edits(state, report).filter((e) => e.action !== "delete");

function text(state, report) {
  if (state.whole !== null) return state.whole;
  const parts = kept(state, report);
  const same = parts.length === report.sentences.length && parts.every((e, i) => e.action === "keep" && e.source === i);
  return same ? report.text : parts.map((e) => e.text).join(" ");
}

// Ids of the rows that stand after a sentence that came later in the report.
function moved(state, report) {
  const found = new Set();
  let last = -1;
  for (const r of state.rows) {
    if (r.source === null || action(r, report) === "delete") continue;
    if (r.source < last) found.add(r.id);
    last = Math.max(last, r.source);
  }
  return found;
}

const changes = (state, report) => edits(state, report).filter((e) => e.action !== "keep");
const isChanged = (state, report) => text(state, report) !== report.text || changes(state, report).length > 0;

// Whether the report is right as it is: a box marks what it misses.
const isRight = (state, report) => !isChanged(state, report) && !state.boxes.length;

function proposed(state, report) {
  if (isRight(state, report)) return "accept";
  const parts = edits(state, report);
  if (!parts.some((e) => e.action === "keep" || e.action === "edit")) return "reject";
  return parts.some((e) => e.significant) ? "major" : "minor";
}

// A report with changes cannot be accepted as it is.
const verdict = (state, report) => (
  state.verdict === null || (state.verdict === "accept" && !isRight(state, report)) ? proposed(state, report) : state.verdict
);

// What is stored. A text that was typed as a whole and is not divided yet has no edits; the server divides it.
const content = (state, report, isDivided = true) => ({
  text: text(state, report), edits: isDivided ? edits(state, report) : [],
  verdict: verdict(state, report), quality: state.quality, comment: state.comment, boxes: state.boxes,
});

return { REASONS, action, again, changes, content, divided, edits, isChanged, isRight, moved, proposed, reason, restored, row, text, untouched, verdict };
