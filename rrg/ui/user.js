// With a login the reader is the user: the name is shown and cannot be changed. The server takes it from the login.
(async () => {
  let user = null;
  try {
    const answer = await fetch("rrg/me", { cache: "no-store" });
    if (answer.ok) user = await answer.json();
  } catch { /* the page says that the server is gone */ }
  if (!user) return;

  function show() {
    const field = document.querySelector("#reader input, #reader textarea");
    const masthead = document.querySelector("#masthead");
    if (!field || !masthead) return false;
    field.value = user.name;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.readOnly = true;
    if (user.can_log_out) {
      const link = document.createElement("a");
      Object.assign(link, { href: "logout", textContent: "Log out", id: "log-out" });
      masthead.append(link);
    }
    return true;
  }
  const observer = new MutationObserver(() => { if (show()) observer.disconnect(); });
  if (!show()) observer.observe(document.documentElement, { childList: true, subtree: true });
})();
