const PAUSE = 400; // milliseconds after the last tick before the choice is sent
const find = (selector) => element.querySelector(selector);
const models = find(".models"), choices = find(".choices"), blind = find(".blind");
let stale = false, visible = false, timer = null;

for (const choice of props.choices) {
  const label = document.createElement("label"), box = document.createElement("input");
  box.type = "checkbox";
  box.value = choice.name;
  label.append(box, document.createTextNode(choice.title));
  choices.append(label);
}
const boxes = [...choices.querySelectorAll("input")];
const chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);

function show() {
  const value = props.value;
  boxes.forEach((box) => { box.checked = value.models.includes(box.value); });
  blind.setAttribute("aria-pressed", value.blind);
  limit();
}

// Fewer than two models are not sent, and an eighth cannot be chosen.
function limit() {
  const count = chosen().length;
  boxes.forEach((box) => { box.disabled = !box.checked && count >= props.most; });
  find(".count").textContent = `${count} models`;
  find(".hint").textContent = boxes.length < props.least ? "Fewer than two models have weights here."
    : count < props.least ? "Choose at least two models." : count >= props.most ? `These are ${props.most}, the most that fit.` : "";
  return count >= props.least;
}

function send(changes) {
  props.value = { ...props.value, ...changes };
  show();
  trigger("choose");
}

choices.addEventListener("change", () => {
  clearTimeout(timer);
  if (limit()) timer = setTimeout(() => send({ models: chosen() }), PAUSE);
});
blind.addEventListener("click", () => send({ blind: !props.value.blind }));
element.addEventListener("click", (event) => {
  const step = event.target.closest(".step");
  if (step) window.dispatchEvent(new CustomEvent("rrg:step", { detail: Number(step.dataset.step) }));
});
models.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !models.open) return;
  models.open = false;
  models.querySelector("summary").focus();
  event.stopPropagation();
});
document.addEventListener("pointerdown", (event) => { if (!models.contains(event.target)) models.open = false; });

// The study follows the page; it is sent once the tab can be seen.
function follow() {
  const study = window.rrg.study();
  find(".title").textContent = study?.title ?? "No study open";
  find(".short").textContent = study ? study.summary ?? "" : "Choose one in Read, or take the next.";
  if ((study?.study_id ?? null) !== props.value.study_id) stale = true;
  refresh();
}
function refresh() {
  if (!stale || !visible) return;
  stale = false;
  send({ study_id: window.rrg.study()?.study_id ?? null });
}
window.addEventListener("rrg:study", follow);
// A report that was written elsewhere belongs into the comparison; a blind pair stays as it was drawn.
window.addEventListener("rrg:report", (event) => {
  const report = event.detail;
  if (report?.study_id === props.value.study_id && props.value.models.includes(report?.model) && !props.value.blind) stale = true;
});
new IntersectionObserver((entries) => {
  visible = entries.at(-1).isIntersecting;
  refresh();
}).observe(element);
watch("value", show);
show();
follow();
