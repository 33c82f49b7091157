// The request for the reader's own text, after the name on the page has changed. There is one at a time: answers that
// overtake each other would show the text of the reader before.
const PATIENCE = 15000; // milliseconds to wait for an answer before the text is asked for again

// `page` has tab, reader(), report_id(), send(event), and late(), which is called when no answer came.
function create(page) {
  let pending = null, stamps = 0; // pending: { stamp, name, timer }

  function end() {
    clearTimeout(pending?.timer);
    pending = null;
  }

  function ask() {
    if (pending) return; // its answer asks again
    const report_id = page.report_id(), stamp = `${page.tab} ${++stamps}`;
    pending = { stamp, name: page.reader(), timer: setTimeout(() => { end(); page.late(); }, PATIENCE) };
    setTimeout(() => page.send({ report_id, stamp }), 0); // once Gradio has the new name
  }

  return {
    ask, end,
    // Whether the answer with this stamp is that of the reader who is named now; if not, the right one is asked for.
    accepts: (stamp) => {
      if (stamp !== pending?.stamp) return false;
      const { name } = pending;
      end();
      if (name === page.reader()) return true;
      ask();
      return false;
    },
  };
}

return { create };
