/** One data set: its classes, samples of them, and what looks suspicious. */

import { byId, bytes, el, fetchJson, number, page, table } from "./dom.js";
import { bar, fill, numberCell, numbersRight, quietHead, sentence, showTrouble, stacked } from "./account_parts.js";

const digest = decodeURIComponent(location.pathname.split("/").at(-1));
const path = `/v1/data-sets/${encodeURIComponent(digest)}`;
/** A sample is drawn at least so large, whatever the size of the pictures. */
const SAMPLE_PIXELS = 64;

function fact(name, ...value) {
  return [el("dt", {}, name), el("dd", {}, ...value)];
}

function sample(data, label, index) {
  const name = data.class_counts[label].name;
  const [, height, width] = data.shape.split("x").map(Number);
  const scale = Math.max(1, Math.round(SAMPLE_PIXELS / Math.max(height, width)));
  return el("img", {
    src: `${path}/samples/${label}/${index}`, alt: `Sample ${index + 1} of ${name}`, loading: "lazy", class: "pixels",
    width: width * scale, height: height * scale, onerror: (event) => event.target.remove(),
  });
}

function classRow(data, label, most) {
  const { name, train, test } = data.class_counts[label];
  const count = Math.min(data.samples_per_class, train);
  return [
    el("th", { scope: "row", class: "class-name" }, name), numberCell(number(train)), numberCell(number(test)),
    el("td", { class: "bar-cell" }, bar(train / most)),
    el("td", {}, el("div", { class: "samples" }, Array.from({ length: count }, (_, index) => sample(data, label, index)))),
  ];
}

function access(data) {
  if (data.public) return "Everybody can use it (public)";
  return data.owner === page.user ? "Only you can use it (private)" : `Only ${data.owner} can use it (private)`;
}

/** Small classes are named by the check of the pictures and by the one of searches; the latter says what to do. */
const SMALL = [/class(es)? (has|have) fewer than \d+ training images/, /^Fewer than \d+ pictures to train with/];

/** The warnings of the genomaster, each once. */
function warningsOf(data) {
  const all = [...new Set((data.warnings ?? []).map(sentence))];
  const isAdvised = all.some((text) => SMALL[1].test(text));
  return all.filter((text) => !(isAdvised && SMALL[0].test(text)));
}

function show(data) {
  document.title = `${data.name} · NASChain`;
  byId("name").textContent = data.name;
  const isBuiltIn = data.kind === "digits";
  byId("search").href = `/runs/new?data=${isBuiltIn ? data.kind : data.digest}`;
  byId("search").hidden = false;
  fill("facts",
    fact("Pictures", `${number(data.train_images)} to learn from, ${number(data.test_images)} for the test`),
    fact("Shape", `${data.shape} (channels × height × width)`),
    fact("Classes", number(data.classes)),
    fact("Owner", isBuiltIn ? "built into the program" : data.owner === page.user ? `${data.owner} (you)` : data.owner),
    fact("Access", access(data)),
    fact("Licence", data.licence || "not stated"),
    data.bytes ? fact("Size", bytes(data.bytes)) : [],
    fact("Digest", el("code", { class: "genome" }, data.digest)));
  const warnings = warningsOf(data);
  fill("warnings", warnings.length
    ? el("div", { class: "notice" }, el("h3", {}, "Check these"), el("ul", {}, warnings.map((warning) => el("li", {}, warning))))
    : null);
  const most = Math.max(1, ...data.class_counts.map(({ train }) => train));
  const rows = data.class_counts.map((_, label) => classRow(data, label, most));
  const heads = ["Class", "To learn from", "Test", quietHead("Share"), quietHead("Samples")];
  fill("classes", stacked(numbersRight(table("Pictures of each class", heads, rows), 1, 2)));
}

try {
  show(await fetchJson(path));
} catch (problem) {
  showTrouble(byId("problem"), problem);
  fill("classes");
}
