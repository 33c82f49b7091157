// Files dropped on the viewer or chosen by its button: they go to a File component, which uploads them.
const MOST = 2;

// `say(text)` shows a notice, or hides it if the text is empty.
function attach(element, fileId, say) {
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = true;

  function forward(files) {
    if (!files.length) return;
    if (files.length > MOST) {
      say(`${files.length} files were given; a study has one or two images. Nothing was opened: choose at most two files.`);
      return;
    }
    const limit = window.gradio_config?.max_file_size; // bytes
    if (limit && files.some((file) => file.size > limit)) {
      say(`A file is larger than ${Math.floor(limit / 2 ** 20)} MB. Nothing was opened: choose a smaller file.`);
      return;
    }
    const target = document.querySelector(`#${CSS.escape(fileId)} input[type=file]`);
    if (!target) return;
    say("");
    const transfer = new DataTransfer();
    for (const file of files) transfer.items.add(file);
    target.files = transfer.files;
    target.dispatchEvent(new Event("change", { bubbles: true }));
  }

  input.addEventListener("change", () => {
    forward([...input.files]);
    input.value = ""; // the same file can be chosen again
  });
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  for (const name of ["dragenter", "dragover"]) {
    element.addEventListener(name, (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      element.classList.add("dropping");
    });
  }
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget)) element.classList.remove("dropping");
  });
  element.addEventListener("drop", (event) => {
    element.classList.remove("dropping");
    if (!carriesFiles(event)) return;
    event.preventDefault();
    forward([...event.dataTransfer.files]);
  });
  return () => input.click();
}

return { attach };
