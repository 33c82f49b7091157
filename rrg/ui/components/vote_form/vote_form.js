const find = (selector) => element.querySelector(selector);
const WORDS = { a: "A is better", b: "B is better", equal: "both are equal", "both bad": "both are bad" };
const reason = find("textarea"), buttons = [...element.querySelectorAll("[data-choice]")];
reason.maxLength = props.longest;

function show() {
  const value = props.value || null; // Gradio converts None to an empty string
  const vote = value?.vote;
  find("section").hidden = !value;
  find(".wait").hidden = !value || value.ready;
  find("form").hidden = Boolean(vote) || !value?.ready;
  find(".result").hidden = find(".again").hidden = !vote;
  find(".failure").hidden = !props.failure;
  find(".failure").textContent = props.failure || "";
  buttons.forEach((button) => { button.disabled = false; });
  if (!vote && value?.ready) return;
  reason.value = "";
  if (!vote) return;
  find(".voted").textContent = `Saved for ${vote.reader}: ${WORDS[vote.choice]}.`;
  find(".names").textContent = `A is ${vote.titles[0]}. B is ${vote.titles[1]}.`;
  find(".said").textContent = vote.reason;
}

element.addEventListener("submit", (event) => event.preventDefault());
find(".choices").addEventListener("click", (event) => {
  const button = event.target.closest("[data-choice]");
  if (!button) return;
  buttons.forEach((other) => { other.disabled = true; });
  trigger("vote", { choice: button.dataset.choice, reason: reason.value, reader: window.rrg.reader() });
});
find(".again").addEventListener("click", () => trigger("again"));
watch(["value", "failure"], show);
show();
