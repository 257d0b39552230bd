/** The hypervolume of the fronts of a run, exact, for three objectives. */

const MOST_SNAPSHOTS = 2_000;
const MOST_POINTS = 500;

/**
 * A staircase of accuracies over FLOPs and the area below it. Both are shares from 0 to 1; a step holds
 * from its FLOPs on.
 */
class Staircase {
  constructor() {
    Object.assign(this, { flops: [], accuracy: [], area: 0 });
  }

  add(accuracy, flops) {
    let at = 0;
    while (at < this.flops.length && this.flops[at] < flops) at++;
    const below = at > 0 ? this.accuracy[at - 1] : 0;
    if (below >= accuracy || (this.flops[at] === flops && this.accuracy[at] >= accuracy)) return;
    let [end, from, height] = [at, flops, below];
    for (; end < this.flops.length && this.accuracy[end] <= accuracy; end++) {
      this.area += (accuracy - height) * (this.flops[end] - from);
      [from, height] = [this.flops[end], this.accuracy[end]];
    }
    this.area += (accuracy - height) * ((this.flops[end] ?? 1) - from);
    this.flops.splice(at, end - at, flops);
    this.accuracy.splice(at, end - at, accuracy);
  }
}

/**
 * The share of the box between 100 % accuracy at no cost and 0 % at `largest` parameters and FLOPs that
 * networks dominate. `networks` are [accuracy in percent, parameters, FLOPs]; those outside of the box
 * dominate nothing of it.
 */
export function hypervolumeShare(networks, [largestParams, largestFlops]) {
  const stairs = new Staircase();
  let [volume, from] = [0, 0];
  // By parameters: between two networks the area of those before counts.
  const inside = networks.filter(([, params, flops]) => params <= largestParams && flops <= largestFlops);
  for (const [accuracy, params, flops] of inside.sort((a, b) => a[1] - b[1])) {
    const at = params / Math.max(largestParams, 1);
    volume += stairs.area * (at - from);
    from = at;
    stairs.add(accuracy / 100, flops / Math.max(largestFlops, 1));
  }
  return volume + stairs.area * (1 - from);
}

/**
 * The non-dominated networks after each evaluation of a record, which may grow; without those that are
 * no better than guessing.
 */
export class FrontHistory {
  constructor(record) {
    Object.assign(this, { record, read: 0, front: [], snapshots: [] });
  }

  /** Reads what has ended since the last call. */
  advance() {
    const { record } = this;
    for (; this.read < record.ended.length; this.read++) {
      const row = record.ended[this.read];
      if (record.accuracy[row] === null || !record.isWhole(row) || !record.isUseful(row)) continue;
      if (this.enter(row)) this.keep();
    }
  }

  /** Puts a network on the front, unless another is at least as good in all objectives. */
  enter(row) {
    const { front, record: { accuracy, params, flops } } = this;
    const [a, p, f] = [accuracy[row], params[row], flops[row]];
    for (let at = 0; at < front.length; at++) {
      const other = front[at];
      if (accuracy[other] >= a && params[other] <= p && flops[other] <= f) {
        // What dominated one network often dominates the next.
        [front[at], front[at >> 1]] = [front[at >> 1], front[at]];
        return false;
      }
    }
    this.front = front.filter((other) => !(a >= accuracy[other] && p <= params[other] && f <= flops[other]));
    this.front.push(row);
    return true;
  }

  keep() {
    this.snapshots.push({ evaluations: this.read + 1, ms: this.record.ended_ms[this.record.ended[this.read]], front: Int32Array.from(this.front) });
    if (this.snapshots.length > MOST_SNAPSHOTS) {
      // The last one always stays.
      this.snapshots = this.snapshots.filter((_, at) => (this.snapshots.length - 1 - at) % 2 === 0);
    }
  }

  /** The largest parameters and FLOPs of the front at that time. */
  largestAt(t) {
    const until = this.record.endedBy(t);
    const last = this.snapshots.findLast(({ evaluations }) => evaluations <= until);
    const { params, flops } = this.record;
    const largest = (costs) => (last?.front ?? []).reduce((most, row) => Math.max(most, costs[row]), 0);
    return [largest(params), largest(flops)];
  }

  /** The hypervolume up to a time, as `{evaluations, ms, share}`, of at most 500 fronts, in this box. */
  curve(t, box = this.largestAt(t)) {
    const until = this.record.endedBy(t);
    let known = this.snapshots.length;
    while (known > 0 && this.snapshots[known - 1].evaluations > until) known--;
    const step = Math.max(1, known / MOST_POINTS);
    const points = [];
    for (let at = known; at > 0; at -= step) points.push(this.point(this.snapshots[Math.ceil(at) - 1], box));
    return points.reverse();
  }

  point(snapshot, box) {
    const key = box.join();
    if (snapshot.key !== key) {
      const { accuracy, params, flops } = this.record;
      const networks = Array.from(snapshot.front, (row) => [accuracy[row], params[row], flops[row]]);
      Object.assign(snapshot, { key, share: hypervolumeShare(networks, box) });
    }
    return { evaluations: snapshot.evaluations, ms: snapshot.ms, share: snapshot.share };
  }
}

const histories = new WeakMap();

/** The history of a record's fronts, read up to its end. */
export function historyOf(record) {
  if (!histories.has(record)) histories.set(record, new FrontHistory(record));
  const history = histories.get(record);
  history.advance();
  return history;
}
