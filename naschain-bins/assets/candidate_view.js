/** A candidate: what is known of its network, who measured it, and where it comes from. */

import { answersPart, disputePart, shortened, signaturesPart } from "./candidate_answers.js";
import { curvePart, drawingPart } from "./candidate_drawing.js";
import { byId, duration, el, fetchJson, grouped, isStatic, number, page, percent, Problem } from "./dom.js";
import { verificationPart } from "./verify.js";

/** What each place shows now: `{stop}`, which ends its verification. A later request wins. */
const shownIn = new WeakMap();

let details = null;

function detailsOfReport() {
  details ??= JSON.parse(byId("details")?.textContent ?? "{}");
  return details;
}

/** Everything about one candidate, from the genomaster or, in a report, from the page. Throws a `Problem`. */
export async function fetchCandidate(job) {
  if (!isStatic()) return fetchJson(`${page.api}/candidates/${job}`);
  const candidate = detailsOfReport()[job];
  if (!candidate) throw new Problem(404, "not_found", `This report has no details of candidate ${job}.`);
  return candidate;
}

const bits = (genome) => genome.replace(/[^01]/g, "");
const shownGenome = (genome, { phase_len: length }) => grouped(bits(genome), length);

const VERDICTS = {
  agreed: ["good", "agreed"],
  majority: ["good", "agreed by a majority"],
  disputed: ["warned", "decided by the referee"],
  failed: ["no", "the training failed"],
  rejected: ["no", "no agreement"],
  abandoned: ["no", "given up"],
};

function verdictFact({ state, verdict, verdict_text: text, failure }) {
  if (state === "open") return "open: it is being trained";
  const [kind, name] = VERDICTS[verdict] ?? ["", verdict];
  const explanation = text && !name.includes(text) ? `: ${text}` : "";
  return [el("strong", { class: kind }, name), explanation, failure && failure !== text ? el("p", { class: "failure" }, failure) : null];
}

function testFact({ test_accuracy: accuracy, on_front: isOnFront, state }) {
  if (accuracy !== null) return percent(accuracy);
  if (state === "open") return "not measured: the job is open";
  return isOnFront ? "not measured so far" : "not measured: not on the front";
}

function retrainedFact({ retrained }) {
  if (!retrained) return "no";
  const accuracy = retrained.test_accuracy === null ? "its test accuracy is not known" : `test accuracy ${percent(retrained.test_accuracy)}`;
  return `with ${number(retrained.epochs)} epochs on all images: ${accuracy}`;
}

function measuredFacts({ measurement, state }) {
  const missing = state === "open" ? "not known: the job is open" : "none: the job ended without a result";
  if (!measurement) return [["measurement", missing]];
  const { accuracy, params, flops, digest } = measurement;
  return [["accuracy", percent(accuracy)], ["parameters", number(params)], ["FLOPs", number(flops)],
    ["training digest", digest ? shortened(digest, "the training digest") : "none"]];
}

const seedText = () => (isStatic() ? "not in this report" : "shown when the run has ended, to those who may read its results");

/** With rungs a network is trained in parts, each of which is a candidate. */
function partFact(container, { part, other_parts: others, job }) {
  if (!part) return null;
  const [first, last] = [part.from_epoch + 1, part.until_epoch];
  const links = (text, jobs) => jobs.flatMap((other, at) => [at ? ", " : `; ${text} `, candidateLink(container, other, `candidate ${other}`)]);
  return ["part", [
    `${first === last ? `epoch ${first}` : `epochs ${first} to ${last}`} of the training`,
    ...links("before:", others.filter((other) => other < job)), ...links("after:", others.filter((other) => other > job)),
  ]];
}

function facts(container, candidate) {
  const { generation, picks, on_front: isOnFront, training_seed: seed } = candidate;
  const rows = [
    ["verdict", verdictFact(candidate)],
    ...measuredFacts(candidate),
    ["test accuracy", testFact(candidate)],
    ["trained again", retrainedFact(candidate)],
    ["Pareto front", isOnFront ? "on the front" : "not on the front"],
    isOnFront ? ["picks", picks || "none"] : null,
    ["generation", generation === null ? "not known" : number(generation)],
    partFact(container, candidate),
    ["training seed", seed === null ? seedText() : el("code", {}, String(seed))],
  ];
  return el("dl", { class: "facts" }, rows.filter(Boolean).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, ...[value].flat())]));
}

/** A link to another candidate; in a report a button that shows it in the same place. */
function candidateLink(container, job, text) {
  if (!isStatic()) return el("a", { href: `${page.base ?? ""}/candidates/${job}` }, text);
  if (!detailsOfReport()[job]) return el("span", {}, text);
  return el("button", { class: "link", type: "button", onclick: () => showAndFocus(container, job) }, text);
}

async function showAndFocus(container, job) {
  await showCandidate(container, job);
  container.querySelector("h2")?.focus();
}

/** A genome whose genes at some positions are marked. */
function markedGenome(genome, changed, { phase_len: length }) {
  const isMarked = new Set(changed);
  const parts = [...bits(genome)].map((gene, at) => [
    at > 0 && length && at % length === 0 ? "-" : "",
    isMarked.has(at) ? el("mark", { title: `gene ${at + 1}` }, gene) : gene]);
  return el("span", { class: "genome" }, ...parts.flat());
}

function changedText(changed) {
  if (changed.length === 0) return "nothing";
  return `${changed.length === 1 ? "gene" : "genes"} ${changed.map((at) => at + 1).join(", ")}`;
}

function parentsTable(container, candidate, parents) {
  const changedFrom = [...new Set(parents.flatMap(({ changed }) => changed))];
  const rows = parents.map(({ job, genome, accuracy, changed }) => [candidateLink(container, job, `candidate ${job}`),
    markedGenome(genome, changed, candidate), accuracy === null ? "not known" : percent(accuracy), changedText(changed)]);
  const own = [el("strong", {}, `this, candidate ${candidate.job}`), markedGenome(candidate.genome, changedFrom, candidate),
    candidate.measurement ? percent(candidate.measurement.accuracy) : "not known", ""];
  return el("div", { class: "scroll lineage", tabIndex: 0, role: "region", "aria-label": "Parents" },
    el("table", {}, el("caption", { class: "visually-hidden" }, "Parents"),
      el("thead", {}, el("tr", {}, ["candidate", "genome", "accuracy", "differs in"].map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, [own, ...rows].map(([name, ...cells]) => el("tr", {},
        el("th", { scope: "row" }, name), cells.map((cell) => el("td", {}, cell)))))));
}

function lineagePart(container, candidate) {
  if (!candidate.lineage) {
    return el("div", { class: "part" }, el("h3", {}, "Lineage"), el("p", {}, "This report does not have the parents of its candidates: the run was ended by an earlier version."));
  }
  const { parents, children, has_more: hasMore } = candidate.lineage;
  const links = children.map((job) => el("li", {}, candidateLink(container, job, `candidate ${job}`)));
  const list = el("ul", { class: "children" }, links);
  return el("div", { class: "part" }, el("h3", {}, "Lineage"),
    parents.length ? parentsTable(container, candidate, parents) : el("p", {}, "No parents: a random genome, or one that the search was given."),
    el("h4", {}, "Children"),
    links.length === 0 ? el("p", {}, "None.")
      : links.length <= 24 ? list : el("details", {}, el("summary", {}, `${hasMore ? "the first " : ""}${number(links.length)} children`), list));
}

function view(container, candidate, verification) {
  const genome = shownGenome(candidate.genome, candidate);
  return [
    el("h2", { tabIndex: -1 }, `Candidate ${candidate.job}: `, el("span", { class: "genome" }, genome)),
    el("div", { class: "overview" }, facts(container, candidate), candidate.svg ? drawingPart(candidate.svg, genome, candidate.layers) : null),
    answersPart(candidate),
    disputePart(candidate, (ms) => `after ${duration(ms)}:`),
    lineagePart(container, candidate),
    curvePart(candidate.curve),
    signaturesPart(candidate),
    verification.element,
  ].filter(Boolean);
}

/**
 * Shows a candidate in an element, in place of what was there. Returns the candidate, or `null` if it
 * could not be had or something else was asked for in the meantime.
 */
export async function showCandidate(container, job) {
  shownIn.get(container)?.stop();
  const turn = { stop() {} };
  shownIn.set(container, turn);
  container.classList.add("candidate");
  container.setAttribute("aria-busy", "true");
  try {
    const candidate = await fetchCandidate(job);
    if (shownIn.get(container) !== turn) return null;
    const verification = verificationPart(candidate);
    turn.stop = verification.stop;
    container.replaceChildren(...view(container, candidate, verification));
    return candidate;
  } catch (problem) {
    if (shownIn.get(container) !== turn) return null;
    const again = el("button", { type: "button", onclick: () => showCandidate(container, job) }, "Try again");
    container.replaceChildren(el("h2", { tabIndex: -1 }, `Candidate ${job}`),
      el("p", { class: "problem", role: "alert" }, problem.detail ?? String(problem.message ?? problem)),
      ...(isStatic() ? [] : [again]));
    return null;
  } finally {
    if (shownIn.get(container) === turn) container.removeAttribute("aria-busy");
  }
}
