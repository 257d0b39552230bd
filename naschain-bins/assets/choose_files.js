/** Downloads of the chosen network, and programs that use them. */

import { byId, el, fetchJson, number, page, percent } from "./dom.js";
import { busy, copyButton, fill, showTrouble } from "./account_parts.js";

/** The program of README.md: the same pixels as the genomaster's. */
const onnx = (file) => `# pip install onnxruntime pillow
import numpy, onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("${file}")  # the downloaded file
_, channels, height, width = session.get_inputs()[0].shape
picture = Image.open("photo.png").convert("RGB")
# The largest centred part with the aspect ratio of the input.
columns = min(max((picture.height * width + height // 2) // height, 1), picture.width)
rows = min(max((picture.width * height + width // 2) // width, 1), picture.height)
left, top = (picture.width - columns) // 2, (picture.height - rows) // 2
picture = picture.crop((left, top, left + columns, top + rows))
# From 0 (black) to 255 (white); the network includes the normalisation.
pixels = numpy.asarray(picture.resize((width, height), Image.BILINEAR), numpy.float32)
if channels == 1:
    pixels = pixels @ numpy.float32([[0.2126], [0.7152], [0.0722]])
logits = session.run(["logits"], {"pixels": pixels.transpose(2, 0, 1)[None]})[0][0]
names = session.get_modelmeta().custom_metadata_map.get("class_names")
print(names.split("\\n")[logits.argmax()] if names else logits.argmax())
`;

const torch = (file) => `# pip install torch safetensors blake3 numpy pillow
# load_model.py has to be in the same folder.
import torch
from load_model import load, read_picture

network, description = load("${file}")  # the downloaded file
pixels = read_picture("photo.png", description["architecture"]["input"])
with torch.no_grad():
    probabilities = network(pixels[None])[0].softmax(dim=0)
names = description["class_names"]
best = int(probabilities.argmax())
print(names[best] if names else best, float(probabilities[best]))
`;

/** The genome for which the files are shown: an answer for another one is not. */
let current = null;

/** The name under which the genomaster sends a file; the same rule as in result.rs. */
function fileName(network, format) {
  const title = [...(byId("files").dataset.title ?? "model")].slice(0, 60).join("").replace(/[^A-Za-z0-9_-]/gu, "-");
  return `${title}-${network.genome}.${format}`;
}

function download(network, format, label) {
  return el("a", { class: "button", href: `${page.api}/models/${network.genome}/files/${format}`, download: "" }, label);
}

function program(title, text, ...before) {
  const code = el("code", {}, text);
  return el("details", {}, el("summary", {}, title), before,
    el("div", { class: "snippet" }, copyButton(text, code, "Copy the program"), el("pre", { tabIndex: 0, role: "region", "aria-label": title }, code)));
}

function int8(network) {
  const answer = el("p", { role: "status", class: "hint" }, "Measuring takes some seconds the first time.");
  const trouble = el("div", { class: "problem", role: "alert", hidden: true });
  const measure = el("button", {
    type: "button",
    onclick: () => busy(measure, async () => {
      answer.textContent = "Measuring …";
      showTrouble(trouble, null);
      try {
        const { before, after, images } = await fetchJson(`${page.api}/models/${network.genome}/int8`);
        if (current !== network.genome) return;
        const change = after - before;
        const points = `${change >= 0 ? "+" : "−"}${Math.abs(change).toFixed(2)} points`;
        answer.textContent = `${percent(after)} in eight bits, ${percent(before)} as floats: ${points}, on ${number(images)} pictures.`;
      } catch (problem) {
        answer.textContent = "";
        showTrouble(trouble, problem);
      }
    }),
  }, "Measure its accuracy");
  return [el("div", { class: "actions" }, download(network, "int8.onnx", "Download int8 ONNX"), measure), answer, trouble];
}

/** Shows what can be downloaded of a network. */
export function showFiles(network) {
  current = network.genome;
  const kind = (name, text, ...content) => el("div", {}, el("h3", {}, name), el("p", {}, text), content.flat());
  const actions = (...links) => el("div", { class: "actions" }, links);
  fill("files", el("div", { class: "downloads" },
    kind("ONNX", "For onnxruntime, browsers, phones and most tools. The normalisation is inside: pixels from 0 to 255.",
      actions(download(network, "onnx", "Download ONNX"))),
    kind("ONNX in eight bits", "A quarter of the size, and faster on many processors, with a little less accuracy.", int8(network)),
    kind("safetensors", "The weights for PyTorch, with a description of the architecture.",
      actions(download(network, "safetensors", "Download safetensors"), download(network, "json", "Description (JSON)")))),
  program("Use the ONNX file in Python", onnx(fileName(network, "onnx"))),
  program("Use the ONNX file in eight bits in Python", onnx(fileName(network, "int8.onnx"))),
  program("Use the safetensors file in PyTorch", torch(fileName(network, "safetensors")),
    el("p", {}, "It needs ", el("a", { href: `${page.assets}/load_model.py`, download: "load_model.py" }, "load_model.py"), " in the same folder.")));
}
