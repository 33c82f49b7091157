const find = (selector) => element.querySelector(selector);
const card = props.card;

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text ?? "";
  return node;
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function row(figure) {
  const line = make("tr", figure.constant_leads ? "led" : "");
  const metric = make("th", "", figure.metric);
  metric.scope = "row";
  line.append(metric, make("td", "value", figure.value), make("td", "interval", figure.interval));
  line.append(make("td", "constant", figure.constant), make("td", "", figure.neighbour));
  return line;
}

function showFigures(evaluation) {
  find(".measured table").hidden = !evaluation;
  const comparison = find(".comparison");
  if (!evaluation) {
    comparison.textContent = `Not evaluated yet: make evaluate MODEL=${card.name} DATA=folder`;
    return;
  }
  find("caption").textContent = evaluation.caption;
  find("tbody").replaceChildren(...evaluation.rows.map(row));
  const led = evaluation.rows.filter((figure) => figure.constant_leads).map((figure) => figure.metric);
  const sentence = led.length ? `A constant report reaches at least as much on ${new Intl.ListFormat("en").format(led)}.` : "";
  comparison.textContent = [evaluation.outdated, sentence].filter(Boolean).join(" ");
}

function showFacts() {
  const facts = [["Trained on", card.data.split(/(?<=\.)\s/)[0]], ["Size", card.size], ["A report takes", props.speed], ["Weights", card.weights && `sha256 ${card.weights.slice(0, 12)}`]];
  find("dl").replaceChildren(
    ...facts.filter(([, text]) => text).flatMap(([name, text]) => [make("dt", "", name), make("dd", "", text)]),
  );
}

function showCard() {
  const title = find("h3");
  title.id = `title-${card.name}`;
  title.textContent = card.title;
  find(".card").setAttribute("aria-labelledby", title.id);
  find(".badge").hidden = !card.first;
  find(".summary").textContent = card.summary;
  find(".paper").textContent = card.paper;
  find(".missing").hidden = card.available;
  for (const selector of [".measured", "dl", ".more", ".maps .show"]) find(selector).hidden = !card.available;
  find(".missing p").textContent = card.command ? `${card.note} Train it:` : card.note;
  find(".command").hidden = !card.command;
  find("code").textContent = card.command;
  find(".reason").textContent = card.available ? card.note : "";
  find(".data").textContent = card.data || "Its folder does not say on which data it was trained.";
  find(".limits").textContent = card.limits;
  find(".hash").textContent = card.weights;
  find(".maps ul").replaceChildren(
    ...card.maps.map((map) => {
      const item = make("li", "");
      item.append(make("strong", "", capital(map.name)), document.createTextNode(` ${map.meaning}`));
      return item;
    }),
  );
  find(".no-maps").hidden = card.maps.length > 0;
  showFigures(card.evaluation);
  showFacts();
}

function figureOf(picture) {
  const figure = make("figure", "");
  if (picture.image) {
    const image = make("img", "");
    image.src = picture.image;
    image.alt = `${picture.title} of ${card.title} over a synthetic study`;
    figure.append(image);
  }
  const caption = make("figcaption", "");
  caption.append(make("strong", "", capital(picture.title)), document.createTextNode(` ${picture.text}`));
  figure.append(caption);
  return figure;
}

function showExample() {
  const { state, text, step, pictures } = props.value || { state: "none", pictures: [] };
  const bar = find("progress"), button = find(".show");
  button.disabled = state === "busy";
  element.setAttribute("aria-busy", state === "busy");
  find(".progress").hidden = state === "none" || state === "done";
  find(".progress").classList.toggle("failed", state === "failed");
  bar.hidden = state !== "busy";
  bar.max = props.steps;
  if (step) bar.value = step - 0.5;
  else bar.removeAttribute("value");
  find(".progress .text").textContent = text ?? "";
  find(".maps ul").hidden = state === "done"; // the captions say the same
  find(".pictures").replaceChildren(...pictures.map(figureOf));
}

find(".show").addEventListener("click", () => {
  props.value = { state: "busy", text: "Asking the server", step: 0, pictures: [] };
  showExample();
  trigger("example");
});
find(".copy").addEventListener("click", async (event) => {
  const button = event.currentTarget;
  try {
    await navigator.clipboard.writeText(card.command);
    button.textContent = "Copied";
  } catch {
    window.getSelection().selectAllChildren(find("code")); // no clipboard without HTTPS: Ctrl+C copies the selection
    button.textContent = "Selected";
  }
});
// Reports written meanwhile change the speed.
new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) trigger("seen"); }).observe(element);
watch("value", showExample);
watch("speed", showFacts);
showCard();
showExample();
