// Drafts of corrections. A draft is in the tab's session storage until it is saved: it survives a reload and a change of
// study, and is deleted when the tab closes (the browser asks for confirmation).
window.rrg = (() => {
  const PREFIX = "rrg:draft:";
  const UNSAVED = { text: "Not saved yet.", tone: "warning", detail: "The draft is kept in this tab." };
  const key = (report) => PREFIX + report.study_id + ":" + report.model;
  let current = null;

  window.addEventListener("rrg:report", (event) => { current = event.detail; });

  // The listener is on the document because Gradio's `input` event misses the first change after the server set the text.
  document.addEventListener("input", (event) => {
    if (!current || !event.target.closest("#correction")) return;
    sessionStorage.setItem(key(current), event.target.value);
    window.dispatchEvent(new CustomEvent("rrg:notice", { detail: { place: "saved", notice: UNSAVED } }));
  });

  window.addEventListener("beforeunload", (event) => {
    if (Object.keys(sessionStorage).some((name) => name.startsWith(PREFIX))) event.preventDefault();
  });

  return {
    /** Return the text and notice to show for a report, those of its draft if there is one. Also put its id into the URL. */
    showDraft(report, text, notice) {
      const draft = report ? sessionStorage.getItem(key(report)) : null;
      const url = new URL(window.location);
      if (report) url.searchParams.set("report", report.report_id);
      else url.searchParams.delete("report");
      window.history.replaceState(null, "", url);
      return draft === null || draft === text ? [text, notice] : [draft, UNSAVED];
    },
    /** Delete the draft after the server has confirmed that it is saved, unless it has changed since. */
    forgetDraft(report, text, notice) {
      if (report && notice?.tone === "good" && sessionStorage.getItem(key(report)) === text) {
        sessionStorage.removeItem(key(report));
      }
    },
  };
})();
