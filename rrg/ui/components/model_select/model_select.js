const select = element.querySelector("select");
for (const choice of props.choices) {
  const option = document.createElement("option");
  option.value = choice.name;
  option.textContent = choice.title;
  option.title = choice.facts;
  option.disabled = !choice.available;
  select.append(option);
}
function show() {
  select.value = props.value || "";
  select.title = props.choices.find((choice) => choice.name === props.value)?.facts ?? "No model has weights here yet.";
}
select.addEventListener("change", () => {
  props.value = select.value;
  show();
  trigger("choose");
});
watch("value", show);
show();
