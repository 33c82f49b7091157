const line = element.querySelector(".line");
const OFFLINE = { text: "The server cannot be reached.", tone: "bad", detail: "" };
let connected = true;
function show() {
  const { text, tone, detail } = connected ? props.value ?? { text: "", tone: "quiet", detail: "" } : OFFLINE;
  line.dataset.tone = tone;
  line.setAttribute("role", tone === "bad" ? "alert" : "status");
  line.querySelector(".text").textContent = text;
  line.querySelector(".detail").textContent = detail;
  line.hidden = !text;
  window.dispatchEvent(new CustomEvent("rrg:status", { detail: { place: element.closest("[id]")?.id, tone, text } }));
}
window.addEventListener("rrg:connection", (event) => { connected = event.detail; show(); });
watch("value", show);
show();
