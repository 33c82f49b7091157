// The sentences as rows: text, what was done with it, and for a changed one the reason and its significance.
const TAGS = { edit: "Edited", insert: "Added", delete: "Deleted" };
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const GROWS = CSS.supports("field-sizing", "content"); // else the script sets the height

function grow(area) {
  if (GROWS) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}

// `page` has state(), report(), change(rows, label), point(source or null) and expand(event).
function create(list, page) {
  const nodes = new Map();

  function build(id) {
    const node = elements.make("div", "sentence");
    node.dataset.id = id;
    node.setAttribute("role", "listitem");
    const handle = elements.make("span", "handle", "⠿");
    handle.title = "Drag to move the sentence (Alt + ↑ or ↓)";
    handle.setAttribute("aria-hidden", "true");
    const area = elements.make("textarea", "text");
    area.rows = 1;
    area.spellcheck = true;
    const actions = elements.make("span", "actions");
    const [insert, remove] = [elements.button("insert", "+", "Insert a sentence after this one (Enter)"), elements.button("remove", "✕")];
    insert.tabIndex = remove.tabIndex = -1; // Enter and Alt+Backspace do the same from the text
    actions.append(insert, remove);
    const line = elements.make("div", "line");
    line.append(handle, elements.make("span", "number"), area, actions);
    const why = elements.make("div", "why");
    const reason = elements.make("select", "reason");
    reason.setAttribute("aria-label", "Reason of the change");
    reason.append(elements.option("", "Reason?"), ...correction.REASONS.map((name, i) => elements.option(name, `${i + 1} ${capital(name)}`)));
    const significant = elements.make("span", "significant");
    significant.setAttribute("role", "group");
    significant.setAttribute("aria-label", "Clinically significant");
    significant.append("Significant", elements.button("yes", "Yes", "Clinically significant (Alt + Y)", "Yes"),
      elements.button("no", "No", "Not clinically significant (Alt + N)", "No"));
    why.append(elements.make("span", "tag"), reason, significant);
    node.append(line, why);
    nodes.set(id, node);
    return node;
  }

  function fill(node, row, number, report, isMoved) {
    const done = correction.action(row, report), changed = TAGS[done] !== undefined;
    node.dataset.action = done;
    node.classList.toggle("moved", isMoved);
    const area = node.querySelector("textarea");
    const removed = row.deleted;
    if (area.value !== row.text) area.value = row.text;
    area.readOnly = removed;
    area.placeholder = row.source === null ? "New sentence" : "Deleted";
    const says = [TAGS[done], isMoved && "Moved"].filter(Boolean).join(", ");
    area.setAttribute("aria-label", `Sentence ${number}${says ? `, ${says.toLowerCase()}` : ""}`);
    grow(area);
    node.querySelector(".number").textContent = row.source === null ? "+" : row.source + 1;
    const remove = node.querySelector(".remove");
    remove.textContent = removed ? "↺" : "✕";
    remove.title = removed ? "Restore the sentence (Alt + Backspace)" : "Delete the sentence (Alt + Backspace)";
    remove.setAttribute("aria-label", remove.title);
    node.querySelector(".why").hidden = !says;
    node.querySelector(".tag").textContent = says;
    const reason = node.querySelector(".reason");
    reason.hidden = node.querySelector(".significant").hidden = !changed;
    reason.value = correction.reason(row, report) ?? "";
    node.querySelector(".yes").setAttribute("aria-pressed", row.significant === true);
    node.querySelector(".no").setAttribute("aria-pressed", row.significant === false);
  }

  function show() {
    const { rows } = page.state(), report = page.report();
    const moved = correction.moved(page.state(), report);
    const held = list.contains(document.activeElement) ? document.activeElement : null;
    const ids = new Set(rows.map((row) => row.id));
    for (const [id, node] of nodes) if (!ids.has(id)) { node.remove(); nodes.delete(id); }
    rows.forEach((row, i) => {
      const node = nodes.get(row.id) ?? build(row.id);
      if (list.children[i] !== node) list.insertBefore(node, list.children[i] ?? null);
      fill(node, row, i + 1, report, moved.has(row.id));
    });
    if (held?.isConnected && document.activeElement !== held) held.focus({ preventScroll: true });
  }

  const at = (id) => page.state().rows.findIndex((row) => row.id === id);
  const idOf = (target) => Number(target.closest(".sentence")?.dataset.id);
  const change = (id, changes, label) => page.change(page.state().rows.map((row) => (row.id === id ? { ...row, ...changes } : row)), label);

  function focus(index, place = "end") {
    const area = list.children[Math.min(Math.max(index, 0), list.children.length - 1)]?.querySelector("textarea");
    if (!area) return;
    area.focus();
    const caret = place === "end" ? area.value.length : 0;
    area.setSelectionRange(caret, caret);
  }

  function insertAfter(id) {
    const rows = [...page.state().rows], index = at(id) + 1;
    rows.splice(index, 0, correction.row(null, ""));
    page.change(rows);
    focus(index);
  }

  function remove(id) {
    const { rows } = page.state(), index = at(id), row = rows[index];
    if (row.source === null) {
      page.change(rows.filter((other) => other !== row));
      focus(index - 1);
    } else {
      const text = row.text.trim() ? row.text : page.report().sentences[row.source];
      change(id, { deleted: !row.deleted && Boolean(row.text.trim()), text, reason: null });
    }
  }

  function move(id, index) {
    const rows = [...page.state().rows], from = at(id);
    if (index < 0 || index >= rows.length || index === from) return;
    const [row] = rows.splice(from, 1);
    rows.splice(index, 0, row);
    page.change(rows, `move ${id}`);
  }

  const setSignificant = (id, value) => change(id, { significant: page.state().rows[at(id)].significant === value ? null : value });

  function keys(event) {
    const id = idOf(event.target), area = event.target.closest("textarea");
    if (!id) return;
    const index = at(id), row = page.state().rows[index];
    const changed = TAGS[correction.action(row, page.report())] !== undefined;
    const alone = event.altKey && !event.ctrlKey && !event.metaKey;
    const digit = event.code.match(/^Digit([1-6])$/)?.[1];
    const run = (done) => { event.preventDefault(); event.stopPropagation(); done(); };
    if (alone && event.key === "ArrowUp") return run(() => move(id, index - 1));
    if (alone && event.key === "ArrowDown") return run(() => move(id, index + 1));
    if (alone && event.key === "Backspace") return run(() => remove(id));
    if (alone && digit && changed) return run(() => change(id, { reason: correction.REASONS[digit - 1] }));
    if (alone && event.code === "KeyY" && changed) return run(() => setSignificant(id, true));
    if (alone && event.code === "KeyN" && changed) return run(() => setSignificant(id, false));
    if (!area || event.altKey || event.ctrlKey || event.metaKey || event.isComposing) return undefined;
    if (page.expand(event)) return undefined;
    const single = area.clientHeight < 2 * parseFloat(getComputedStyle(area).lineHeight);
    const { selectionStart: start, selectionEnd: end, value } = area;
    if (event.key === "Enter") return run(() => insertAfter(id));
    if (event.key === "ArrowUp" && !event.shiftKey && (single || end === 0)) return run(() => focus(index - 1));
    if (event.key === "ArrowDown" && !event.shiftKey && (single || start === value.length)) return run(() => focus(index + 1));
    if (event.key === "Backspace" && !value && row.source === null) return run(() => remove(id));
    return undefined;
  }

  // The handle moves its row under the pointer.
  function drag(event) {
    if (!event.target.closest(".handle") || event.button !== 0) return;
    event.preventDefault();
    const id = idOf(event.target), node = nodes.get(id);
    node.classList.add("dragged");
    const follow = ({ clientY }) => {
      const others = [...list.children].filter((other) => other !== node);
      const before = others.findIndex((other) => { const box = other.getBoundingClientRect(); return clientY < box.top + box.height / 2; });
      move(id, before < 0 ? others.length : before);
    };
    const end = () => {
      node.classList.remove("dragged");
      window.removeEventListener("pointermove", follow);
      for (const name of ["pointerup", "pointercancel"]) window.removeEventListener(name, end);
    };
    window.addEventListener("pointermove", follow);
    for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, end);
  }

  list.addEventListener("input", (event) => {
    const area = event.target.closest("textarea");
    if (!area) return;
    grow(area);
    const text = area.value.replace(/\s*\n\s*/g, " "); // a pasted line break ends no sentence here
    change(idOf(area), { text, deleted: false }, `text ${idOf(area)}`);
  });
  list.addEventListener("change", (event) => {
    if (event.target.matches(".reason")) change(idOf(event.target), { reason: event.target.value || null });
  });
  list.addEventListener("click", (event) => {
    const id = idOf(event.target), pressed = event.target.closest("button");
    if (!pressed) return;
    if (pressed.matches(".insert")) insertAfter(id);
    else if (pressed.matches(".remove")) remove(id);
    else setSignificant(id, pressed.matches(".yes"));
  });
  list.addEventListener("keydown", keys);
  list.addEventListener("pointerdown", drag);
  const pointAt = (event) => {
    const node = event.target.closest(".sentence");
    page.point(node ? page.state().rows[at(Number(node.dataset.id))]?.source ?? null : null);
  };
  list.addEventListener("pointerover", pointAt);
  list.addEventListener("focusin", pointAt);
  list.addEventListener("pointerleave", () => page.point(null));
  list.addEventListener("focusout", () => page.point(null));

  return {
    focus, show,
    // The row of a sentence of the report, or the first.
    focusSource: (source) => focus(Math.max(0, page.state().rows.findIndex((row) => source !== null && row.source === source))),
    // The first changed row without a reason; returns its number, or null if each has one.
    ask: () => {
      const report = page.report();
      const index = page.state().rows.findIndex((row) => correction.action(row, report) === "edit" && !correction.reason(row, report));
      if (index < 0) return null;
      list.children[index].querySelector(".reason").focus();
      return index + 1;
    },
    // Mark the row of the sentence whose map is shown.
    mark: (source) => page.state()?.rows.forEach((row) => nodes.get(row.id)?.classList.toggle("shown", source !== null && row.source === source)),
  };
}

return { create };
