// The reader's own phrases: a shortcut followed by Space or Tab becomes the phrase. They stay in this browser.
const KEY = "rrg:phrases:";
const FIRST = {
  ";ne": "No pleural effusion.", ";np": "No pneumothorax.", ";nc": "No focal consolidation.", ";nh": "The heart is normal in size.",
  ";lc": "The lungs are clear.",
};

// A browser may forbid the storage; the phrases then last until the page is left.
const unstored = new Map();
function of(reader) {
  try { return JSON.parse(localStorage.getItem(KEY + reader)) ?? unstored.get(reader) ?? FIRST; } catch { return unstored.get(reader) ?? FIRST; }
}
function keep(reader, phrases) {
  unstored.set(reader, phrases);
  try { localStorage.setItem(KEY + reader, JSON.stringify(phrases)); } catch { /* not kept */ }
}

// Expand the shortcut before the caret of a field. Returns whether there was one.
function expand(event, reader) {
  if (![" ", "Tab"].includes(event.key) || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return false;
  const field = event.target, caret = field.selectionStart;
  if (caret !== field.selectionEnd) return false;
  const word = field.value.slice(0, caret).match(/\S+$/)?.[0];
  const phrases = of(reader);
  if (!word || !Object.hasOwn(phrases, word)) return false;
  event.preventDefault();
  field.setRangeText(phrases[word] + (event.key === " " ? " " : ""), caret - word.length, caret, "end");
  field.dispatchEvent(new InputEvent("input", { bubbles: true, inputType: "insertReplacementText" }));
  return true;
}

function line(shortcut, phrase) {
  const node = elements.make("div", "phrase");
  const fields = [["shortcut", "Shortcut", shortcut, 20], ["text", "Phrase", phrase, 500]].map(([className, label, value, most]) => {
    const field = elements.make("input", className);
    field.value = value;
    field.maxLength = most;
    field.setAttribute("aria-label", label);
    return field;
  });
  const remove = elements.button("remove", "✕", "Remove the phrase");
  remove.addEventListener("click", () => node.remove());
  node.append(...fields, remove);
  return node;
}

// Connect the dialog; `reader()` is the name under which the phrases are kept.
function attach(dialog, reader) {
  const list = dialog.querySelector(".phrase-list");
  dialog.querySelector(".add").addEventListener("click", () => {
    list.append(line("", ""));
    list.lastChild.querySelector("input").focus();
  });
  dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "keep") return;
    const entries = [...list.children].map((node) => [...node.querySelectorAll("input")].map((field) => field.value.trim()));
    keep(reader(), Object.fromEntries(entries.filter(([shortcut, phrase]) => shortcut && phrase && !/\s/.test(shortcut))));
  });
  return () => {
    list.replaceChildren(...Object.entries(of(reader())).map(([shortcut, phrase]) => line(shortcut, phrase)));
    dialog.returnValue = "";
    dialog.showModal();
  };
}

return { attach, expand };
