// The form under the sentences: verdict, quality of the images, comment.
const VERDICTS = { accept: "Accept", minor: "Minor", major: "Major", reject: "Reject" };
const VERDICT_TITLES = {
  accept: "Right as it is", minor: "Right after minor changes", major: "Right after major changes", reject: "Of no use",
};
const QUALITIES = { good: "Good", limited: "Limited", unreadable: "Unreadable" };

function choices(node, name, texts, titles = {}) {
  for (const [value, text] of Object.entries(texts)) {
    const label = elements.make("label", "choice");
    const radio = elements.make("input", "");
    Object.assign(radio, { type: "radio", name, value });
    if (titles[value]) label.title = titles[value];
    label.append(radio, elements.make("span", "", text));
    node.append(label);
  }
}

// `page` has state(), report() and change(changes, label).
function attach(node, page) {
  const verdict = node.querySelector(".verdict .choices"), quality = node.querySelector(".quality .choices");
  const comment = node.querySelector(".comment textarea");
  choices(verdict, "rrg-verdict", VERDICTS, VERDICT_TITLES);
  choices(quality, "rrg-quality", QUALITIES);
  verdict.addEventListener("change", (event) => page.change({ verdict: event.target.value }));
  quality.addEventListener("change", (event) => page.change({ quality: event.target.value }));
  comment.addEventListener("input", () => page.change({ comment: comment.value }, "comment"));

  return {
    show: () => {
      const state = page.state(), chosen = correction.verdict(state, page.report());
      for (const radio of verdict.querySelectorAll("input")) {
        radio.checked = radio.value === chosen;
        radio.disabled = radio.value === "accept" && !correction.isRight(state, page.report());
      }
      const isProposed = state.verdict !== chosen;
      verdict.classList.toggle("is-proposed", isProposed);
      verdict.title = isProposed ? "Proposed from the changes; choose another if it does not fit" : "";
      for (const radio of quality.querySelectorAll("input")) radio.checked = radio.value === state.quality;
      if (comment.value !== state.comment) comment.value = state.comment;
    },
  };
}

return { attach };
