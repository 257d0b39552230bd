/** The page to choose one of the networks that a search has found, to try it, and to take it away. */

import { byId, bytes, counted, el, fetchJson, number, page, percent, si, table } from "./dom.js";
import { fill, flopsText, numberCell, numbersRight, patience, quietHead, say, showTrouble, whileVisible, withCode } from "./account_parts.js";
import { showFiles } from "./choose_files.js";
import { showShares } from "./choose_shares.js";
import { forget, startTrying } from "./choose_try.js";

/** How often a search that goes on is asked for. */
const POLL_MS = 5_000;
/** Steps of the sliders. */
const STEPS = 1000;

/** The rules by which a network is picked, as the genomaster names them in `picks`. */
const PICKS = {
  knee: ["Recommended", "The knee of the front: more accuracy would cost many parameters."],
  best: ["Most accurate", "The highest accuracy, whatever the size."],
  smallest: ["Smallest", "The fewest parameters among those that learnt something."],
};

let result = null;
/** All networks, the most accurate first. */
let networks = [];
let chosen = null;
const limits = { params: Infinity, flops: Infinity };

const has = (network, pick) => network.picks.split(",").some((one) => one.trim() === pick);
const isWithin = (network) => network.params <= limits.params && network.flops <= limits.flops;

/** A logarithmic scale from the least to the most of a measure. */
function scaleOf(name) {
  const values = networks.map((network) => network[name]);
  const [least, most] = [Math.max(Math.min(...values), 1), Math.max(...values, 1)];
  return {
    valueAt: (step) => (step >= STEPS ? most : least * (most / least) ** (step / STEPS)),
    stepOf: (value) => (most > least ? Math.ceil((STEPS * Math.log(value / least)) / Math.log(most / least)) : STEPS),
    isUseful: most > least, least, most,
  };
}

/** A card of a network, with all names that it is picked by. The value is the genome, as in the table. */
function card(network, picks) {
  const numbers = `${percent(network.accuracy)} · ${si(network.params)} parameters · ${flopsText(network.flops)}`;
  const [labels, texts] = [0, 1].map((part) => picks.map((pick) => PICKS[pick][part]));
  return el("label", { class: "card" },
    // A group of its own: the table below has a button for the same network, which is checked too.
    el("input", { type: "radio", name: "pick", value: network.genome, onchange: () => select(network) }),
    el("span", {}, el("strong", {}, labels.join(" · ")), el("span", { class: "numbers" }, numbers), el("span", { class: "hint" }, texts.join(" "))));
}

function showPicks() {
  const picked = new Map();
  for (const pick of Object.keys(PICKS)) {
    const network = networks.find((one) => one.is_useful && has(one, pick));
    if (network) picked.set(network, [...(picked.get(network) ?? []), pick]);
  }
  fill("picks", [...picked].map(([network, picks]) => card(network, picks)));
}

function showNetworks() {
  const within = networks.filter(isWithin);
  const rows = within.map((network) => {
    const id = `network-${network.genome}`;
    const radio = el("input", {
      type: "radio", name: "network", id, value: network.genome, onchange: () => select(network),
    });
    return [
      el("td", { class: "tick" }, radio),
      el("th", { scope: "row" },
        el("label", { for: id, class: "genome" }, network.shown), network.is_useful ? null : el("span", { class: "no" }, " learnt nothing")),
      // What a network costs comes next, so that it is seen on a phone without scrolling.
      numberCell(percent(network.accuracy)), numberCell(si(network.params)), numberCell(si(network.flops)),
      numberCell(percent(network.test_accuracy)), network.picks,
    ];
  });
  const measured = el("span", {}, "Accuracy ", el("span", { class: "of" }, `(${result.measured_on})`));
  const heads = [quietHead("Choose"), "Genome", measured, "Parameters", "FLOPs", "Test accuracy", "Picked as"];
  fill("networks", within.length ? numbersRight(table("List of networks", heads, rows), 2, 3, 4, 5) : null);
  markChosen();
}

/** Shows the chosen network as such among the cards and in the table, whichever it was chosen by. */
function markChosen() {
  for (const radio of document.querySelectorAll("#choice input[type=radio]")) {
    radio.checked = radio.value === chosen?.genome;
    radio.closest("tr")?.classList.toggle("chosen", radio.checked);
  }
}

function select(network) {
  say("limits-status", "");
  if (network === chosen) return;
  chosen = network;
  markChosen();
  forget();
  showChosen();
}

function showChosen() {
  byId("chosen").hidden = byId("files-section").hidden = !chosen;
  if (!chosen) return;
  const fact = (name, ...value) => [el("dt", {}, name), el("dd", {}, ...value.flat())];
  const picks = chosen.picks ? ` (${chosen.picks})` : "";
  fill("facts", el("dl", {},
    fact("Genome", el("a", { class: "genome", href: `${page.base}/candidates/${chosen.job}` }, chosen.shown), picks),
    fact("Accuracy", `${percent(chosen.accuracy)} of the ${result.measured_on} pictures`),
    chosen.test_accuracy === null ? [] : fact("Test accuracy", `${percent(chosen.test_accuracy)} of pictures that the search has never used`),
    fact("Guessing", `${percent(result.guessing_limit)} or less would be no better than guessing`),
    fact("Parameters", `${number(chosen.params)}: about ${bytes(chosen.params * 4)} as floats, ${bytes(chosen.params)} in eight bits`),
    fact("FLOPs", `${flopsText(chosen.flops)} a picture`),
    fact("Takes", `pictures of ${result.shape} (channels × height × width)`),
    fact("Classes", result.classes.length > 20 ? `${result.classes.slice(0, 20).join(", ")} and ${result.classes.length - 20} more` : result.classes.join(", ")),
    chosen.retrained ? fact("Retrained", withCode("yes; here are the weights of the search, `genomaster export --retrained` writes the others")) : []),
    chosen.is_useful ? null : el("p", { class: "notice" }, uselessText()));
  byId("files-section").hidden = !chosen.has_model;
  byId("drop").closest("section").hidden = !chosen.has_model;
  if (chosen.has_model) showFiles(chosen);
  else byId("facts").append(el("p", { class: "notice" }, withCode(waitText())));
}

const uselessText = () => `This network has learnt nothing: it is no better than guessing.${networks.some((one) => one.is_useful) ? " Choose another one." : ""}`;

const waitText = () => (result.state === "ended"
  ? "This network has no stored model. `genomaster export` trains it again and writes the same bits."
  : "Its model comes when the search has ended.");

/** What a slider stands for, in words; the page adds the unit of parameters. */
const limitText = (name, value) => (name === "flops" ? flopsText(value) : si(value));

/** Narrows the table to the limits, and picks the most accurate network that is left: never one that has learnt nothing while others have. */
function limit() {
  for (const name of ["params", "flops"]) {
    const [slider, scale] = [byId(`max-${name}`), scaleOf(name)];
    limits[name] = Number(slider.value) >= STEPS ? Infinity : scale.valueAt(Number(slider.value));
    const text = limitText(name, scale.valueAt(Number(slider.value)));
    byId(`max-${name}-shown`).value = text;
    slider.setAttribute("aria-valuetext", text);
  }
  const within = networks.filter(isWithin);
  const isAnyUseful = networks.some((network) => network.is_useful);
  const best = within.find((network) => network.is_useful || !isAnyUseful);
  if (best) select(best);
  showNetworks();
  say("limits-status", withinText(within, best));
}

function withinText(within, best) {
  if (!within.length) return "No network is within both limits. Raise one of them.";
  const count = `${number(within.length)} of ${counted(networks.length, "network")} ${within.length === 1 ? "is" : "are"} within the limits`;
  if (!best) return `${count}, and learnt nothing. Raise one of the limits.`;
  return within.length === 1 ? `${count}, and is chosen.` : `${count}; the most accurate of them is chosen.`;
}

function startLimits() {
  const scales = { params: scaleOf("params"), flops: scaleOf("flops") };
  byId("limits").hidden = !Object.values(scales).some((scale) => scale.isUseful);
  for (const name of ["params", "flops"]) {
    const text = limitText(name, scales[name].most);
    byId(`max-${name}`).disabled = !scales[name].isUseful;
    byId(`max-${name}`).addEventListener("input", limit);
    byId(`max-${name}`).setAttribute("aria-valuetext", text);
    byId(`max-${name}-shown`).value = text;
  }
}

function showRunning() {
  const text = networks.length
    ? "The search goes on. These are the networks of its front so far; others may replace them. Models to try and to download come at the end."
    : "The search goes on and has found nothing yet. Networks are shown here as soon as the first are trained; models come at the end.";
  fill("running", text, " ", el("a", { href: page.base || "/" }, "Watch the search"));
  byId("running").hidden = false;
}

/** Shows the page again when the search has ended, or has found its first network. */
function watchForMore() {
  whileVisible(POLL_MS, async () => {
    const later = await fetchJson(`${page.api}/result`, patience()).catch(() => null);
    if (later && (later.state === "ended" || (!networks.length && later.networks.length))) location.reload();
  });
}

async function start() {
  result = await fetchJson(`${page.api}/result`);
  networks = [...result.networks].sort((a, b) => b.accuracy - a.accuracy || a.params - b.params);
  if (result.state !== "ended") {
    showRunning();
    watchForMore();
  }
  if (!networks.length) {
    fill("networks", el("p", {}, result.state === "ended"
      ? "The search has ended without a network that could be used. Begin another one, with more epochs or other data."
      : "No networks yet."));
    return;
  }
  showPicks();
  startLimits();
  startTrying(() => chosen);
  chosen = networks.find((one) => has(one, "knee")) ?? networks.find((one) => one.is_useful) ?? networks[0];
  showNetworks();
  showChosen();
  showUseless();
}

/** Says at the top that nothing can be recommended. */
function showUseless() {
  if (networks.some((network) => network.is_useful)) return;
  const soFar = result.state === "ended" ? "" : " so far";
  const advice = result.state === "ended" ? "Try a larger budget or more pictures." : "The search goes on.";
  byId("choice").prepend(el("p", { class: "notice", id: "useless" }, el("strong", {}, `No network learnt anything${soFar}. `), advice));
}

/** Whose search it is, for somebody who came by a link: it is neither theirs nor public. */
async function showVisitor() {
  if ("own" in page) return;
  const info = await fetchJson(page.api).catch(() => null);
  if (info && info.public === false) byId("problem").before(el("p", { class: "hint", id: "visitor" }, "Shared with you, read only."));
}

byId("back").href = page.base || "/";
byId("choice").addEventListener("submit", (event) => event.preventDefault());
try {
  await start();
} catch (problem) {
  showTrouble(byId("problem"), problem);
  fill("networks");
}
showVisitor();
showShares();
