// Undo and redo: states of the correction, of which none is ever changed.
const PAUSE = 1000, MOST = 500; // changes with the same label within this many milliseconds are one step; steps that are kept

// `show(state)` is called when undo or redo has chosen another state.
function create(show) {
  let past = [], future = [], present = null, label = null, at = 0;

  function go(from, to) {
    if (!from.length) return;
    to.push(present);
    present = from.pop();
    label = null;
    show(present);
  }

  return {
    begin: (state) => { past = []; future = []; present = state; label = null; },
    // A step of the reader. `name` tells which steps belong together, such as letters typed into one sentence.
    take: (state, name = null) => {
      const goesOn = name !== null && name === label && performance.now() - at < PAUSE;
      if (!goesOn) past = [...past, present].slice(-MOST);
      future = [];
      present = state;
      label = name;
      at = performance.now();
    },
    // A change that is no step of the reader's, such as the division of a typed text.
    amend: (state) => { present = state; },
    undo: () => go(past, future),
    redo: () => go(future, past),
    can: () => ({ undo: past.length > 0, redo: future.length > 0 }),
  };
}

return { create };
