// Mouse, pen and touch on a stage.
//
// Left button: the chosen tool; middle button, Ctrl or Shift: pan; right button: zoom; Alt: look up. Two fingers pan and
// zoom. The wheel zooms at the pointer and never scrolls the page.
const WHEEL_STEP = 0.0015, LINE = 16;

function toolOf(event, chosen) {
  if (event.button === 1 || event.ctrlKey || event.shiftKey || event.metaKey) return "pan";
  if (event.button === 2) return "zoom";
  return event.altKey ? "look" : chosen;
}

// `on`: tool() is the chosen tool; press(tool, at), drag(tool, change, start, at), release(tool), zoom(factor, at), move(change),
// hover(at, alt), leave(), double(). Positions are pixels from the stage's corner.
function attach(stage, on) {
  const fingers = new Map();
  let tool = null, start = null, last = null;
  const at = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const middle = () => {
    const [one, other] = [...fingers.values()];
    return { at: [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2], apart: Math.hypot(one[0] - other[0], one[1] - other[1]) };
  };

  stage.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) return;
    stage.focus({ preventScroll: true });
    stage.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    if (fingers.size === 2) {
      if (tool) on.release(null);
      tool = "pinch";
      last = middle();
    } else if (fingers.size === 1) {
      tool = toolOf(event, on.tool());
      start = last = at(event);
      on.press(tool, start);
    }
  });
  stage.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) {
      on.hover(at(event), event.altKey);
      return;
    }
    fingers.set(event.pointerId, at(event));
    if (tool === "pinch" && fingers.size === 2) {
      const now = middle();
      on.move([now.at[0] - last.at[0], now.at[1] - last.at[1]]);
      on.zoom(now.apart / Math.max(last.apart, 1), now.at);
      last = now;
    } else if (tool && tool !== "pinch") {
      const now = at(event);
      on.drag(tool, [now[0] - last[0], now[1] - last[1]], start, now);
      last = now;
    }
  });
  for (const name of ["pointerup", "pointercancel"]) {
    stage.addEventListener(name, (event) => {
      fingers.delete(event.pointerId);
      if (tool && tool !== "pinch") on.release(name === "pointerup" ? tool : null);
      tool = null; // after a pinch, the finger that remains does nothing
    });
  }
  stage.addEventListener("pointerleave", () => { if (!fingers.size) on.leave(); });
  stage.addEventListener("mousedown", (event) => { if (event.button === 1) event.preventDefault(); }); // no auto-scroll
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("dblclick", (event) => { if (!event.target.closest("button")) on.double(); });
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : LINE);
    const pinched = event.ctrlKey ? 6 : 1; // a touchpad reports a pinch as small steps with Ctrl
    on.zoom(Math.exp(-Math.min(Math.max(pixels * pinched, -400), 400) * WHEEL_STEP), at(event));
  }, { passive: false });
}

return { attach };
