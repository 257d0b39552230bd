/** The page to begin a search, with an estimate of what it takes. */

import { byId, counted, duration, el, fetchJson, number, page, send, si } from "./dom.js";
import { busy, fill, reveal, sentence, showTrouble, signInPath } from "./account_parts.js";

const DEBOUNCE_MS = 500;
const DIGITS = "digits";

let sets = [];
let timer = null;
/** Only the answer to the last question is shown. */
let asked = 0;
/** The name follows the data set until somebody types one. */
let isNamed = false;

/** Fields of limits, the settings that they are, and their names. */
const LIMITS = [
  ["params-limit", "params_limit", "Parameters of a network"],
  ["flops-limit", "flops_limit", "FLOPs for one picture"],
];

/** A whole number such as 50000 or 50k; `null` for an empty text. */
function count(text, what) {
  const trimmed = text.trim().replaceAll(",", "");
  if (!trimmed) return null;
  const [, digits, suffix] = trimmed.match(/^(\d+(?:\.\d+)?)\s*([kMG]?)$/) ?? [];
  if (!digits) throw new Error(`${what}: “${trimmed}” is no number; write one such as 50000, 50k or 5M.`);
  return Math.floor(Number(digits) * { "": 1, k: 1e3, M: 1e6, G: 1e9 }[suffix]);
}

/** The settings of the form. Throws an `Error` that says which line is wrong. */
function settings() {
  const found = { budget: document.querySelector("[name=budget]:checked").value };
  const replication = byId("replication").value.trim();
  if (byId("replication").validity.badInput) throw new Error("Miners that train each network: enter a whole number from 2 to 64.");
  if (replication) found.replication = Number(replication);
  for (const [id, setting, what] of LIMITS) {
    const most = count(byId(id).value, what);
    if (most !== null) found[setting] = most;
  }
  const time = byId("time-limit").value.trim();
  if (time) found.time = time;
  byId("further").value.split("\n").forEach((line, index) => {
    const text = line.trim();
    if (!text || text.startsWith("#")) return;
    const [, name, value] = text.match(/^-{0,2}([A-Za-z][\w.-]*)\s*=\s*(.*)$/) ?? [];
    if (!name) throw new Error(`Line ${index + 1} of the other settings is “${text}”; write name=value, such as epochs=12.`);
    if (["budget", "replication", "params_limit", "params-limit", "flops_limit", "flops-limit", "time"].includes(name)) throw new Error(`Line ${index + 1} sets ${name}, which has a field of its own.`);
    const read = value === "true" || value === "false" ? value === "true" : value;
    // A flag that may be repeated, such as rule.
    if (name in found) found[name] = [found[name], read].flat();
    else found[name] = read;
  });
  return found;
}

function fact(name, value) {
  return [el("dt", {}, name), el("dd", {}, value)];
}

function showEstimate(estimate) {
  fill("estimate",
    el("p", { class: "headline" }, sentence(estimate.text)),
    el("dl", {},
      fact("Networks, at most", number(estimate.networks)),
      fact("Trainings, at most", `${number(estimate.trainings)}, of ${counted(estimate.epochs, "epoch")}`),
      fact("Pictures", `${number(estimate.train_images)} to train on, ${number(estimate.validation_images)} to measure on`),
      fact("Computation", `${si(estimate.flops)}FLOPs`),
      estimate.largest_params ? fact("Largest network", `${si(estimate.largest_params)} parameters`) : [],
      fact("Miners now", number(estimate.miners)),
      !estimate.time_s ? [] : fact("Time", `about ${duration(estimate.time_s * 1000)}`)));
}

async function estimate() {
  asked += 1;
  const question = asked;
  const region = byId("estimate");
  region.setAttribute("aria-busy", "true");
  region.classList.add("stale");
  try {
    const found = await send("POST", "/v1/estimates", { data: byId("data").value, settings: settings() });
    if (question === asked) showEstimate(found);
  } catch (problem) {
    if (question !== asked) return;
    const alert = el("div", { class: "problem" });
    showTrouble(alert, problem);
    const isWrong = [400, 422, undefined].includes(problem.status);
    fill("estimate", alert, isWrong ? el("p", { class: "hint" }, "Change the settings; the estimate follows.") : null);
  } finally {
    if (question === asked) {
      region.removeAttribute("aria-busy");
      region.classList.remove("stale");
    }
  }
}

function changed() {
  clearTimeout(timer);
  timer = setTimeout(estimate, DEBOUNCE_MS);
}

function followName() {
  if (isNamed) return;
  const data = sets.find((one) => one.digest === byId("data").value);
  byId("name").value = data ? data.name : DIGITS;
}

async function loadSets() {
  const wanted = new URLSearchParams(location.search).get("data");
  try {
    sets = await fetchJson("/v1/data-sets");
  } catch (problem) {
    showTrouble(byId("problem"), problem);
  }
  const options = sets.map((data) => el("option", { value: data.digest },
    `${data.name}: ${counted(data.train_images + data.test_images, "picture")}, ${number(data.classes)} classes`
      + (data.owner === page.user ? "" : `, of ${data.owner}`)));
  byId("data").prepend(...options);
  const isKnown = wanted === DIGITS || sets.some((data) => data.digest === wanted);
  byId("data").value = isKnown ? wanted : sets[0]?.digest ?? DIGITS;
  if (wanted && !isKnown) showTrouble(byId("problem"), { detail: "The data set of the link is not there, or is not yours. Choose another one." });
}

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  busy(byId("create"), async () => {
    try {
      const name = byId("name").value.trim();
      if (!name) {
        byId("name").focus();
        throw new Error("Give the search a name.");
      }
      showTrouble(byId("problem"), null);
      const run = await send("POST", "/v1/runs", { name, data: byId("data").value, public: byId("public").checked, settings: settings() });
      location.assign(`/runs/${run.id}`);
    } catch (problem) {
      showTrouble(byId("problem"), problem);
      reveal(byId("problem"));
    }
  });
});
byId("name").addEventListener("input", () => { isNamed = byId("name").value !== ""; });
byId("data").addEventListener("change", followName);
for (const kind of ["input", "change"]) byId("search").addEventListener(kind, changed);

if (page.user) {
  await loadSets();
  followName();
  estimate();
} else {
  location.replace(signInPath());
}
