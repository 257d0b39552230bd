/** The page to choose one of the networks that a search has found, to try it, and to take it away. */

import { byId, el, fetchJson, page, percent, si, table } from "./dom.js";
import { fill, numberCell, numbersRight, patience, quietHead, say, showTrouble, whileVisible, withCode } from "./account_parts.js";
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

function option(value, network, label, text) {
  const numbers = `${percent(network.accuracy)} · ${si(network.params)} parameters · ${si(network.flops)}FLOPs`;
  return el("label", { class: "card" },
    el("input", { type: "radio", name: "network", value, onchange: () => select(network) }),
    el("span", {}, el("strong", {}, label), el("span", { class: "numbers" }, numbers), el("span", { class: "hint" }, text)));
}

function showPicks() {
  const options = Object.entries(PICKS).flatMap(([pick, [label, text]]) => {
    const network = networks.find((one) => has(one, pick));
    return network ? [option(pick, network, label, text)] : [];
  });
  fill("picks", options);
}

function showNetworks() {
  const within = networks.filter(isWithin);
  const rows = within.map((network) => {
    const id = `network-${network.genome}`;
    const radio = el("input", {
      type: "radio", name: "network", id, value: network.genome, checked: network === chosen, onchange: () => select(network),
    });
    return [
      el("td", { class: "tick" }, radio),
      el("th", { scope: "row" },
        el("label", { for: id, class: "genome" }, network.shown), network.is_useful ? null : el("span", { class: "no" }, " learnt nothing")),
      numberCell(percent(network.accuracy)), numberCell(percent(network.test_accuracy)),
      numberCell(si(network.params)), numberCell(si(network.flops)),
      network.picks,
    ];
  });
  const measured = result.measured_on === "test" ? "Accuracy (test)" : "Accuracy (validation)";
  const heads = [quietHead("Choose"), "Genome", measured, "Test accuracy", "Parameters", "FLOPs", "Picked as"];
  fill("networks", within.length ? numbersRight(table("List of networks", heads, rows), 2, 3, 4, 5) : null);
}

function select(network) {
  say("limits-status", "");
  if (network === chosen) return;
  chosen = network;
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
    fact("Parameters", `${chosen.params.toLocaleString("en")}: ${si(chosen.params * 4)}B as floats, ${si(chosen.params)}B in eight bits`),
    fact("FLOPs", `${si(chosen.flops)} a picture`),
    fact("Takes", `pictures of ${result.shape} (channels × height × width)`),
    fact("Classes", result.classes.length > 20 ? `${result.classes.slice(0, 20).join(", ")} and ${result.classes.length - 20} more` : result.classes.join(", ")),
    chosen.retrained ? fact("Retrained", withCode("yes; here are the weights of the search, `genomaster export --retrained` writes the others")) : []),
    chosen.is_useful ? null : el("p", { class: "notice" }, "This network has learnt nothing: it is no better than guessing. Choose another one."));
  byId("files-section").hidden = !chosen.has_model;
  byId("drop").closest("section").hidden = !chosen.has_model;
  if (chosen.has_model) showFiles(chosen);
  else byId("facts").append(el("p", { class: "notice" }, withCode(waitText())));
}

const waitText = () => (result.state === "ended"
  ? "This network has no stored model. `genomaster export` trains it again and writes the same bits."
  : "Its model comes when the search has ended.");

/** Narrows the table to the limits, and picks the most accurate network that is left. */
function limit() {
  for (const name of ["params", "flops"]) {
    const [slider, scale] = [byId(`max-${name}`), scaleOf(name)];
    limits[name] = Number(slider.value) >= STEPS ? Infinity : scale.valueAt(Number(slider.value));
    const text = si(scale.valueAt(Number(slider.value)));
    byId(`max-${name}-shown`).value = text;
    slider.setAttribute("aria-valuetext", text);
  }
  const within = networks.filter(isWithin);
  const best = within.find((network) => network.is_useful) ?? within[0] ?? null;
  for (const radio of document.querySelectorAll("#picks input")) radio.checked = false;
  if (best) select(best);
  showNetworks();
  say("limits-status", within.length
    ? `${within.length} of ${networks.length} networks are within the limits; the most accurate of them is chosen.`
    : "No network is within both limits. Raise one of them.");
}

function startLimits() {
  const scales = { params: scaleOf("params"), flops: scaleOf("flops") };
  byId("limits").hidden = !Object.values(scales).some((scale) => scale.isUseful);
  for (const name of ["params", "flops"]) {
    const text = si(scales[name].most);
    byId(`max-${name}`).disabled = !scales[name].isUseful;
    byId(`max-${name}`).addEventListener("input", limit);
    byId(`max-${name}`).setAttribute("aria-valuetext", text);
    byId(`max-${name}-shown`).value = text;
  }
}

function showRunning() {
  const count = networks.length;
  const text = count
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
  const pick = Object.keys(PICKS).find((name) => has(chosen, name));
  const card = document.querySelector(`#picks [value="${pick}"]`);
  if (card) card.checked = true;
  showChosen();
}

byId("back").href = page.base || "/";
byId("choice").addEventListener("submit", (event) => event.preventDefault());
try {
  await start();
} catch (problem) {
  showTrouble(byId("problem"), problem);
  fill("networks");
}
showShares();
