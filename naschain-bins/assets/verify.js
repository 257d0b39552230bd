/** The part of a candidate's page that verifies the journal in the browser. */

import { bytes, counted, duration, el, isStatic, number, page } from "./dom.js";

/**
 * Recomputes the hash chain of the journal of the run at `api` in a worker, and looks for the answers
 * of a job in it. `onProgress` gets `{number, last, length}`. Returns `{outcome, cancel}`: a promise of
 * the worker's outcome, which is `null` after `cancel()`.
 */
export function verifyJournal(api, job, answers, onProgress) {
  const worker = new Worker(new URL("./verify_worker.js", import.meta.url), { type: "module" });
  let cancel;
  const outcome = new Promise((resolve, reject) => {
    cancel = () => resolve(null);
    worker.onmessage = ({ data }) => {
      if (data.kind === "progress") onProgress(data);
      else if (data.kind === "outcome") resolve(data);
      else reject(new Error(data.detail));
    };
    worker.onerror = () => reject(new Error("The verification could not be started. Load the page again, or use genomaster audit."));
  }).finally(() => worker.terminate());
  worker.postMessage({ api, job, answers });
  return { outcome, cancel };
}

/** The command that verifies everything. */
function auditCommand() {
  if (isStatic()) return "genomaster audit RUN";
  return `genomaster audit ${location.origin}${page.api === "/v1" ? "" : page.api}`;
}

function explanation() {
  return el("details", {},
    el("summary", {}, "What this proves, and what it does not"),
    el("p", {}, "Each entry of the journal has a hash of itself and of the hash before it. If all of them fit, the answers "
      + "shown here are in a journal whose hashes form one chain from the digest of the run to its head: no entry up to it "
      + "can be changed, removed or added without another head. Note the number of entries and the head, and compare them "
      + "later or with somebody else's."),
    el("p", {}, "It does not verify the signatures of the miners, and does not recompute verdicts, the search or a training. "
      + "The page and the program that verifies it come from the genomaster itself. This command verifies signatures and "
      + "verdicts too, with a program of your own:"),
    el("pre", {}, auditCommand()));
}

/** Whether the page shows enough of an answer to find it: what is malformed has no contents here. */
const canBeFound = ({ measured, finding, proof }) => Boolean(measured || proof) || finding !== "malformed";

/** How the answers of the page were found, and the class of what is said about it. */
function answersText({ found, mustBeThere }, answers) {
  const missing = answers.filter((_, at) => found[at] === null).map(({ miner }) => miner);
  if (answers.length === 0) return ["notice", "No answer is shown yet, so none was looked for."];
  if (missing.length === 0) {
    return ["done", `${answers.length === 1 ? "The answer" : `All ${number(answers.length)} answers`} shown here `
      + `${answers.length === 1 ? "is" : "are"} in it: ${found.map((entry, at) => `${answers[at].miner} in entry ${number(entry)}`).join(", ")}.`];
  }
  const names = `${counted(missing.length, "answer")} shown here ${missing.length === 1 ? "is" : "are"} not in it: ${missing.join(", ")}.`;
  if (mustBeThere) return ["problem", `${names} The page shows what the journal does not contain. Do not trust it, and audit the run.`];
  return ["notice", `${names} The journal is public up to the first answer of a job that is still open. Verify again when that job has ended.`];
}

const fact = (name, ...value) => [el("dt", {}, name), el("dd", {}, ...value)];

function outcomeView(outcome, answers) {
  const { run, broken, head, length, ms } = outcome;
  const [kind, text] = answersText(outcome, answers);
  const verified = outcome.number === 1 ? "1 entry" : `${number(outcome.number)} entries`;
  const result = broken
    ? [el("p", { class: "problem" }, `Entry ${number(broken.number)} does not fit: ${broken.text}. The ${verified} before it fit; `
      + "what comes from there on is not proved. Do not trust this journal, and audit the run.")]
    : [el("p", { class: "done" }, `The chain fits: ${verified}, from the digest of the run to the head.`),
      el("p", { class: kind }, text)];
  return [...result, el("dl", { class: "chain" },
    fact("digest of the run", el("code", {}, run.digest), run.isComputed ? " (computed from its specification)"
      : " (as the genomaster states it: its specification is for signed requests only)"),
    fact(broken ? "last hash that fits" : "head", el("code", {}, head)),
    fact("read", `${bytes(length)} in ${duration(ms)}`))];
}

/**
 * The button that verifies the answers of a candidate, with progress and outcome. Returns
 * `{element, stop}`; `stop()` ends a verification that is running.
 */
export function verificationPart(candidate) {
  const heading = el("h3", {}, "Verification");
  if (isStatic()) {
    const hint = el("p", {}, "This report is a file, and cannot be verified by itself. This command verifies the run, "
      + "where RUN is its folder or the address of its genomaster:");
    return { element: el("div", { class: "part" }, heading, hint, el("pre", {}, auditCommand())), stop() {} };
  }
  const answers = candidate.answers.filter(canBeFound);
  const leftOut = candidate.answers.length - answers.length;
  let running = null;
  const bar = el("progress", { max: 1, value: 0, "aria-label": "Entries of the journal that were verified" });
  const counts = el("span", { class: "hint" });
  const outcome = el("div", { role: "status" });
  const start = el("button", { class: "primary", type: "button", onclick: run }, "Verify in this browser");
  const cancel = el("button", { type: "button", onclick: () => running?.cancel() }, "Cancel");
  const progress = el("div", { class: "progress", hidden: true }, bar, counts, cancel);

  function show({ number: at, last, length }) {
    Object.assign(bar, { max: Math.max(last, 1), value: at });
    counts.textContent = `${number(at)} of ${number(last)} entries, ${bytes(length)}`;
  }

  async function run() {
    show({ number: 0, last: 0, length: 0 });
    counts.textContent = "";
    Object.assign(progress, { hidden: false });
    outcome.replaceChildren("Verifying the journal…");
    start.hidden = true;
    cancel.focus();
    try {
      running = verifyJournal(page.api, candidate.job, answers, show);
      const result = await running.outcome;
      outcome.replaceChildren(...(result ? outcomeView(result, answers) : [el("p", { class: "notice" }, "Cancelled: nothing was verified.")]));
    } catch (error) {
      outcome.replaceChildren(el("p", { class: "problem" }, `Not verified: ${error.message}`));
    }
    const hadFocus = document.activeElement === cancel;
    Object.assign(progress, { hidden: true });
    start.hidden = false;
    start.textContent = "Verify again";
    if (hadFocus) start.focus();
  }

  const element = el("div", { class: "part" }, heading,
    el("p", {}, "Recomputes the hashes of the run's journal here, and looks for the answers above in it."
      + (leftOut ? ` ${counted(leftOut, "answer")} could not be read, and ${leftOut === 1 ? "is" : "are"} not looked for.` : "")),
    el("div", { class: "controls" }, start), progress, outcome, explanation());
  return { element, stop: () => running?.cancel() };
}
