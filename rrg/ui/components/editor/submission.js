// Saving a correction: the key of a submission is made when it begins and kept until the server has answered, so that a
// repeated request is stored once.
const PREFIX = "rrg:submission:";
const PATIENCE = 12000; // milliseconds to wait for an answer before the submission is sent again

const uuid = () => crypto.randomUUID?.() ?? "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (c) => // not on plain http
  (c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (c / 4)))).toString(16));
const withoutTime = ({ key, seconds, query, attempt, ...content }) => JSON.stringify(content);

// `page` has send(event), reader() and changed().
function create(page) {
  let pending = null, last = null, next = false, timer = null, isLate = false, attempts = 0;
  const name = (event) => `${PREFIX}${event.report_id}:${encodeURIComponent(event.reader)}`;

  function send() {
    clearTimeout(timer);
    timer = setTimeout(() => { isLate = true; send(); page.changed(); }, PATIENCE);
    page.send({ ...pending, attempt: ++attempts });
  }

  function end() {
    clearTimeout(timer);
    if (pending) sessionStorage.removeItem(name(pending));
    pending = null;
    isLate = false;
  }

  return {
    // The same content after a failure is the same submission: it has the same key.
    begin: (event, andNext) => {
      pending = last && withoutTime(last) === withoutTime(event) ? last : { ...event, key: uuid() };
      last = pending;
      next = andNext;
      sessionStorage.setItem(name(pending), JSON.stringify(pending));
      send();
    },
    // Go on with a submission that a reload interrupted.
    resume: (report_id, reader) => {
      if (pending) return;
      try { pending = JSON.parse(sessionStorage.getItem(name({ report_id, reader }))); } catch { return; }
      if (!pending) return;
      last = pending;
      next = false;
      send();
    },
    // Returns whether the acknowledged record is the pending submission.
    acknowledged: (key) => {
      if (!pending || pending.key !== key) return false;
      end();
      last = null;
      return true;
    },
    failed: (key) => {
      if (!pending || pending.key !== key) return false;
      end();
      next = false;
      return true;
    },
    retry: () => { if (pending) send(); },
    isPending: () => pending !== null,
    isLate: () => isLate,
    goesOn: () => { const asked = next; next = false; return asked; },
  };
}

return { create };
