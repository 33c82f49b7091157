// Radiographs from the server: 16-bit pixels at full resolution, and halved copies for small displays.
const GONE = "The uploaded image is no longer on the server. Open it again.";
const FAILED = "The image could not be loaded. Check the connection to the server, then try again.";

// Fetch the pixels of a view. Rejects with an Error whose message is for the reader, or with an AbortError.
async function load(view, signal) {
  const root = (window.gradio_config?.root ?? document.baseURI).replace(/\/*$/, "/");
  let answer, bytes;
  try {
    answer = await fetch(new URL(view.url, root), { signal });
    bytes = await answer.arrayBuffer();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(FAILED);
  }
  if (answer.status === 404) throw new Error(GONE);
  if (!answer.ok || bytes.byteLength !== view.width * view.height * 2) throw new Error(FAILED);
  // Little-endian, as every processor that runs a browser.
  return { levels: [{ pixels: new Uint16Array(bytes), width: view.width, height: view.height }] };
}

// The copy of which at most `density` pixels, if there is one, lie on a pixel of the screen; level n is halved n times.
function level(radiograph, texelsPerPixel, density) {
  const { levels } = radiograph;
  let n = 0;
  while (texelsPerPixel / 2 ** n > density && Math.min(levels[n].width, levels[n].height) > 1) {
    n += 1;
    if (n === levels.length) levels.push(halved(levels[n - 1]));
  }
  return { ...levels[n], reduction: 2 ** n };
}

// Each pixel is the mean of four; at an odd border, of the two that exist.
function halved({ pixels, width, height }) {
  const across = Math.ceil(width / 2), down = Math.ceil(height / 2);
  const half = new Uint16Array(across * down);
  let at = 0;
  for (let y = 0; y < down; y++) {
    const above = 2 * y * width, below = Math.min(2 * y + 1, height - 1) * width;
    for (let x = 0; x < across; x++) {
      const left = 2 * x, right = Math.min(left + 1, width - 1);
      half[at++] = (pixels[above + left] + pixels[above + right] + pixels[below + left] + pixels[below + right] + 2) >> 2;
    }
  }
  return { pixels: half, width: across, height: down };
}

return { load, level };
