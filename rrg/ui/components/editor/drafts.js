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

// `page` has value(), reader(), isHeld(), content(), seconds(), send(event) and changed().
function create(page) {
  let revision = 0, unsent = false, timer = null, first = null, flight = null, stamps = 0;
  let conflict = null, failure = null, keptAt = null, isDirty = false;

  function stop() {
    clearTimeout(timer);
    timer = first = null;
  }

  function schedule(pause) {
    clearTimeout(timer);
    timer = setTimeout(flush, pause);
  }

  function store() {
    const value = page.value();
    if (!value) return;
    const name = key(value, page.reader());
    if (isDirty) {
      const record = { report_id: value.report_id, state: page.state(), text: page.content().text, revision, seconds: page.seconds(), unsent };
      sessionStorage.setItem(name, JSON.stringify(record));
    } else sessionStorage.removeItem(name);
    window.dispatchEvent(new CustomEvent("rrg:drafts"));
  }

  function flush() {
    stop();
    if (!page.value() || !unsent || flight || conflict || !page.reader()) return;
    if (page.isHeld()) { schedule(PAUSE); return; }
    const stamp = `${page.value().report_id} ${++stamps}`;
    flight = { stamp, timer: setTimeout(() => { flight = null; failure = "There is no answer from the server."; schedule(AGAIN); page.changed(); }, PATIENCE) };
    unsent = false;
    const content = isDirty ? { ...page.content(), seconds: page.seconds() } : null; // null discards the draft
    page.send({ report_id: page.value().report_id, base_revision: revision, content, reader: page.reader(), stamp });
  }

  return {
    key,
    local: (value, reader) => read(key(value, reader)),
    forget: (value, reader) => sessionStorage.removeItem(key(value, reader)),
    // What was typed before the reader gave a name is that reader's.
    rename: (value, reader) => {
      const record = sessionStorage.getItem(key(value, ""));
      if (record && !sessionStorage.getItem(key(value, reader))) sessionStorage.setItem(key(value, reader), record);
      sessionStorage.removeItem(key(value, ""));
    },
    anyUnsent: () => Object.keys(sessionStorage).some((name) => name.startsWith(PREFIX) && read(name)?.unsent),
    // Begin with the revision on which the shown text is based; `other` is a stored draft that differs from it.
    open: (base, stored, waiting, other) => {
      stop();
      if (flight) clearTimeout(flight.timer);
      [revision, keptAt, unsent, conflict, failure, flight] = [base, stored?.saved_at ?? null, waiting, other ?? null, null, null];
      isDirty = page.isDirty();
      store();
      if (waiting) schedule(PAUSE);
    },
    take: () => {
      isDirty = page.isDirty();
      unsent = isDirty || revision > 0;
      failure = null;
      store();
      first ??= performance.now();
      schedule(Math.max(0, Math.min(PAUSE, first + MOST - performance.now())));
    },
    flush,
    answer: (answer) => {
      if (!flight || answer?.stamp !== flight.stamp) return;
      clearTimeout(flight.timer);
      flight = null;
      if (answer.failure) {
        [failure, unsent] = [answer.failure, true];
        schedule(AGAIN);
      } else if (answer.conflict) [conflict, unsent] = [answer.conflict, true];
      else {
        [revision, keptAt, failure] = [answer.revision, answer.saved_at, null];
        if (unsent) schedule(PAUSE);
      }
      store();
      page.changed();
    },
    // The draft became a correction, and the server has removed it.
    saved: () => {
      [revision, keptAt, conflict, failure] = [0, null, null, null];
      isDirty = page.isDirty();
      unsent = isDirty;
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
