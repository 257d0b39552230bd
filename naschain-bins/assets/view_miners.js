/** The miners and what they did. */

import { el, fetchJson, isStatic, number, page, si } from "./dom.js";
import { keyed, line, longTable, rightHead, right, shortMiner } from "./view_parts.js";

const REFRESH_MS = 5_000;
const MOST_ROWS = 500;

/** The view of the miners. */
export function minersView(app) {
  const problem = line("problem", "alert");
  const note = line("hint");
  const container = el("div", {});
  const root = el("div", {}, el("h2", {}, "Miners"), problem.root, container, note.root);
  const now = { rows: null, at: -Infinity, finished: null };

  return {
    name: "miners", title: "Miners", root,
    async draw(record, t, { isForced } = {}) {
      // The last answers of a run come with its end.
      if (isForced || record.finished !== now.finished) now.at = -Infinity;
      now.finished = record.finished;
      try {
        const { rows, text } = isStatic() ? rowsOfReport(record) : t === Infinity ? await rowsNow(now) : await rowsThen(app, record, t);
        problem.say("");
        note.say(text);
        keyed(container, JSON.stringify(rows), () => (rows.length ? longTable("Miners", ...columnsOf(rows), MOST_ROWS) : el("p", {}, "No miner has joined yet.")));
      } catch (error) {
        problem.say(error.detail ?? String(error));
      }
    },
  };
}

const rowsOfReport = (record) => ({ rows: record.minerRows, text: "Counted over the whole run. A report has no weights, paces and devices." });

async function rowsNow(now) {
  if (performance.now() - now.at >= REFRESH_MS) {
    now.at = performance.now();
    now.rows = await fetchJson(`${page.api}/miners`);
  }
  return { rows: now.rows ?? [], text: "" };
}

/** Counts the trainings up to a time in the past. */
async function rowsThen(app, record, t) {
  const { rows: trainings, truncated } = await app.seats.overlapping(0, t);
  const here = record.presentAt(t);
  const joined = new Set();
  const { miner, ms } = record.presence;
  for (let at = 0; at < ms.length && ms[at] <= t; at++) joined.add(miner[at]);
  const rows = [...joined].sort((a, b) => a - b).map((index) => ({
    miner: record.miners[index], here: here.has(index), jobs: 0, agreed: 0, rejected: 0, expired: 0, running: 0,
  }));
  const byName = new Map(rows.map((row) => [row.miner, row]));
  for (const { miner: name, outcome } of trainings) {
    const row = byName.get(name);
    if (!row) continue;
    if (["answered", "agreed", "rejected"].includes(outcome)) row.jobs += 1;
    if (outcome === "training") row.running += 1;
    else if (outcome in row) row[outcome] += 1;
  }
  const text = truncated ? `Only the newest ${number(trainings.length)} trainings before this time are counted.` : "Counted up to this time. Weights, paces and devices are only known for now.";
  return { rows, text };
}

/** The columns that are known of any miner, and the cells. */
function columnsOf(rows) {
  const count = (head, name) => [head, name, ({ [name]: value }) => right(value === null || value === undefined ? "–" : number(value)), true];
  const text = (head, name, cell) => [head, name, cell ?? ((row) => row[name] ?? "–"), false];
  const columns = [
    text("miner", "miner", ({ miner, name }) => el("td", { class: "miner" }, el("span", { class: name ? "" : "genome", title: miner }, name ?? shortMiner(miner)))),
    text("owner", "owner", ({ owner }) => el("td", { title: owner ?? "" }, owner ? shortMiner(owner) : "–")),
    text("presence", "here", ({ here }) => (here ? "here" : "away")),
    count("rank", "place"), count("trainings", "jobs"), count("agreed", "agreed"), count("agreed in a row", "agreed_in_a_row"), count("rejected", "rejected"), count("failed", "failed"),
    count("expired", "expired"), count("running", "running"), count("at once", "capacity"),
    ["FLOPs per second", "pace_flops_per_second", ({ pace_flops_per_second: pace }) => right(si(pace)), true],
    ["weight", "weight", ({ weight }) => right(weight === null || weight === undefined ? "–" : `${(100 * weight).toFixed(1)} %`), true],
    text("trusted", "trusted", ({ trusted }) => (trusted === null || trusted === undefined ? "–" : trusted ? "yes" : "no")),
    text("device", "device"),
  ].filter(([, name]) => rows.some((row) => row[name] !== null && row[name] !== undefined));
  return [
    columns.map(([head, , , isNumber]) => (isNumber ? rightHead(head) : head)),
    rows.map((row) => columns.map(([, , cell]) => cell(row))),
  ];
}
