/** The page to begin a search, with an estimate of what it takes. */

import { byId, counted, el, fetchJson, number, page, send, si } from "./dom.js";
import { busy, fill, flopsText, markField, reveal, roughly, sentence, showTrouble, signInPath } from "./account_parts.js";

const DEBOUNCE_MS = 500;
const DIGITS = "digits";

let sets = [];
let timer = null;
/** Only the answer to the last question is shown. */
let asked = 0;
/** The name follows the data set until somebody types one. */
let isNamed = false;

/** A whole number such as 50000, 50k or 1.5 M. */
function count(text) {
  const [, digits, suffix] = text.replaceAll(",", "").match(/^(\d+(?:\.\d*)?|\.\d+)\s*([kmg]?)$/i) ?? [];
  const value = digits && Math.floor(Number(digits) * { "": 1, k: 1e3, m: 1e6, g: 1e9 }[suffix.toLowerCase()]);
  if (!value || !Number.isSafeInteger(value)) throw new Error(`“${text}” is not a positive number. Write one such as 50000, 50k or 1.5M.`);
  return value;
}

/** Seconds of the units of a time, by the first letter; a month is no unit of a search. */
const UNITS = { d: 86_400, h: 3_600, m: 60, s: 1 };
const TIME_PART = /(\d+(?:\.\d*)?|\.\d+)\s*(d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?)(?![a-z])[\s,]*/gi;

/** The seconds of a time such as 8h, 30 min or 1h 30m. */
function secondsOf(text) {
  const parts = [...text.matchAll(TIME_PART)];
  const isAll = parts.map(([part]) => part).join("") === text;
  const seconds = Math.round(parts.reduce((sum, [, digits, unit]) => sum + Number(digits) * UNITS[unit[0].toLowerCase()], 0));
  if (!isAll || !seconds) throw new Error(`“${text}” is not a time. Write one such as 8h, 30 min, 90s or 1h 30m.`);
  return seconds;
}

function replication(text) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 2 || value > 64) throw new Error("Enter a whole number from 2 to 64.");
  return value;
}

function seed(text) {
  if (!/^\d{1,15}$/.test(text)) throw new Error(`“${text}” is not a seed. Write a whole number such as 7.`);
  return Number(text);
}

/** Fields, the settings that they are, and what reads them. */
const FIELDS = [
  ["params-limit", "params_limit", count],
  ["flops-limit", "flops_limit", count],
  ["time-limit", "time", (text) => `${secondsOf(text)}s`],
  ["replication", "replication", replication],
  ["seed", "seed", seed],
];
/** Settings that have no place among the further ones. */
const WITH_FIELDS = ["budget", ...FIELDS.map(([, setting]) => setting)];

/** A field that is wrong, which says so itself. */
class WrongField extends Error {
  constructor(field, text) {
    super(text);
    this.field = field;
  }
}

/** The settings in the lines of the further ones. */
function furtherSettings() {
  const found = {};
  const wrong = (text) => { throw new WrongField(byId("further"), text); };
  byId("further").value.split("\n").forEach((line, index) => {
    const text = line.trim();
    if (!text || text.startsWith("#")) return;
    const [, name, value] = text.match(/^-{0,2}([A-Za-z][\w.-]*)\s*=\s*(.*)$/) ?? [];
    if (!name) wrong(`Line ${index + 1} is “${text}”. Write name=value, such as epochs=12.`);
    if (WITH_FIELDS.includes(name.replaceAll("-", "_"))) wrong(`Line ${index + 1} sets ${name}, which has a field of its own.`);
    const read = value === "true" || value === "false" ? value === "true" : value;
    // A flag that may be repeated, such as rule.
    if (name in found) found[name] = [found[name], read].flat();
    else found[name] = read;
  });
  return found;
}

/** The settings of the form. Throws the first `WrongField`; all of them are marked. */
function settings() {
  const found = { budget: document.querySelector("[name=budget]:checked").value };
  let first = null;
  const read = (field, work) => {
    try {
      work();
      markField(field, null);
    } catch (problem) {
      markField(field, problem.message);
      first ??= new WrongField(field, problem.message);
    }
  };
  for (const [id, setting, parse] of FIELDS) {
    const field = byId(id);
    // A field of an older page may be missing; what is no number at all has an empty value.
    const text = field?.validity.badInput ? "?" : field?.value.trim();
    if (field) read(field, () => { if (text) found[setting] = parse(text); });
  }
  read(byId("further"), () => Object.assign(found, furtherSettings()));
  if (first) throw first;
  return found;
}

/** Names by which the genomaster calls the settings of fields. */
const NAMES = [
  ["params-limit", /(params[-_]limit|max[-_]params)/], ["flops-limit", /(flops[-_]limit|max[-_]flops)/], ["time-limit", /(--|settings\.)time\b/],
  ["replication", /(--|settings\.)replication\b/], ["seed", /(--|settings\.)seed\b/],
];

/** Shows what is wrong: fields say it themselves, everything else is near the button. */
function showWrong(problem, from) {
  const shown = problem instanceof WrongField ? null : problem;
  showTrouble(byId("problem"), shown);
  byId("problem").dataset.from = from;
  if (![400, 422].includes(shown?.status)) return;
  const [id] = NAMES.find(([, pattern]) => pattern.test(shown.detail ?? "")) ?? [];
  const isFurther = /--|settings/.test(shown.detail ?? "") && byId("further").value.trim();
  const field = byId(id ?? (isFurther ? "further" : ""));
  field?.setAttribute("aria-invalid", "true");
  field?.setAttribute("aria-errormessage", "problem");
}

function fact(name, value) {
  return [el("dt", {}, name), el("dd", {}, value)];
}

/** Says when the limit ends the search before it is complete. */
function limitText({ time_s: takes, trainings }, limit) {
  if (!takes || !limit || limit >= takes) return null;
  const most = Math.max(1, Math.floor((trainings * limit) / takes));
  return el("p", { class: "notice" }, `With this time limit the search ends early, after about ${number(most)} of ${number(trainings)} trainings.`);
}

function showEstimate(estimate, limit) {
  fill("estimate",
    el("p", { class: "headline" }, sentence(estimate.text)),
    limitText(estimate, limit),
    el("dl", {},
      fact("Networks, at most", number(estimate.networks)),
      fact("Trainings, at most", `${number(estimate.trainings)}, of ${counted(estimate.epochs, "epoch")}`),
      fact("Pictures", `${number(estimate.train_images)} to train on, ${number(estimate.validation_images)} to measure on`),
      fact("Computation", flopsText(estimate.flops)),
      estimate.largest_params ? fact("Largest network", `${si(estimate.largest_params)} parameters`) : [],
      fact("Miners now", number(estimate.miners)),
      !estimate.time_s ? [] : fact("Time", `about ${roughly(1000 * Math.min(estimate.time_s, limit ?? Infinity))}`)));
}

async function estimate() {
  asked += 1;
  const question = asked;
  const region = byId("estimate");
  region.setAttribute("aria-busy", "true");
  region.classList.add("stale");
  try {
    // Without the limit, to know how long it would take without it.
    const { time, ...others } = settings();
    const found = await send("POST", "/v1/estimates", { data: byId("data").value, settings: others });
    if (question !== asked) return;
    showEstimate(found, time ? parseInt(time, 10) : undefined);
    if (byId("problem").dataset.from === "estimate") showTrouble(byId("problem"), null);
  } catch (problem) {
    if (question !== asked) return;
    showWrong(problem, "estimate");
    const isWrong = [400, 422, undefined].includes(problem.status);
    fill("estimate", el("p", { class: "hint" }, isWrong ? "Change the settings; the estimate follows." : "There is no estimate at the moment."));
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
      markField(byId("name"), name ? null : "Give the search a name.");
      if (!name) throw new WrongField(byId("name"), "");
      showTrouble(byId("problem"), null);
      const run = await send("POST", "/v1/runs", { name, data: byId("data").value, public: byId("public").checked, settings: settings() });
      location.assign(`/runs/${run.id}`);
    } catch (problem) {
      showWrong(problem, "form");
      // A field may be in the part that is folded away.
      problem.field?.closest("details")?.setAttribute("open", "");
      problem.field?.focus();
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
