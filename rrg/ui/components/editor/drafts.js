// Drafts: what is not saved yet is kept in this tab at once, and on the server a moment later.
//
// The server takes a draft only from who has seen the stored one (`base_revision`); else it answers with the stored one.
// A record of this tab is { report_id, state, text, revision, seconds, unsent }; `unsent` says that the server does not
// have it yet. A tab has records of several studies; they end with the tab.
const PREFIX = "rrg:draft:";
const PAUSE = 2000, MOST = 6000; // milliseconds after the last change, and after the first, until the server gets it
const PATIENCE = 15000, AGAIN = 5000; // milliseconds to wait for an answer, and to wait before the next try

const key = ({ study_id, model }, reader) => `${PREFIX}${encodeURIComponent(study_id)}:${model}:${encodeURIComponent(reader)}`;

function read(name) {
  try { return JSON.parse(sessionStorage.getItem(name)); } catch { return null; }
}

function put(name, record) {
  if (record) sessionStorage.setItem(name, JSON.stringify(record));
  else sessionStorage.removeItem(name);
  window.dispatchEvent(new CustomEvent("rrg:drafts"));
}

// `page` has now() ({ value, state, content, isDirty, seconds }), isHeld(), send(event) and changed().
function create(page) {
  let latest = null; // what the page showed last: { name, report_id, reader, content, ... }
  let revision = 0, unsent = false, conflict = null, failure = null, keptAt = null;
  let timer = null, first = null, flight = null, stamps = 0, settled = null;

  function look() {
    const { value, state, content, isDirty, seconds } = page.now();
    latest = { name: key(value, value.reader), report_id: value.report_id, reader: value.reader, state, content, isDirty, seconds };
  }

  function store() {
    const { name, report_id, state, content, isDirty, seconds } = latest;
    put(name, isDirty ? { report_id, state, text: content.text, revision, seconds, unsent } : null);
  }

  function schedule(pause) {
    clearTimeout(timer);
    timer = setTimeout(flush, pause);
  }

  function stop() {
    clearTimeout(timer);
    timer = first = null;
  }

  function flush() {
    stop();
    if (!latest?.reader || !unsent || flight || conflict) return;
    if (page.isHeld(latest.reader)) { schedule(PAUSE); return; }
    const { name, report_id, reader, content, isDirty, seconds } = latest;
    flight = { name, stamp: `${report_id} ${++stamps}`, timer: setTimeout(lost, PATIENCE) };
    unsent = false;
    page.send({
      report_id, base_revision: revision, content: isDirty ? { ...content, seconds } : null, reader, stamp: flight.stamp, // null discards
    });
  }

  function land() {
    clearTimeout(flight.timer);
    flight = null;
    settled?.();
    settled = null;
  }

  function lost() {
    const isShown = flight.name === latest?.name;
    land();
    if (!isShown) return;
    [failure, unsent] = ["there is no answer.", true];
    store();
    schedule(AGAIN);
    page.changed();
  }

  return {
    local: (value, reader) => read(key(value, reader)),
    forget: (value, reader) => put(key(value, reader), null),
    // What was typed before the reader gave a name is that reader's.
    rename: (value, reader) => {
      const record = read(key(value, ""));
      if (record && !read(key(value, reader))) put(key(value, reader), record);
      if (record) put(key(value, ""), null);
    },
    anyUnsent: () => Object.keys(sessionStorage).some((name) => name.startsWith(PREFIX) && read(name)?.unsent),
    // Begin with the revision on which the shown text is based; `other` is { draft } where the server has another one.
    open: (base, stored, waiting, other) => {
      stop();
      [revision, keptAt, unsent, conflict, failure] = [base, stored?.saved_at ?? null, waiting, other, null];
      look();
      store();
      if (waiting) schedule(PAUSE);
    },
    take: () => {
      look();
      unsent = latest.isDirty || revision > 0;
      failure = null;
      store();
      first ??= performance.now();
      schedule(Math.max(0, Math.min(PAUSE, first + MOST - performance.now())));
    },
    flush,
    answer: (answer) => {
      if (!flight || answer?.stamp !== flight.stamp) return;
      const { name } = flight;
      if (name !== latest?.name) { // of a report that is no longer shown
        const record = read(name);
        if (record && answer.revision) put(name, { ...record, revision: answer.revision, unsent: false });
        land();
        return;
      }
      if (answer.failure) [failure, unsent] = [answer.failure, true];
      else if (answer.conflict) [conflict, unsent] = [answer.conflict, true];
      else [revision, keptAt, failure] = [answer.revision, answer.saved_at, null];
      store();
      land();
      if (unsent) schedule(failure ? AGAIN : PAUSE);
      page.changed();
    },
    // Call `then` once no draft is on its way: one that arrived after the correction would stay behind.
    settle: (then) => {
      stop();
      if (flight) settled = then;
      else then();
    },
    // The draft became a correction, and the server has removed it.
    saved: () => {
      look();
      [revision, keptAt, conflict, failure, unsent] = [0, null, null, null, latest.isDirty];
      store();
      if (unsent) schedule(PAUSE);
      else stop();
    },
    // Go on with the text of this window, on top of the stored draft.
    keepMine: () => {
      [revision, conflict, unsent] = [conflict.draft?.revision ?? 0, null, true];
      flush();
    },
    status: () => ({ conflict, failure, keptAt, unsent }),
  };
}

return { create };
