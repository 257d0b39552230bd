/** The job board: open jobs, who holds leases for their seats, and how far they are. */

import { counted, duration, el, fetchJson, number, page, percent } from "./dom.js";
import { candidateButton, keyed, line, longTable, right, rightHead, shortMiner, timeText } from "./view_parts.js";

const REFRESH_MS = 3_000;
const MOST_OPEN = 100;
const MOST_ENDED = 20;

/** The view of the jobs. */
export function jobsView(app) {
  const problem = line("problem", "alert");
  const board = el("div", {});
  const ended = el("div", {});
  const leases = leasesNow();
  const root = el("div", {}, el("h2", {}, "Jobs"), problem.root, board, ended);

  return {
    name: "jobs", title: "Jobs", root,
    async draw(record, t) {
      const open = record.openAt(t);
      const shown = open.slice(0, MOST_OPEN);
      let byJob = new Map();
      try {
        byJob = await seatsOf(app, record, shown, t);
        if (t === Infinity && record.finished === null) await leases(byJob);
        problem.say("");
      } catch (error) {
        problem.say(error.detail ?? String(error));
      }
      drawOpen(app, board, { record, t, open, shown, byJob });
      drawEnded(app, ended, record, t);
    },
  };
}

/** Adds to trainings how long their miners have been silent. Asks again only after a while. */
function leasesNow() {
  let [known, asked] = [[], -Infinity];
  return async (byJob) => {
    if (performance.now() - asked >= REFRESH_MS) {
      asked = performance.now();
      known = await fetchJson(`${page.api}/leases`);
    }
    for (const { job, seat, miner, silent_ms: silent, lease_ms: length } of known) {
      const training = byJob.get(job)?.find((one) => one.seat === seat && one.miner === miner && one.outcome === "training");
      if (training) training.lease = { silent: silent + performance.now() - asked, length };
    }
  };
}

/** The trainings of these jobs by then, by job. */
async function seatsOf(app, record, rows, t) {
  const byJob = new Map(rows.map((row) => [record.job[row], []]));
  if (rows.length === 0) return byJob;
  const { rows: trainings } = await app.seats.overlapping(record.opened_ms[rows[0]], t);
  trainings.forEach((training) => byJob.get(training.job)?.push(training));
  byJob.forEach((own) => own.sort((a, b) => a.seat - b.seat || a.from - b.from));
  return byJob;
}

function drawOpen(app, board, { record, t, open, shown, byJob }) {
  const now = Math.min(t, record.end);
  const describe = (row) => [row, ...byJob.get(record.job[row])?.map((s) => `${s.seat}${s.miner}${s.outcome}${s.epoch}${leaseText(s)}`) ?? []].join();
  // Times since the opening are rounded, so that they change seldom.
  const key = [open.length, Math.floor(now / 10_000), ...shown.map(describe)].join(";");
  keyed(board, key, () => {
    if (open.length === 0) return el("p", {}, record.finished !== null && now >= record.finished ? "The run has ended; no jobs are open." : "No jobs are open.");
    return [
      el("p", {}, `${counted(open.length, "open job")}. Each has ${counted(record.facts.seats, "seat")}: the genomaster compares the answers of the miners that train it.`),
      ...longTable("Open jobs", ["genome", rightHead("generation"), rightHead("open for"), "seats"], shown.map((row) => [
        el("td", {}, candidateButton(app, record, row)), right(number(record.generation[row])),
        right(record.facts.has_times ? timeText(record, now - record.opened_ms[row]) : "–"),
        el("td", {}, seatList(record, row, byJob.get(record.job[row]) ?? [])),
      ]), MOST_OPEN, { total: open.length, hint: "Those that have been open for longest come first." }),
    ];
  });
}

function seatList(record, row, trainings) {
  const items = trainings.map((training) => el("li", {},
    el("span", {}, `seat ${training.seat + 1} `),
    el("span", { class: "genome", title: training.miner }, shortMiner(training.miner)),
    ` ${training.outcome}${training.second ? ", take-over" : ""} `,
    ...progressOf(record, row, training),
    leaseText(training)));
  const taken = new Set(trainings.filter(({ outcome }) => !["expired", "released"].includes(outcome)).map(({ seat }) => seat));
  const free = record.facts.seats - taken.size;
  if (free > 0) items.push(el("li", { class: "free" }, `${counted(free, "seat")} without a miner`));
  else if (trainings.every(({ outcome }) => outcome !== "training")) {
    items.push(el("li", { class: "free" }, "all have answered: no verdict yet; where their digests differ, the referee asks them for their states"));
  }
  return el("ul", { class: "seats" }, items);
}

/** How long a miner has been silent, once that is a while. */
function leaseText({ lease }) {
  // Miners send a heartbeat several times in a lease.
  if (!lease || lease.silent < lease.length / 2) return "";
  const left = lease.length - lease.silent;
  return `, silent for ${duration(1_000 * Math.round(lease.silent / 1_000))}${left > 0 ? `; the lease ends in ${duration(1_000 * Math.ceil(left / 1_000))}` : ""}`;
}

function progressOf(record, row, { outcome, epoch, seat }) {
  if (outcome !== "training" || epoch === null) return [];
  const from = record.facts.rungs[record.rung[row] - 1] ?? 0;
  const last = record.epochsOf(row);
  return [
    el("progress", { max: last - from, value: Math.max(0, Math.min(epoch, last) - from), "aria-label": `epochs of seat ${seat + 1}` }),
    ` epoch ${epoch} of ${last}`,
  ];
}

function drawEnded(app, container, record, t) {
  const until = record.endedBy(t);
  const rows = record.ended.slice(Math.max(0, until - MOST_ENDED), until).reverse();
  keyed(container, `${until} ${app.selected}`, () => (rows.length === 0 ? [] : [
    el("h3", {}, "Ended last"),
    ...longTable("Jobs that ended last", [rightHead("candidate"), "genome", ...(record.hasRungs ? [rightHead("epochs")] : []), "verdict", rightHead("accuracy"), rightHead("at")], rows.map((row) => [
      right(number(record.job[row])), el("td", {}, candidateButton(app, record, row)), ...(record.hasRungs ? [right(number(record.epochsOf(row)))] : []),
      record.verdictAt(row, t), right(percent(record.accuracy[row])), right(timeText(record, record.ended_ms[row])),
    ]), MOST_ENDED),
  ]));
}
