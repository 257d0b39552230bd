/** The answers of a candidate: what each miner measured, what was found of it, and its signed request. */

import { el, number, percent, table } from "./dom.js";

const FIELDS = ["accuracy", "params", "flops", "digest"];

async function copy(text, button, source) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // Without TLS browsers have no clipboard: show and select the text, so that it can be copied by hand.
    source.closest("details").open = true;
    getSelection().selectAllChildren(source);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

/** A long text such as a digest: its ends, which open to the whole, and a button that copies it. */
export function shortened(text, what) {
  if (text.length <= 20) return el("code", {}, text);
  const whole = el("code", {}, text);
  const button = el("button", { class: "copy-text", type: "button", "aria-label": `Copy ${what}`, onclick: () => copy(text, button, whole) }, "Copy");
  return el("span", { class: "short" },
    el("details", {}, el("summary", { title: text }, el("code", {}, `${text.slice(0, 6)}…${text.slice(-4)}`)), whole), button);
}

/** Whether a value is not the one of the consensus or, without one, whether the answers differ in it. */
function differs(value, field, { measurement, answers }) {
  if (measurement) return value !== measurement[field];
  return answers.some(({ measured }) => measured && measured[field] !== value);
}

function difference(value, field, { measurement }) {
  if (field !== "accuracy" || !measurement) return "differs";
  const off = value - measurement.accuracy;
  return `differs by ${off > 0 ? "+" : "−"}${Math.abs(off).toFixed(2)}`;
}

const shown = {
  accuracy: percent,
  params: number,
  flops: number,
  digest: (value) => (value ? shortened(value, "the digest") : "none"),
};

function valueCell(value, field, candidate) {
  const isOff = differs(value, field, candidate);
  const content = shown[field](value);
  const kind = [field === "digest" ? "" : "number", isOff ? "differs" : ""].join(" ").trim();
  const mark = isOff ? el("span", { class: "no mark" }, `≠ ${difference(value, field, candidate)}`) : null;
  return el("td", kind ? { class: kind } : {}, content, mark);
}

function findingCell({ agreed, finding, finding_text: text }) {
  if (!finding && !text) return el("td", {}, "not judged yet");
  const effect = el("span", { class: agreed ? "good" : "no" }, agreed ? "✓ counts" : "✗ does not count");
  return el("td", { class: "finding" }, effect, ": ", text || finding);
}

function answerRow(answer, candidate) {
  const head = el("th", { scope: "row" }, shortened(answer.miner, `the name of the miner ${answer.miner}`));
  if (!answer.measured) {
    return [head, el("td", { colSpan: FIELDS.length, class: "failed" }, `no measurement: ${answer.failed ?? "not answered"}`), findingCell(answer)];
  }
  return [head, ...FIELDS.map((field) => valueCell(answer.measured[field], field, candidate)), findingCell(answer)];
}

function consensusRow({ measurement }) {
  return [el("th", { scope: "row" }, "consensus"),
    ...FIELDS.map((field) => el("td", field === "digest" ? {} : { class: "number" }, shown[field](measurement[field]))), "what counts as the result"];
}

/** The head of a column of numbers, which is right-aligned as they are. */
export const numberHead = (text) => el("span", { class: "head-number" }, text);

/** The answers as a table: a row for each miner, and marks where it differs from the consensus. */
export function answersPart(candidate) {
  const heading = el("h3", {}, "Answers");
  const { answers, state, measurement } = candidate;
  if (answers.length === 0) {
    return el("div", { class: "part" }, heading, el("p", {}, state === "open"
      ? "The job is open. Its answers are shown when it has ended, so that no miner can copy them." : "Nobody answered."));
  }
  const rows = answers.map((answer) => answerRow(answer, candidate));
  if (measurement) rows.push(consensusRow(candidate));
  const heads = ["miner", ...["accuracy", "parameters", "FLOPs"].map(numberHead), "digest", "finding"];
  const made = table("Answers of the miners", heads, rows);
  made.classList.add("answer-table");
  return el("div", { class: "part" }, heading, made);
}

const ASKED = "The digests differed, so the genomaster asked the miners for the states of their trainings, step by step.";
/** How the referee decides without computing anything, by what was found of an answer. */
const SETTLED = {
  contradicted: "A miner gave states that do not lead to the digest that it had answered: its answer does not count.",
  silent: "A miner did not answer in time: its answer does not count.",
};

/** What the referee did, step by step; nothing without a dispute. */
export function disputePart({ dispute, verdict, answers }, clock) {
  if (verdict !== "disputed") return null;
  const findings = new Set(answers.map(({ finding }) => finding));
  const settled = Object.entries(SETTLED).filter(([finding]) => findings.has(finding)).map(([, text]) => text);
  const computed = dispute === null ? "What the referee computed is in the journal, and on the pages of the genomaster." : "";
  return el("div", { class: "part" }, el("h3", {}, "The referee"),
    el("p", {}, [ASKED, ...settled, computed].filter(Boolean).join(" ")),
    el("ol", { class: "dispute" }, (dispute ?? []).map(({ ms, text }) => el("li", {}, el("span", { class: "hint" }, clock(ms)), " ", ...withShortDigests(text)))));
}

/** A text in which digests are shortened. */
function withShortDigests(text) {
  return text.split(/([0-9a-f]{64})/).map((part, at) => (at % 2 ? shortened(part, "the state") : part));
}

/** The time that a nonce stands for: nanoseconds since 1970, more digits than a number has. */
function timeOf(nonce) {
  const date = new Date(Number(nonce) / 1e6);
  return Number.isNaN(date.getTime()) ? "" : ` (${date.toISOString().slice(0, 19).replace("T", " ")} UTC)`;
}

function signedRequest({ miner, proof }) {
  const fact = (name, value) => [el("dt", {}, name), el("dd", {}, el("code", {}, String(value)))];
  return el("details", { class: "proof" }, el("summary", {}, "Signed answer of ", el("span", { class: "genome" }, miner)),
    el("dl", {}, fact("hotkey", proof.hotkey), fact("receiver", proof.receiver),
      el("dt", {}, "nonce"), el("dd", {}, el("code", {}, String(proof.nonce)), timeOf(proof.nonce)),
      fact("method", proof.method), fact("path", proof.path), fact("signature", proof.signature),
      el("dt", {}, "body, as sent"), el("dd", {}, el("pre", {}, proof.body))));
}

/** The signed requests of the answers. */
export function signaturesPart({ answers }) {
  const signed = answers.filter(({ proof }) => proof);
  if (answers.length === 0) return null;
  const rest = answers.length - signed.length;
  const unsigned = rest ? ` ${rest} of ${answers.length} answers ${rest === 1 ? "is" : "are"} not signed.` : "";
  const hint = signed.length === 0 ? "No answer of this job is signed: nothing proves who sent it."
    : `Each signature covers method, path, the SHA-256 of the body, nonce, hotkey and receiver (sr25519, btauth/1).${unsigned}`;
  return el("div", { class: "part" }, el("h3", {}, "Signatures"), el("p", { class: "lead" }, hint), signed.map(signedRequest));
}
