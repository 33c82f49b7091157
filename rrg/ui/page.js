// Unsaved corrections. A draft lives in this tab's session storage until it is saved: it survives a reload and a change
// of study, and is gone when the tab closes (the browser asks before).
window.rrg = (() => {
  const PREFIX = "rrg:draft:";
  const UNSAVED = { text: "Not saved yet.", tone: "warning", detail: "The draft is kept in this tab." };
  const key = (report) => PREFIX + report.study_id + ":" + report.model;
  let current = null;

  window.addEventListener("rrg:report", (event) => { current = event.detail; });

  // Listened to on the document: Gradio's own `input` event passes over the first change after the server set the text.
  document.addEventListener("input", (event) => {
    if (!current || !event.target.closest("#correction")) return;
    sessionStorage.setItem(key(current), event.target.value);
    window.dispatchEvent(new CustomEvent("rrg:say", { detail: { place: "saved", notice: UNSAVED } }));
  });

  window.addEventListener("beforeunload", (event) => {
    if (Object.keys(sessionStorage).some((name) => name.startsWith(PREFIX))) event.preventDefault();
  });

  return {
    /** The text and notice to show for a report: the draft, if one waits. Also writes the report into the address. */
    showDraft(report, text, notice) {
      const draft = report ? sessionStorage.getItem(key(report)) : null;
      const url = new URL(window.location);
      if (report) url.searchParams.set("report", report.report_id);
      else url.searchParams.delete("report");
      window.history.replaceState(null, "", url);
      return draft === null || draft === text ? [text, notice] : [draft, UNSAVED];
    },
    /** Drop the draft once the server said that the text is saved, unless it was changed in the meantime. */
    forgetDraft(report, text, notice) {
      if (report && notice?.tone === "good" && sessionStorage.getItem(key(report)) === text) {
        sessionStorage.removeItem(key(report));
      }
    },
  };
})();
