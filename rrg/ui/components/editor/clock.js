// Active reading time: the time between two interactions counts, up to two minutes.
const MOST = 120;
const INTERACTIONS = ["pointerdown", "pointermove", "keydown", "wheel", "input"];

function create() {
  let seconds = 0, last = null;

  function tick() {
    if (last === null) return;
    const now = performance.now();
    seconds += Math.min((now - last) / 1000, MOST);
    last = now;
  }

  for (const name of INTERACTIONS) window.addEventListener(name, tick, { capture: true, passive: true });
  return {
    start: (from) => { seconds = from; last = performance.now(); },
    stop: () => { last = null; },
    seconds: () => Math.round(seconds * 10) / 10,
  };
}

return { create };
