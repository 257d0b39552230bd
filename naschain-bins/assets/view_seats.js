/** The trainings of miners: what the server stores of a time, and what the stream adds. */

import { fetchJson, page } from "./dom.js";

/** The most trainings of the stream that are kept. */
const MOST_LIVE = 20_000;
const keyOf = ({ job, seat, miner, from }) => `${job} ${seat} ${from} ${miner}`;

async function fetched(from, to) {
  const query = new URLSearchParams({ from_ms: Math.max(0, Math.floor(from)), to_ms: Math.max(0, Math.ceil(to)) });
  const json = await fetchJson(`${page.api}/record/seats?${query}`);
  const rows = json.job.map((job, at) => ({
    job, seat: json.seat[at], miner: json.miners[json.miner[at]], from: json.from_ms[at], to: json.to_ms[at],
    outcome: json.outcomes[json.outcome[at]], second: json.second[at], epoch: json.epoch[at],
  }));
  return { rows, truncated: json.truncated };
}

/** The trainings of a record that follows the stream. */
export class Seats {
  constructor(record) {
    Object.assign(this, { record, rows: new Map(), byJob: new Map(), coveredFrom: Infinity, isTruncated: false, past: null });
  }

  /**
   * The trainings that overlap a window, as far as they are known: at most 5,000 of the newest. `to` is
   * `Infinity` for now. Throws a `Problem`.
   */
  async overlapping(from, to) {
    if (to !== Infinity) return this.overlappingPast(from, to);
    if (from < this.coveredFrom && !this.isTruncated) {
      const { rows, truncated } = await fetched(from, this.record.now);
      // What the stream has added meanwhile is newer.
      rows.forEach((row) => { if (!this.rows.has(keyOf(row))) this.add(row); });
      this.coveredFrom = Math.min(this.coveredFrom, from);
      this.isTruncated = truncated;
    }
    return { rows: [...this.rows.values()].filter((row) => row.to === null || row.to >= from), truncated: this.isTruncated };
  }

  async overlappingPast(from, to) {
    if (!this.past || from < this.past.from || to > this.past.to) {
      // With a margin, so that a replay does not ask for each moment.
      const margin = Math.max((to - from) / 2, 10_000);
      const wide = { from: from - margin, to: to + margin };
      this.past = { ...wide, ...await fetched(wide.from, wide.to) };
      if (this.past.truncated) this.past = { from, to, ...await fetched(from, to) };
    }
    const rows = this.past.rows.filter((row) => row.from <= to && (row.to === null || row.to >= from));
    return { rows: rows.map((row) => this.asOf(row, to)), truncated: this.past.truncated };
  }

  /** A training as it was known at a time in the past. */
  asOf(row, t) {
    if (row.to !== null && row.to > t) return { ...row, to: null, outcome: "training", epoch: null };
    // What an answer is worth is known when its job has ended.
    const ended = this.record.ended_ms[this.record.rowOf.get(row.job)] ?? Infinity;
    return ended > t && ["agreed", "rejected"].includes(row.outcome) ? { ...row, outcome: "answered" } : row;
  }

  add(row) {
    this.rows.set(keyOf(row), row);
    if (!this.byJob.has(row.job)) this.byJob.set(row.job, []);
    this.byJob.get(row.job).push(row);
    if (this.rows.size > MOST_LIVE) this.forget();
  }

  /** Drops the older half of the trainings that have ended. */
  forget() {
    const old = [...this.rows].filter(([, row]) => row.to !== null).sort(([, a], [, b]) => a.to - b.to).slice(0, MOST_LIVE / 2);
    for (const [key, row] of old) {
      this.rows.delete(key);
      this.byJob.set(row.job, this.byJob.get(row.job).filter((other) => other !== row));
      if (this.byJob.get(row.job).length === 0) this.byJob.delete(row.job);
    }
    this.isTruncated = true;
  }

  /** Adds an event of the stream. */
  apply(event) {
    const { type, batch, seat, miner, now_ms: now } = event;
    const open = () => this.byJob.get(batch)?.findLast((row) => row.seat === seat && row.miner === miner && row.to === null);
    if (type === "seat_taken") {
      const row = { job: batch, seat, miner, from: now, to: null, outcome: "training", second: event.second, epoch: 0 };
      if (!this.rows.has(keyOf(row))) this.add(row);
    } else if (type === "progress") {
      const row = open();
      if (row) row.epoch = Math.max(row.epoch ?? 0, event.epoch);
    } else if (type === "answered" || type === "seat_lost") {
      const row = open();
      if (row) Object.assign(row, { to: now, outcome: type === "answered" ? "answered" : event.expired ? "expired" : "released" });
    } else if (type === "verdict") {
      this.judge(event);
    }
  }

  judge({ batch, rows, now_ms: now }) {
    for (const row of this.byJob.get(batch) ?? []) {
      const finding = rows.find(({ miner }) => miner === row.miner);
      if (row.outcome === "answered" && finding) row.outcome = finding.agreed ? "agreed" : "rejected";
      else if (row.to === null) Object.assign(row, { to: now, outcome: "released" });
    }
  }
}
