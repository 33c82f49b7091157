const details = element.querySelector("details"), list = element.querySelector("ul");
let report = null, correction = null, pinned = null;

for (const [suffix, title] of props.formats) {
  const link = document.createElement("a");
  link.textContent = title;
  link.dataset.suffix = suffix;
  link.download = "";
  const item = document.createElement("li");
  item.append(link);
  list.append(item);
}

function show() {
  details.hidden = !report;
  for (const link of list.querySelectorAll("a")) {
    const query = new URLSearchParams();
    if (correction) query.set("correction", correction);
    if (pinned) query.set("map", `${pinned.kind}-${pinned.index}`);
    link.href = `${props.prefix}/${report?.report_id}.${link.dataset.suffix}?${query}`;
  }
}

window.addEventListener("rrg:report", (event) => {
  if (event.detail && event.detail.channel !== "read") return;
  report = event.detail;
  pinned = null;
  details.open = false;
  show();
});
window.addEventListener("rrg:saved", (event) => { correction = event.detail; show(); });
window.addEventListener("rrg:shown", (event) => {
  if (event.detail.channel !== "read") return;
  pinned = event.detail.pinned ? event.detail : null;
  show();
});
list.addEventListener("click", () => { details.open = false; });
details.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && details.open) { details.open = false; event.stopPropagation(); }
});
document.addEventListener("pointerdown", (event) => { if (!details.contains(event.target)) details.open = false; });
