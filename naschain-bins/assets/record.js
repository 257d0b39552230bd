/** Everything that happened in a run, as columns, and what was known at a time. */

const REFEREE = new Set(["refuted", "silent", "contradicted"]);
const FAILURES = [["training_failed", "failed"], ["no_agreement", "rejected"], ["abandoned", "abandoned"]];

/** The number of values of a sorted list that are at most `limit`, where `of` makes values of items. */
export function countUpTo(list, limit, of = (item) => item) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (of(list[middle]) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The record of a run. Times are milliseconds of the run, or numbers of evaluations where
 * `facts.has_times` is false. A time of `Infinity` stands for now. Candidates are named by their row
 * in the columns.
 */
export class Record {
  constructor(json) {
    Object.assign(this, {
      facts: json.facts, cursor: json.cursor, now: json.now_ms, finished: json.finished_ms ?? (json.facts.was_stopped ? json.now_ms : null),
      generations: json.generations, miners: json.miners, presence: json.presence,
      verdicts: json.verdicts, front: json.front, ...json.candidates,
    });
    this.minerRows = json.miner_rows ?? [];
    this.picks ??= {};
    this.test_accuracy ??= {};
    this.retrained ??= {};
    this.rowOf = new Map(this.job.map((job, row) => [job, row]));
    this.minerIndex = new Map(this.miners.map((name, index) => [name, index]));
    // Ended candidates in the order in which they ended: those of any time are its beginning.
    this.ended = [];
    for (let row = 0; row < this.job.length; row++) if (this.ended_ms[row] !== null) this.ended.push(row);
    this.ended.sort((a, b) => this.ended_ms[a] - this.ended_ms[b] || a - b);
    // The place of each ended candidate in that order.
    this.place = [];
    this.ended.forEach((row, at) => { this.place[row] = at; });
    this.openRows = new Set();
    for (let row = 0; row < this.job.length; row++) if (this.ended_ms[row] === null) this.openRows.add(row);
    // With rungs, the next candidate of the same genome, and the last one of each.
    this.nextRow = [];
    this.lastRow = new Map();
    if (this.hasRungs) for (let row = 0; row < this.job.length; row++) this.link(row);
    // Candidates that continue no other one.
    this.genomes = this.rung.filter((rung) => rung === 0).length;
    this.replayed = { at: 0, jobs: new Set() };
    this.isPaused = false;
  }

  get hasRungs() { return this.facts.rungs.length > 0; }
  get length() { return this.job.length; }

  /** The run goes on no more: its owner has stopped it, unless the search is finished. */
  stop() {
    if (this.finished !== null) return;
    this.finished = this.now;
    this.facts.was_stopped = true;
  }

  link(row) {
    const before = this.lastRow.get(this.genome[row]);
    if (before !== undefined) this.nextRow[before] = row;
    this.nextRow[row] = -1;
    this.lastRow.set(this.genome[row], row);
    return before;
  }

  /** The end of the time that is known so far. */
  get end() {
    return Math.max(this.finished ?? this.now, 1);
  }

  /** How many candidates have ended by then: they are the beginning of `ended`. */
  endedBy(t) {
    return t === Infinity ? this.ended.length : countUpTo(this.ended, t, (row) => this.ended_ms[row]);
  }

  /** How many of them have no result. */
  failedBy(t) {
    let failed = 0;
    const until = this.endedBy(t);
    for (let at = 0; at < until; at++) if (this.accuracy[this.ended[at]] === null) failed++;
    return failed;
  }

  /** Whether a candidate has a measurement, and had it by then. */
  isMeasured(row, t) {
    return this.accuracy[row] !== null && this.ended_ms[row] !== null && this.ended_ms[row] <= t;
  }

  /** Whether a candidate had the whole training; others stopped at a rung. */
  isWhole(row) {
    return this.rung[row] >= this.facts.rungs.length;
  }

  /** Whether no longer training of the same genome was measured by then. */
  isLatest(row, t) {
    const next = this.nextRow[row] ?? -1;
    return next < 0 || !this.isMeasured(next, t);
  }

  /** The number of epochs after which a candidate was measured. */
  epochsOf(row) {
    return this.facts.rungs[this.rung[row]] ?? this.facts.epochs;
  }

  /** The jobs of the front at that time. The set is only valid until the next call. */
  frontJobs(t) {
    const until = t === Infinity ? this.front.ms.length : countUpTo(this.front.ms, t);
    if (until < this.replayed.at) this.replayed = { at: 0, jobs: new Set() };
    for (let change = this.replayed.at; change < until; change++) {
      this.front.left[change].forEach((job) => this.replayed.jobs.delete(job));
      this.front.entered[change].forEach((job) => this.replayed.jobs.add(job));
    }
    this.replayed.at = until;
    return this.replayed.jobs;
  }

  /** Whether a measured network is better than guessing. */
  isUseful(row) {
    return this.accuracy[row] > this.facts.guessing_limit;
  }

  /**
   * The rows of the front, the most accurate first. Those that are no better than guessing are left out,
   * unless there are no others.
   */
  frontRows(t) {
    const all = [...this.frontJobs(t)].map((job) => this.rowOf.get(job)).filter((row) => row !== undefined);
    const useful = all.filter((row) => this.isUseful(row));
    const rows = useful.length ? useful : all;
    return rows.sort((a, b) => this.accuracy[b] - this.accuracy[a] || this.params[a] - this.params[b] || a - b);
  }

  /** The number of the generation, from 1; 0 before the first. */
  generationAt(t) {
    return t === Infinity ? this.generations.length : countUpTo(this.generations, t);
  }

  /** The rows of jobs that were open, in order of opening. */
  openAt(t) {
    if (t === Infinity) return [...this.openRows];
    const rows = [];
    const opened = countUpTo(this.opened_ms, t);
    for (let row = 0; row < opened; row++) if (this.ended_ms[row] === null || this.ended_ms[row] > t) rows.push(row);
    return rows;
  }

  /** The indices of the miners that were there. */
  presentAt(t) {
    const here = new Set();
    const { miner, ms, here: joined } = this.presence;
    for (let at = 0; at < ms.length && ms[at] <= t; at++) {
      if (joined[at]) here.add(miner[at]);
      else here.delete(miner[at]);
    }
    return here;
  }

  /** The index of a miner, which is added if it is new. */
  minerOf(name) {
    let index = this.minerIndex.get(name);
    if (index === undefined) {
      index = this.miners.push(name) - 1;
      this.minerIndex.set(name, index);
    }
    return index;
  }

  /** Adds an event of the stream. One that the record has already changes nothing. */
  apply(event) {
    this.now = Math.max(this.now, event.now_ms);
    const fold = {
      generation: () => this.generationBegan(event),
      batch_opened: () => this.opened(event),
      miner_joined: () => this.presenceChanged(event, true),
      miner_away: () => this.presenceChanged(event, false),
      verdict: () => this.judged(event),
      front_changed: () => this.frontChanged(event),
      finished: () => { this.finished = event.now_ms; },
    }[event.type];
    fold?.();
  }

  generationBegan({ number, of, now_ms }) {
    if (number > this.generations.length) this.generations[number - 1] = now_ms;
    this.facts.generations = of;
    // A search that was extended goes on.
    this.finished = null;
  }

  presenceChanged({ miner, now_ms }, here) {
    this.presence.miner.push(this.minerOf(miner));
    this.presence.ms.push(now_ms);
    this.presence.here.push(here);
  }

  opened({ batch, genome, now_ms }) {
    if (this.rowOf.has(batch)) return;
    const row = this.job.push(batch) - 1;
    this.rowOf.set(batch, row);
    this.genome[row] = genome;
    // A search that was extended goes on.
    this.finished = null;
    this.opened_ms[row] = now_ms;
    this.ended_ms[row] = null;
    this.accuracy[row] = this.params[row] = this.flops[row] = null;
    this.verdict[row] = this.verdicts.indexOf("open");
    this.openRows.add(row);
    const before = this.hasRungs ? this.link(row) : undefined;
    this.rung[row] = before === undefined ? 0 : this.rung[before] + 1;
    // What goes on from a rung belongs to the generation in which it was new.
    this.generation[row] = before === undefined ? Math.floor(this.genomes / this.facts.population) + 1 : this.generation[before];
    if (before === undefined) this.genomes += 1;
  }

  judged({ batch, rows, consensus, failure, now_ms }) {
    const row = this.rowOf.get(batch);
    if (row === undefined || this.ended_ms[row] !== null) return;
    this.ended_ms[row] = now_ms;
    this.place[row] = this.ended.push(row) - 1;
    this.openRows.delete(row);
    this.verdict[row] = this.verdicts.indexOf(verdictName(rows, failure));
    if (consensus && !failure) {
      this.accuracy[row] = consensus.accuracy;
      this.params[row] = consensus.params;
      this.flops[row] = consensus.flops;
    }
  }

  frontChanged({ entered, left, now_ms }) {
    this.front.ms.push(now_ms);
    this.front.entered.push(entered.map(({ batch }) => batch));
    this.front.left.push(left);
  }

  /** The name of a candidate's verdict by then. */
  verdictAt(row, t) {
    return this.ended_ms[row] !== null && this.ended_ms[row] <= t ? this.verdicts[this.verdict[row]] : "open";
  }
}

/** The name of a verdict in the stream, as the record has it. */
export function verdictName(rows, failure) {
  if (failure) return FAILURES.find(([kind]) => kind === failure || (typeof failure === "object" && kind in failure))?.[1] ?? "rejected";
  if (rows.some(({ reason }) => REFEREE.has(reason))) return "disputed";
  return rows.every(({ agreed }) => agreed) ? "agreed" : "majority";
}
