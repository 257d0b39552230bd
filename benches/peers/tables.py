"""Searches tables of evaluated designs with other programs, for comparison with

    cargo run --release -p naschain-nsga --example tables -- TABLE...

which describes the layout of a table in naschain-nsga/examples/tables/table.rs, and its options --pending,
--failures, --noise and --objectives. Prints the same columns: the share of the table's hypervolume after 25,
50, 100, 200 and 400 distinct designs, median (and worse quartile), with objectives scaled to the ranges of
the table and of its front.

    venv/bin/python benches/peers/tables.py TABLE... [--peers tpe,nsga2,gp,smac,pymoo,local,random]
        [--seeds 31] [--evaluations 400] [--pending 1] [--failures 0] [--noise 0] [--objectives N]

All peers are told which variables are categories and which are integers; they do not know the objectives
that are known without an evaluation. A design that a peer proposes again costs it nothing: only distinct
designs are counted, but a run ends after ten times as many proposals as --evaluations.
"""

import argparse
import itertools
import random
import statistics
import warnings
from collections import deque
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from peers import PEERS

warnings.filterwarnings("ignore")
COUNTS = [25, 50, 100, 200, 400]


class Table:
    def __init__(self, path, objectives):
        with open(path) as lines:
            header = next(lines).rstrip("\n").split(",")
            genes = [column.split(":") for column in header if column.count(":") == 2]
            self.kinds = [kind for kind, _, _ in genes]
            self.sizes = [int(count) for _, _, count in genes]
            self.is_known = [column.startswith("known:") for column in header[len(genes) :]]
            self.rows = {}
            for line in lines:
                cells = line.rstrip("\n").split(",")
                design = tuple(map(int, cells[: len(genes)]))
                self.rows[design] = tuple(map(float, cells[len(genes) :][:objectives]))
        self.is_known = self.is_known[:objectives]
        self.width = len(self.is_known)
        columns = zip(*self.rows.values())
        quarters = [statistics.quantiles(column, n=4, method="inclusive") for column in columns]
        self.spreads = [high - low for low, _, high in quarters]

    def random(self, generator):
        return tuple(generator.randrange(size) for size in self.sizes)

    def neighbours(self, design):
        for at, size in enumerate(self.sizes):
            for value in range(size):
                if value != design[at]:
                    yield design[:at] + (value,) + design[at + 1 :]


class Trials:
    """The distinct designs that a peer has evaluated, in their order: what it is told, None for a failure,
    and what is true."""

    def __init__(self, table, options, seed):
        self.table, self.options = table, options
        self.generator = random.Random(f"trials {seed}")
        self.told, self.order = {}, []

    def evaluate(self, design):
        if design not in self.told:
            row = self.table.rows.get(design)
            fails = row is None or self.generator.random() * 100 < self.options.failures
            self.told[design] = None if fails else tuple(map(self.noisy, row, itertools.count()))
            self.order.append((self.told[design], row))
        return self.told[design]

    def noisy(self, value, at):
        if self.table.is_known[at] or not self.options.noise:
            return value
        return value + self.generator.gauss(0, self.options.noise / 100 * self.table.spreads[at])


def run(arguments):
    table, peer, seed, options = arguments
    np.random.seed(seed)
    trials = Trials(table, options, seed)
    peer = PEERS[peer](table, seed, options)
    pending = deque()
    for _ in range(10 * options.evaluations):
        if len(trials.order) == options.evaluations:
            break
        while len(pending) < options.pending and (proposal := peer.ask()) is not None:
            pending.append(proposal)
        if not pending:
            break
        handle, design = pending.popleft()
        peer.tell(handle, design, trials.evaluate(design))
    return trials.order


def ranges(rows):
    return [(min(column), max(column)) for column in zip(*rows)]


def front_of(rows, key=lambda row: row):
    """The rows whose keys no other key dominates."""
    front = []
    for row in sorted(rows, key=key):
        if not any(all(a <= b for a, b in zip(key(other), key(row))) for other in front):
            front.append(row)
    return front


def volume(rows, scale):
    from moocore import hypervolume

    if not rows:
        return 0.0
    scaled = [[(x - low) / (high - low) for x, (low, high) in zip(row, scale)] for row in rows]
    return hypervolume(np.array(scaled), ref=[1.0] * len(scale))


def chosen(order, count):
    """The true rows of the designs that seem to be the best of the first ones."""
    told = [one for one in order[:count] if one[0] is not None]
    return [true for _, true in front_of(told, key=lambda one: one[0])]


def quantiles(values, larger_is_better):
    values = sorted(values)
    quarter = len(values) // 4
    return values[len(values) // 2], values[quarter if larger_is_better else len(values) - 1 - quarter]


def print_single(path, peer, table, runs, counts):
    best = min(row[0] for row in table.rows.values())
    needed = []
    for order in runs:
        found = [at for at, (told, true) in enumerate(order) if told is not None and true[0] <= best]
        needed.append(found[0] + 1 if found else float("inf"))
    median, worse = quantiles(needed, False)
    cells = []
    for count in counts:
        regrets = [min((row[0] for row in chosen(order, count)), default=float("inf")) - best for order in runs]
        cells.append("%.3f (%.3f)" % quantiles(regrets, False))
    print(f"{path:<24} {peer:<7} best after {median:>4} ({worse:>4}); regret  " + "  ".join(cells), flush=True)


def print_shares(path, peer, table, runs, counts):
    rows = list(table.rows.values())
    front = front_of(rows)
    for name, scale in [("table", ranges(rows)), ("front", ranges(front))]:
        whole = volume(front, scale)
        cells = []
        for count in counts:
            shares = [volume(chosen(order, count), scale) / whole for order in runs]
            cells.append("%.4f (%.4f)" % quantiles(shares, True))
        print(f"{path:<24} {peer:<7} {name}  " + "  ".join(cells), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--peers", default="tpe,nsga2,gp,smac,pymoo,local,random")
    parser.add_argument("--seeds", type=int, default=31)
    parser.add_argument("--evaluations", type=int, default=COUNTS[-1])
    parser.add_argument("--pending", type=int, default=1)
    parser.add_argument("--failures", type=float, default=0, metavar="PERCENT")
    parser.add_argument("--noise", type=float, default=0, metavar="PERCENT")
    parser.add_argument("--objectives", type=int, choices=range(1, 100), metavar="N")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    counts = [count for count in COUNTS if count <= options.evaluations]
    for path, peer in itertools.product(options.tables, options.peers.split(",")):
        table = Table(path, options.objectives)
        work = [(table, peer, seed, options) for seed in range(1, options.seeds + 1)]
        with ProcessPoolExecutor(options.processes) as pool:
            runs = list(pool.map(run, work))
        (print_single if table.width == 1 else print_shares)(path, peer, table, runs, counts)


if __name__ == "__main__":
    main()
