// The boxes of the correction: a list in the editor; the viewer draws them and sends new ones.
const KINDS = { missed: "Missed", misplaced: "Misplaced" };
const label = ({ kind, finding }, index) => `${index + 1} ${KINDS[kind]}${finding ? `: ${finding}` : ""}`;

// `page` has state(), change(boxes) and findings (names).
function create(list, page) {
  function entry(box, index) {
    const node = elements.make("li", "box");
    const kind = elements.make("select", "kind");
    kind.setAttribute("aria-label", `Box ${index + 1}: kind`);
    kind.append(...Object.entries(KINDS).map(([value, text]) => elements.option(value, text)));
    kind.value = box.kind;
    const finding = elements.make("select", "finding");
    finding.setAttribute("aria-label", `Box ${index + 1}: finding`);
    const names = page.findings.includes(box.finding) || !box.finding ? page.findings : [...page.findings, box.finding];
    finding.append(elements.option("", "Finding?"), ...names.map((name) => elements.option(name, name)));
    finding.value = box.finding ?? "";
    const put = (changes) => page.change(page.state().boxes.map((other, i) => (i === index ? { ...other, ...changes } : other)));
    kind.addEventListener("change", () => put({ kind: kind.value }));
    finding.addEventListener("change", () => put({ finding: finding.value || null }));
    const remove = elements.button("remove", "✕", "Delete the box");
    remove.addEventListener("click", () => drop(index));
    node.append(elements.make("span", "where", `Box ${index + 1}`), kind, finding, remove);
    return node;
  }

  const drop = (index) => page.change(page.state().boxes.filter((_, i) => i !== index));
  let shown = null;

  function show() {
    const boxes = page.state()?.boxes ?? [];
    window.dispatchEvent(new CustomEvent("rrg:boxes", { detail: { boxes: boxes.map((box, index) => ({ ...box, label: label(box, index) })), channel: "read" } }));
    const now = JSON.stringify(boxes);
    if (now === shown) return; // the menus keep the focus
    shown = now;
    const focused = [...list.querySelectorAll("select, button")].indexOf(document.activeElement);
    list.replaceChildren(...boxes.map(entry));
    list.querySelectorAll("select, button")[focused]?.focus();
  }

  return {
    show, drop,
    add: ({ image, left, top, right, bottom, finding }) => {
      page.change([...page.state().boxes, { image, left, top, right, bottom, finding: finding ?? null, kind: "missed" }]);
      if (!finding) list.lastChild?.querySelector(".finding").focus();
    },
  };
}

return { create };
