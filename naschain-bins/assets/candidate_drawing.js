/** The pictures of a candidate: its network as drawn by the server, and its learning curve. */

import { numberHead } from "./candidate_answers.js";
import { el, number, table } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
/** What a drawing consists of. Everything else is removed, scripts and style sheets above all. */
const ELEMENTS = new Set(["svg", "g", "defs", "marker", "path", "rect", "circle", "line", "polyline", "polygon", "text", "tspan", "title", "desc"]);
const ATTRIBUTES = new Set(["class", "id", "d", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "width", "height", "points",
  "transform", "viewBox", "refX", "refY", "markerUnits", "markerWidth", "markerHeight", "orient"]);
/** The smallest scale at which the texts of a drawing can be read. Narrower places scroll. */
const SMALLEST_SCALE = 0.9;
let drawings = 0;

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function clean(root) {
  for (const element of [root, ...root.querySelectorAll("*")]) {
    if (!ELEMENTS.has(element.localName)) {
      element.remove();
      continue;
    }
    for (const { name } of [...element.attributes]) {
      if (!ATTRIBUTES.has(name)) element.removeAttribute(name);
    }
  }
}

/** Arrow heads are found by id, so each drawing on a page needs its own. */
function connectArrows(root) {
  const marker = root.querySelector("marker");
  if (!marker) return;
  drawings += 1;
  marker.id = `arrow-${drawings}`;
  for (const edge of root.querySelectorAll(".edge")) edge.setAttribute("marker-end", `url(#${marker.id})`);
}

/** What the drawing shows, phase by phase: for those who cannot point at its parts, or see them. */
function contents(root) {
  const phases = [];
  for (const element of root.children) {
    if (element.matches("rect.phase")) phases.push({ caption: element.nextElementSibling?.textContent ?? "", boxes: [], connections: [] });
    const title = element.querySelector("title")?.textContent;
    if (!title || phases.length === 0) continue;
    const name = element.nextElementSibling?.textContent ?? "";
    if (element.matches(".edge")) phases.at(-1).connections.push(title);
    else phases.at(-1).boxes.push(title.startsWith(name) ? title : `${name}: ${title}`);
  }
  if (phases.length === 0) return null;
  return el("details", {}, el("summary", {}, "The network as a list"),
    phases.flatMap(({ caption, boxes, connections }) => [el("p", { class: "phase-name" }, caption),
      el("ul", {}, boxes.map((box) => el("li", {}, box)), connections.length > 0 ? el("li", {}, `connections: ${connections.join("; ")}`) : null)]));
}

function layersTable(layers) {
  if (layers.length === 0) return null;
  const rows = layers.map(({ name, output, costs }) => [name, output, costs.params, costs.flops]);
  return el("details", {}, el("summary", {}, "Its layers with parameters and FLOPs"),
    table("Layers", ["layer", "output", numberHead("parameters"), numberHead("FLOPs")], rows));
}

/** The drawing of a network, from the SVG text of the server, and the network in words. */
export function drawingPart(text, genome, layers = []) {
  // Without its style sheet from the start: a document that is parsed would report it to the console.
  const root = new DOMParser().parseFromString(text.replace(/<style>[^<]*<\/style>/g, ""), "image/svg+xml").documentElement;
  if (root.localName !== "svg" || root.namespaceURI !== SVG) return el("p", { class: "notice" }, "The drawing of this network cannot be read.");
  clean(root);
  const width = Number.parseFloat(root.getAttribute("width")) || 460;
  root.removeAttribute("height");
  root.setAttribute("width", "100%");
  root.setAttribute("role", "img");
  root.setAttribute("aria-label", `Drawing of the network ${genome}`);
  const drawing = document.adoptNode(root);
  connectArrows(drawing);
  drawing.style.maxWidth = `${width}px`;
  drawing.style.minWidth = `${width * SMALLEST_SCALE}px`;
  return el("div", {}, el("div", { class: "drawing scroll", role: "region", "aria-label": "Drawing of the network", tabIndex: 0 }, drawing),
    contents(drawing), layersTable(layers));
}

const SIZE = { width: 380, height: 190 };
const FRAME = { left: 48, right: 12, top: 12, bottom: 34 };

/** Round values between two, at most about `most` of them. */
function ticks(low, high, most) {
  const raw = (high - low) / most || 1;
  const magnitude = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * magnitude).find((size) => size >= raw * 0.999);
  const made = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) made.push(Number((at * step).toPrecision(12)));
  return made;
}

/** A line chart over the epochs. */
function chart(curve, key, label, colourClass) {
  const values = curve.map((point) => point[key]);
  const epochs = curve.map(({ epoch }) => epoch);
  const [first, last] = [Math.min(...epochs), Math.max(...epochs)];
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1];
  const [right, floor] = [SIZE.width - FRAME.right, SIZE.height - FRAME.bottom];
  const x = (epoch) => (first === last ? (FRAME.left + right) / 2 : FRAME.left + (right - FRAME.left) * (epoch - first) / (last - first));
  const y = (value) => floor - (floor - FRAME.top) * (value - low) / (high - low);
  const at = (point) => `${x(point.epoch).toFixed(1)},${y(point[key]).toFixed(1)}`;
  const rows = ticks(low, high, 4).flatMap((value) => [
    svg("line", { class: "grid", x1: FRAME.left, x2: right, y1: y(value), y2: y(value) }),
    svg("text", { class: "tick end", x: FRAME.left - 6, y: y(value) + 4 }, String(value))]);
  const columns = ticks(first, last, 6).filter(Number.isInteger)
    .map((epoch) => svg("text", { class: "tick middle", x: x(epoch), y: floor + 16 }, String(epoch)));
  const points = curve.length > 60 ? [] : curve.map((point) => svg("circle", { class: "point", cx: x(point.epoch), cy: y(point[key]), r: 3 },
    svg("title", {}, `epoch ${point.epoch}: ${number(point[key])}`)));
  const picture = svg("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, class: `curve ${colourClass}`, role: "img",
    "aria-label": `${label}, from ${number(values[0])} in epoch ${epochs[0]} to ${number(values.at(-1))} in epoch ${epochs.at(-1)}` },
  ...rows, ...columns, svg("text", { class: "tick middle", x: (FRAME.left + right) / 2, y: SIZE.height - 3 }, "epoch"),
  svg("polyline", { class: "line", points: curve.map(at).join(" ") }), ...points);
  return el("figure", {}, el("figcaption", {}, label), picture);
}

/** The learning curve: two charts, and their values as a table. */
export function curvePart(curve) {
  const heading = el("h3", {}, "Learning curve");
  if (curve.length === 0) return el("div", { class: "part" }, heading, el("p", {}, "None is known: only networks whose weights were delivered have one."));
  const rows = curve.map(({ epoch, loss, train_accuracy: accuracy }) => [epoch, Number(loss.toPrecision(5)), accuracy]);
  return el("div", { class: "part" }, heading,
    el("div", { class: "curves" }, chart(curve, "loss", "Mean loss of an epoch", "loss"),
      chart(curve, "train_accuracy", "Accuracy on the training images, in percent", "accuracy")),
    el("details", {}, el("summary", {}, "The values as a table"),
      el("div", { class: "values" }, table("Learning curve", ["epoch", "loss", "training accuracy, %"].map(numberHead), rows))),
    el("p", { class: "hint" }, "As the miner reported it: nothing proves it."));
}
