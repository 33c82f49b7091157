// What the columns of a row show when the pointer is in one of them.
//
// A row has { cells }: for each column { sentence, words: [{ index, start, end }] }, or null.
const key = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "") || text;

// The map of the same word in the aligned sentence of another column; without such a word, of that sentence. `texts` are
// the reports. Returns { kind, index }; kind is null for a column that says nothing about it.
function of(row, texts, from, column, target) {
  const cell = row.cells[column];
  if (!cell) return { kind: null, index: null };
  if (column === from) return target;
  if (target.kind === "word") {
    const words = (at) => row.cells[at].words.map((word) => ({ ...word, key: key(texts[at].slice(word.start, word.end)) }));
    const own = words(from), wanted = own.find((word) => word.index === target.index);
    const before = own.filter((word) => word.key === wanted.key && word.index < wanted.index).length;
    const same = words(column).filter((word) => word.key === wanted.key);
    if (same.length) return { kind: "word", index: (same[before] ?? same.at(-1)).index };
  }
  return { kind: "sentence", index: cell.sentence };
}

return { of };
