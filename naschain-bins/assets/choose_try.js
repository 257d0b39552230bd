/** Trying the chosen network on a picture. */

import { byId, el, page, sendRaw } from "./dom.js";
import { bar, fill, showTrouble } from "./account_parts.js";

/** What the genomaster decodes; others, such as HEIC of phones, are converted here if the browser can. */
const DECODED = ["image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp"];
/** Larger pictures are scaled down first: networks see a few pixels of them anyway. */
const MAX_BYTES = 15 << 20;
const MAX_PIXELS = 16_000_000;
/** Longest sides that are tried: a picture with much detail may still be too large as a file. */
const SIDES = [4096, 2048, 1024];

/** Number of the last question, whose answer is shown. */
let asked = 0;
/** The last picture, to ask another network about it. */
let last = null;
let address = null;

/** The picture in a form that the genomaster reads. */
async function prepared(picture) {
  const isSmall = DECODED.includes(picture.type) && picture.size <= MAX_BYTES;
  let bitmap;
  try {
    bitmap = await createImageBitmap(picture);
  } catch {
    // The genomaster says what is wrong with it.
    if (isSmall) return picture;
    throw new Error(`${picture.name ?? "The file"} cannot be read as a picture. Save it as PNG or JPEG, and try again.`);
  }
  try {
    if (isSmall && bitmap.width * bitmap.height <= MAX_PIXELS) return picture;
    for (const side of SIDES) {
      const blob = await scaled(bitmap, side);
      if (blob.size <= MAX_BYTES) return blob;
    }
  } finally {
    bitmap.close();
  }
  throw new Error("The picture is too large as a file. Make it smaller, and try again.");
}

/** A picture as PNG whose longest side has at most so many pixels. */
function scaled(bitmap, side) {
  const least = Math.min(side / Math.max(bitmap.width, bitmap.height), Math.sqrt(MAX_PIXELS / (bitmap.width * bitmap.height)));
  const scale = Math.min(1, least);
  const canvas = el("canvas", { width: Math.max(1, Math.floor(bitmap.width * scale)), height: Math.max(1, Math.floor(bitmap.height * scale)) });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture cannot be converted. Save it as PNG or JPEG, and try again."))), "image/png");
  });
}

const figure = (caption, image) => el("figure", {}, el("img", image), el("figcaption", { class: "hint" }, caption));

function show({ classes, seen }, picture) {
  if (address) URL.revokeObjectURL(address);
  address = URL.createObjectURL(picture);
  const top = classes[0];
  const rows = classes.map(({ name, probability }, index) => el("li", { class: index ? "" : "top" },
    el("span", { class: "class-name" }, name), bar(probability), el("span", { class: "number" }, `${(probability * 100).toFixed(1)} %`)));
  fill("answer",
    top ? el("p", { class: "headline" }, top.name, el("span", { class: "hint" }, ` ${(top.probability * 100).toFixed(1)} %`)) : null,
    el("div", { class: "tried" },
      figure("Your picture", { src: address, alt: "Your picture", onerror: (event) => event.target.closest("figure").remove() }),
      figure("As the network sees it", { src: seen, alt: "The picture as the network sees it", class: "pixels" })),
    el("ol", { class: "answers" }, rows));
}

async function ask(network, picture) {
  asked += 1;
  const question = asked;
  showTrouble(byId("try-problem"), null);
  fill("answer", el("p", { class: "hint" }, "Asking the network …"));
  try {
    const sent = await prepared(picture);
    const response = await sendRaw(`${page.api}/models/${network.genome}/predictions`, { method: "POST", headers: { "Content-Type": sent.type }, body: sent });
    const answer = await response.json();
    if (question === asked) show(answer, picture);
  } catch (problem) {
    if (question !== asked) return;
    fill("answer");
    showTrouble(byId("try-problem"), problem);
  }
}

/** Another network was chosen: what the last one said is not its answer. The picture can be tried again at once. */
export function forget() {
  asked += 1;
  fill("answer");
  showTrouble(byId("try-problem"), null);
  if (last) fill("answer", el("button", { type: "button", id: "again" }, "Try the same picture with this network"));
}

/** Takes pictures that are chosen, dropped or pasted. `chosen` gives the network that is asked. */
export function startTrying(chosen) {
  const take = (files) => {
    const pictures = [...files].filter((file) => file.type.startsWith("image/") || !file.type);
    const network = chosen();
    if (!network?.has_model || byId("drop").closest("section").hidden) return;
    if (!pictures.length) {
      asked += 1;
      fill("answer");
      showTrouble(byId("try-problem"), { detail: "That is no picture. Choose a PNG, JPEG, WebP, GIF or BMP file." });
      return;
    }
    [last] = pictures;
    ask(network, last);
  };
  byId("picture").addEventListener("change", (event) => {
    take(event.target.files);
    event.target.value = "";
  });
  byId("answer").addEventListener("click", (event) => {
    if (event.target.id === "again") ask(chosen(), last);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) take(event.clipboardData.files);
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    byId("drop").classList.add("over");
  });
  addEventListener("dragleave", () => byId("drop").classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    byId("drop").classList.remove("over");
    take(event.dataTransfer.files);
  });
}
