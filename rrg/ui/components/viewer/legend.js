// The legend under the images and the menu of the maps.
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function choice(text, value) {
  const option = stages.make("option", "", text);
  option.value = value;
  return option;
}

// List the model's own maps and those of findings in groups: "class map: Edema" is "Edema" in the group "Class map".
// Maps that are zero everywhere are left out.
function list(menu, maps) {
  menu.replaceChildren(choice("What the pointer is at", ""));
  const groups = new Map();
  const add = (group, text, value) => {
    if (!groups.has(group)) {
      groups.set(group, stages.make("optgroup", ""));
      groups.get(group).label = group;
      menu.append(groups.get(group));
    }
    groups.get(group).append(choice(capital(text), value));
  };
  maps.native.forEach((map, index) => {
    if (!map?.max) return;
    const [group, ...rest] = map.target.split(": ");
    if (rest.length) add(capital(group), rest.join(": "), `native ${index}`);
    else menu.append(choice(capital(group), `native ${index}`));
  });
  maps.finding.forEach((map, index) => {
    if (map?.max) add(`${map.method} of the classifier`, map.target, `finding ${index}`);
  });
  menu.disabled = menu.options.length === 1;
}

// Describe the shown map, or what to do without one.
function describe(element, { map, kind, pinned, hasViews, hasMaps, place }) {
  const find = (selector) => element.querySelector(selector);
  element.classList.toggle("has-map", Boolean(map?.max));
  const hint = !hasViews
    ? "Open a study to begin."
    : place ? "The words that looked at this place light up in the report; the value is a share of the word's own maximum."
      : hasMaps
        ? "Point at a word, a sentence number or a finding to see its map; click to keep it, or choose an overlay."
        : "Maps appear here once a report is written.";
  const name = map && (pinned && kind === "native" ? capital(map.target) : `${pinned ? "Kept: " : ""}“${map.target}”`);
  find(".legend-target").textContent = name ? `${name}${kind?.startsWith("edited-") ? " in the edited text" : ""}` : hint;
  find(".legend-method").textContent = map ? [map.method, map.reduction, map.layer].filter(Boolean).join(" · ") : "";
  find(".legend-meaning").textContent = !map ? ""
    : map.max ? `${map.description ? map.description + " " : ""}Where the model looked is not proof of what is there.`
      : map.description || "This map is zero everywhere.";
  find(".legend-max").textContent = map?.max ? map.max.toPrecision(2) : "";
}

return { choice, describe, list };
