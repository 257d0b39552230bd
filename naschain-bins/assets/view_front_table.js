/** The tables below the front: its networks, and candidates without a result. */

import { showCandidate } from "./candidate_view.js";
import { byId, el, isStatic, number, percent } from "./dom.js";
import { candidateButton, candidateLink, keyed, line, longTable, right, rightHead, timeText, whole } from "./view_parts.js";

const MOST_ROWS = 500;
const MOST_FAILED = 200;

/**
 * The names of the choices that pick each row of the front, by job: the best, the knee and the smallest.
 * No choice picks a network that is no better than guessing. Test accuracies do not take part: a network
 * that was chosen by them would look better than it is.
 */
export function picksOf(record, front) {
  const line = notDominated(record, front.filter((row) => record.accuracy[row] > record.facts.guessing_limit));
  const picks = new Map();
  if (line.length === 0) return picks;
  for (const [name, row] of [["best", line.at(-1)], ["knee", knee(record, line)], ["smallest", line[0]]]) {
    const job = record.job[row];
    picks.set(job, picks.has(job) ? `${picks.get(job)}, ${name}` : name);
  }
  return picks;
}

/** The rows that are not dominated in accuracy and parameters alone, fewest parameters first. */
function notDominated(record, rows) {
  const { accuracy, params, flops } = record;
  let best = -Infinity;
  return rows.toSorted((a, b) => params[a] - params[b] || accuracy[b] - accuracy[a] || flops[a] - flops[b])
    .filter((row) => accuracy[row] > best && ((best = accuracy[row]), true));
}

/** Where additional parameters stop paying off: farthest above the straight line from the smallest to the best. */
function knee({ accuracy, params }, line) {
  const [first, last] = [line[0], line.at(-1)];
  const share = (at, from, to) => (to > from ? (at - from) / (to - from) : 0);
  const height = (row) => share(accuracy[row], accuracy[first], accuracy[last]) - share(params[row], params[first], params[last]);
  // Where nothing lies above the line, parameters pay off up to the best; of equal ones above it the smallest.
  return line.reduce((highest, row) => (height(row) > height(highest) + 1e-9 ? row : highest), last);
}

/** The tables and the details of the selected candidate. */
export class FrontTables {
  constructor(app) {
    this.app = app;
    this.detail = el("div", { class: "candidate" });
    this.detailHead = el("div", { class: "detail-head" });
    this.timeNote = line("notice");
    this.detailPart = el("section", { class: "part", hidden: true, "aria-label": "Selected candidate" }, this.detailHead, this.timeNote.root, this.detail);
    this.front = el("div", {});
    this.failed = el("div", {});
    this.root = el("div", {}, this.detailPart, this.front, this.failed);
  }

  draw(record, t) {
    const row = record.rowOf.get(this.app.selected);
    const isLater = row !== undefined && t !== Infinity && (record.ended_ms[row] ?? Infinity) > t;
    this.timeNote.say(isLater ? "At this time of the replay the candidate had not ended. What is known of it now follows." : "");
    this.drawFront(record, t);
    this.drawFailed(record, t);
  }

  drawFront(record, t) {
    const rows = record.frontRows(t);
    const known = [record.test_accuracy, record.retrained].map((values) => Object.keys(values).length);
    const key = [rows.map((row) => record.job[row]).join(), known.join(), this.app.selected, rows.length ? "" : record.endedBy(t) > 0].join("|");
    keyed(this.front, key, () => [el("h3", {}, `Pareto front (${number(rows.length)})`), ...this.frontTable(record, rows)]);
  }

  frontTable(record, rows) {
    if (rows.length === 0) return [el("p", {}, "There is no network on the front yet.")];
    const picks = picksOf(record, rows);
    const job = (row) => record.job[row];
    const test = (row) => record.test_accuracy[job(row)];
    const isValidated = record.facts.measured_on === "validation";
    const columns = [
      ["genome", (row) => el("td", {}, candidateButton(this.app, record, row))],
      ["chosen as", (row) => picks.get(job(row)) ?? ""],
      [rightHead(record.facts.measured_on), (row) => right(percent(record.accuracy[row]))],
    ];
    if (isValidated && rows.some((row) => test(row) !== undefined)) columns.push([rightHead("test"), (row) => right(percent(test(row)))]);
    if (rows.some((row) => record.retrained[job(row)] !== undefined)) {
      columns.push([rightHead("retrained"), (row) => right(retrainedText(record.retrained[job(row)]))]);
    }
    columns.push([rightHead("parameters"), (row) => right(whole(record.params[row]))], [rightHead("FLOPs"), (row) => right(whole(record.flops[row]))]);
    const made = longTable("Networks of the Pareto front", columns.map(([head]) => head), rows.map((row) => columns.map(([, cell]) => cell(row))), MOST_ROWS);
    made[0].querySelectorAll("tbody tr").forEach((tr, at) => {
      tr.classList.add("choosable");
      tr.classList.toggle("chosen", job(rows[at]) === this.app.selected);
      tr.addEventListener("click", ({ target }) => { if (!target.closest("button")) this.app.select(job(rows[at])); });
    });
    return made;
  }

  drawFailed(record, t) {
    const rows = record.ended.slice(0, record.endedBy(t)).filter((row) => record.accuracy[row] === null).reverse();
    this.failed.hidden = rows.length === 0;
    keyed(this.failed, `${rows.length} ${record.job[rows[0]]} ${this.app.selected}`, () => [
      el("h3", {}, `Without a result (${number(rows.length)})`),
      ...longTable("Candidates without a result", ["genome", "verdict", "ended"], rows.slice(0, MOST_FAILED).map((row) => [
        el("td", {}, candidateButton(this.app, record, row)), failureText(record, row), timeText(record, record.ended_ms[row]),
      ]), MOST_FAILED, { total: rows.length, hint: "The last ones are first." }),
    ]);
  }

  /** Shows a candidate below the chart; `null` hides it. */
  async show(job, { isMoved = false } = {}) {
    this.detailPart.hidden = job === null;
    if (job === null) return;
    const close = el("button", { type: "button", onclick: () => this.app.select(null) }, "Close");
    keyed(this.detailHead, String(job), () => [el("p", {}, candidateLink(job, `Page of candidate ${job}`)), close]);
    if (isMoved) this.detailPart.scrollIntoView({ block: "nearest", behavior: "smooth" });
    // Each has a container of its own: one that is loaded slowly must not replace the next.
    const container = el("div", {});
    this.detail.replaceChildren(container);
    try {
      await showCandidate(container, job);
    } catch (problem) {
      container.replaceChildren(el("p", { class: "problem", role: "alert" }, problem.detail ?? `Candidate ${job} cannot be shown. Reload the page.`));
    }
  }
}

const VERDICTS = {
  failed: "failed: the training did not succeed",
  rejected: "rejected: the answers did not agree",
  abandoned: "abandoned: too many leases ended without an answer",
};

let details = null;

/** Why a candidate has no result; a report knows the reason itself. */
function failureText(record, row) {
  const verdict = record.verdicts[record.verdict[row]];
  if (isStatic()) details ??= JSON.parse(byId("details")?.textContent ?? "{}");
  return details?.[record.job[row]]?.failure ?? VERDICTS[verdict] ?? verdict;
}

/** The test accuracy of a network that was trained again, with the number of epochs where it is known. */
function retrainedText(retrained) {
  if (retrained === undefined || retrained === null) return "–";
  return percent(typeof retrained === "number" ? retrained : retrained.test_accuracy);
}
