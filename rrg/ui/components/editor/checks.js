// What the server says of the text: the difference in findings, contradictions, boxes on the other side. It blocks nothing.
const PAUSE = 600; // milliseconds after the last change before the text is compared

// `page` has ask(), which sends the text to the server.
function create(list, page) {
  let timer = null;
  return {
    ask: (pause = PAUSE) => {
      clearTimeout(timer);
      timer = setTimeout(page.ask, pause);
    },
    // Show the answer while it is of the shown text; the difference only where there is one to the report.
    show: (answer, isOfText, isChanged) => {
      const lines = isOfText ? answer.warnings.map((text) => ["warning", text]) : [];
      if (isOfText && isChanged) lines.unshift(["change", answer.change]);
      list.replaceChildren(...lines.map(([kind, text]) => elements.make("p", kind, text)));
    },
  };
}

return { create };
