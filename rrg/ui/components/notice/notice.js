const line = element.querySelector(".line");
function show() {
  const { text, tone, detail } = props.value ?? { text: "", tone: "quiet", detail: "" };
  line.dataset.tone = tone;
  line.setAttribute("role", tone === "bad" ? "alert" : "status");
  line.querySelector(".text").textContent = text;
  line.querySelector(".detail").textContent = detail;
  line.hidden = !text;
  window.dispatchEvent(new CustomEvent("rrg:status", { detail: { place: element.closest("[id]")?.id, tone, text } }));
}
window.addEventListener("rrg:notice", (event) => {
  if (!element.closest(`#${event.detail.place}`)) return;
  props.value = event.detail.notice;
  show();
});
watch("value", show);
show();
