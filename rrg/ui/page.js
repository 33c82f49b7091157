// What no component owns: the address, the reader's name, keys, the panels, the list's button, the connection.
window.rrg = (() => {
  const send = (name, detail) => window.dispatchEvent(new CustomEvent(name, { detail }));
  const READER = "rrg:reader", LIST = "rrg:list-closed", CHECK = 5000;

  // The address names the study and the model, so that a reload and a bookmark show them again.
  function setAddress(changes) {
    const url = new URL(window.location);
    for (const [name, value] of Object.entries(changes)) {
      if (value) url.searchParams.set(name, value);
      else url.searchParams.delete(name);
    }
    window.history.replaceState(null, "", url);
  }
  document.documentElement.classList.toggle("on-worklist", new URLSearchParams(window.location.search).has("worklist"));
  let study = null; // for components that are made later
  let restored = false; // the first values of the components are empty and would erase the address
  window.addEventListener("rrg:study", (event) => {
    study = event.detail;
    if (study) restored = true;
    if (restored) setAddress({ study: study?.study_id, report: null });
  });
  window.addEventListener("rrg:report", (event) => {
    if (event.detail && (event.detail.channel ?? "read") === "read") {
      restored = true;
      setAddress({ report: event.detail.report_id, model: event.detail.model });
    }
  });

  // The name of the reader stays in this tab. It is never taken from a stored correction.
  document.addEventListener("input", (event) => {
    if (event.target.closest("#reader")) sessionStorage.setItem(READER, event.target.value);
  });
  document.addEventListener("change", (event) => { if (event.target.closest("#reader")) { send("rrg:refresh-list"); send("rrg:reader"); } });

  const KEYS = {
    j: () => send("rrg:step", 1),
    k: () => send("rrg:step", -1),
    g: () => document.querySelector("#write")?.click(),
    a: () => send("rrg:accept"),
    e: () => send("rrg:edit"),
    b: () => send("rrg:flag"),
    s: () => send("rrg:skip"),
  };
  const COMPARE_KEYS = { j: KEYS.j, k: KEYS.k, g: () => document.querySelector("#compare-write")?.click() };
  const visible = (selector) => Boolean(document.querySelector(selector)?.offsetParent);
  document.addEventListener("keydown", (event) => {
    const keys = visible("#read-layout") ? KEYS : visible("#compare-layout") ? COMPARE_KEYS : null;
    if (!keys) return; // another tab is open
    if (keys === KEYS && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      send("rrg:save", { next: true });
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest("input:not([type=checkbox], [type=radio], [type=range]), textarea, select, [contenteditable]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const action = keys[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  });

  document.addEventListener("click", (event) => {
    const tab = event.target.closest("#panels [role=tab]");
    if (tab) choosePanel(tab);
    if (event.target.closest("#toggle-list")) {
      localStorage.setItem(LIST, localStorage.getItem(LIST) ? "" : "1");
      applyList();
    }
  });
  function choosePanel(chosen) {
    for (const tab of document.querySelectorAll("#panels [role=tab]")) {
      tab.setAttribute("aria-selected", tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
    }
    document.querySelector("#column").dataset.panel = chosen.id.slice("tab-".length);
  }
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.("#panels [role=tab]");
    if (!tab || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const tabs = [...tab.parentElement.children];
    const next = tabs[(tabs.indexOf(tab) + (event.key === "ArrowRight" ? 1 : tabs.length - 1)) % tabs.length];
    choosePanel(next);
    next.focus();
  });
  function applyList() {
    const closed = Boolean(localStorage.getItem(LIST));
    document.documentElement.classList.toggle("list-closed", closed);
    document.querySelector("#toggle-list")?.setAttribute("aria-pressed", !closed);
  }
  applyList();

  // Stop is offered while there is something to stop.
  window.addEventListener("rrg:status", (event) => {
    if (event.detail.place === "status") document.documentElement.classList.toggle("busy", event.detail.tone === "busy");
  });

  let connected = true;
  async function check() {
    let answer = false;
    try {
      answer = (await fetch("gradio_api/app_id", { cache: "no-store" })).status < 500;
    } catch { /* the server is gone */ }
    if (answer !== connected) {
      connected = answer;
      const banner = document.querySelector("#offline");
      if (banner) banner.hidden = connected;
      send("rrg:connection", connected);
    }
  }
  setInterval(check, CHECK);

  return { study: () => study, reader: () => { applyList(); return sessionStorage.getItem(READER) ?? ""; } };
})();
