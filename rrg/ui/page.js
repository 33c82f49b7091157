// Unsaved corrections. A draft lives in this tab's session storage until it is saved: it survives a reload and a change
// of study, and is gone when the tab closes (the browser asks before).
window.rrg = (() => {
  const PREFIX = "rrg:draft:";
  const key = (report) => PREFIX + report.study_id + ":" + report.model;
  const UNSAVED = { text: "Not saved yet.", tone: "warning", detail: "The draft is kept in this tab." };

  window.addEventListener("beforeunload", (event) => {
    if (Object.keys(sessionStorage).some((name) => name.startsWith(PREFIX))) event.preventDefault();
  });

  return {
    keepDraft(report, text) {
      if (report) sessionStorage.setItem(key(report), text);
      return UNSAVED;
    },
    showDraft(report, text, notice) {
      const draft = report && sessionStorage.getItem(key(report));
      const url = new URL(window.location);
      if (report) url.searchParams.set("report", report.report_id);
      else url.searchParams.delete("report");
      window.history.replaceState(null, "", url);
      return draft === null || draft === undefined || draft === text ? [text, notice] : [draft, UNSAVED];
    },
    forgetDraft(report, notice) {
      if (report && notice?.tone === "good") sessionStorage.removeItem(key(report));
    },
  };
})();
