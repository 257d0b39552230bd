"""Searches tables of evaluated designs with other programs, for comparison with

    cargo run --release -p naschain-nsga --example tables -- TABLE...

which describes the layout of a table in naschain-nsga/examples/tables/table.rs and prints the same
columns: the share of the table's hypervolume after 25, 50, 100, 200 and 400 distinct designs, median
(and worse quartile), with objectives scaled to the ranges of the table and of its front. With --single
only the first objective is searched, and the evaluations until its best value are printed.

    venv/bin/python benches/peers/tables.py TABLE... [--peers tpe,nsga2,pymoo,local,random] [--seeds 31] [--single]

All peers are told which variables are categories and which are integers; they do not know the objectives
that are known without an evaluation. A design that a peer proposes again costs it nothing: only distinct
designs are counted.
"""

import argparse
import itertools
import random
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np

warnings.filterwarnings("ignore")
COUNTS = [25, 50, 100, 200, 400]


class Table:
    def __init__(self, path):
        with open(path) as lines:
            header = next(lines).rstrip("\n").split(",")
            genes = [column.split(":") for column in header if column.count(":") == 2]
            self.kinds = [kind for kind, _, _ in genes]
            self.sizes = [int(count) for _, _, count in genes]
            self.rows = {}
            for line in lines:
                cells = line.rstrip("\n").split(",")
                design = tuple(map(int, cells[: len(genes)]))
                self.rows[design] = tuple(map(float, cells[len(genes) :]))
        self.width = len(header) - len(genes)

    def random(self, generator):
        return tuple(generator.randrange(size) for size in self.sizes)

    def neighbours(self, design):
        for at, size in enumerate(self.sizes):
            for value in range(size):
                if value != design[at]:
                    yield design[:at] + (value,) + design[at + 1 :]


class Enough(Exception):
    """Raised when a peer has evaluated as many designs as are counted."""


class Log:
    """The distinct designs that a peer has evaluated, in their order."""

    def __init__(self, table, width):
        self.table, self.width, self.rows, self.order = table, width, {}, []
        self.calls = 0

    def __call__(self, design):
        self.calls += 1
        if design not in self.rows:
            if len(self.order) == COUNTS[-1]:
                raise Enough
            self.rows[design] = self.table.rows[design]
            self.order.append(self.rows[design])
        elif self.calls > 20 * COUNTS[-1]:
            raise Enough
        return self.rows[design][: self.width]


def by_random(table, log, seed):
    generator = random.Random(seed)
    while True:
        log(table.random(generator))


def dominates(one, other):
    return all(a <= b for a, b in zip(one, other)) and one != other


def by_local(table, log, seed):
    """Pareto local search: all neighbours of a front member that was not expanded yet, in random order."""
    generator = random.Random(seed)
    front, expanded = {}, set()

    def visit(design):
        row = log(design)
        if any(dominates(other, row) or other == row for other in front.values()):
            return
        for other in [other for other, its in front.items() if dominates(row, its)]:
            del front[other]
        front[design] = row

    while True:
        open_designs = sorted(design for design in front if design not in expanded)
        if not open_designs:
            visit(table.random(generator))
            continue
        design = generator.choice(open_designs)
        expanded.add(design)
        around = list(table.neighbours(design))
        generator.shuffle(around)
        for other in around:
            if other not in log.rows:
                visit(other)
            if log.width == 1 and design not in front:
                break


def by_optuna(sampler):
    def run(table, log, seed):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(directions=["minimize"] * log.width, sampler=sampler(seed))
        while True:
            trial = study.ask()
            design = tuple(
                trial.suggest_categorical(f"x{at}", list(range(size)))
                if kind != "integer"
                else trial.suggest_int(f"x{at}", 0, size - 1)
                for at, (kind, size) in enumerate(zip(table.kinds, table.sizes))
            )
            study.tell(trial, list(log(design)))

    return run


def tpe(seed):
    import optuna

    return optuna.samplers.TPESampler(seed=seed, multivariate=True)


def nsga2(seed):
    import optuna

    return optuna.samplers.NSGAIISampler(seed=seed, population_size=20)


def by_pymoo(table, log, seed):
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.mixed import (
        MixedVariableDuplicateElimination,
        MixedVariableMating,
        MixedVariableSampling,
    )
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.core.variable import Choice, Integer
    from pymoo.optimize import minimize

    class Problem(ElementwiseProblem):
        def __init__(self):
            kinds = zip(table.kinds, table.sizes)
            super().__init__(
                vars={
                    f"x{at}": Choice(options=list(range(size)))
                    if kind != "integer"
                    else Integer(bounds=(0, size - 1))
                    for at, (kind, size) in enumerate(kinds)
                },
                n_obj=log.width,
            )

        def _evaluate(self, x, out, *_args, **_more):
            out["F"] = list(log(tuple(int(x[f"x{at}"]) for at in range(len(table.sizes)))))

    algorithm = NSGA2(
        pop_size=20,
        sampling=MixedVariableSampling(),
        mating=MixedVariableMating(eliminate_duplicates=MixedVariableDuplicateElimination()),
        eliminate_duplicates=MixedVariableDuplicateElimination(),
    )
    minimize(Problem(), algorithm, ("n_gen", 10_000), seed=seed, verbose=False)


PEERS = {
    "random": by_random,
    "local": by_local,
    "tpe": by_optuna(tpe),
    "nsga2": by_optuna(nsga2),
    "pymoo": by_pymoo,
}


def one(arguments):
    table, peer, seed, width = arguments
    np.random.seed(seed)
    log = Log(table, width)
    try:
        PEERS[peer](table, log, seed)
    except Enough:
        pass
    return log.order


def ranges(rows):
    return [(min(column), max(column)) for column in zip(*rows)]


def front_of(rows):
    front = []
    for row in sorted(rows):
        if not any(all(a <= b for a, b in zip(other, row)) for other in front):
            front.append(row)
    return front


def volume(rows, scale):
    from moocore import hypervolume

    scaled = [[(x - low) / (high - low) for x, (low, high) in zip(row, scale)] for row in rows]
    return hypervolume(np.array(scaled), ref=[1.0] * len(scale))


def quantiles(values, larger_is_better):
    values = sorted(values)
    quarter = len(values) // 4
    return values[len(values) // 2], values[quarter if larger_is_better else len(values) - 1 - quarter]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--peers", default="tpe,nsga2,pymoo,local,random")
    parser.add_argument("--seeds", type=int, default=31)
    parser.add_argument("--single", action="store_true")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    for path, peer in itertools.product(options.tables, options.peers.split(",")):
        table = Table(path)
        width = 1 if options.single else table.width
        work = [(table, peer, seed, width) for seed in range(1, options.seeds + 1)]
        with ProcessPoolExecutor(options.processes) as pool:
            runs = list(pool.map(one, work))
        all_rows = list(table.rows.values())
        if options.single:
            best = min(row[0] for row in all_rows)
            needed = []
            for run in runs:
                found = [at for at, row in enumerate(run) if row[0] <= best]
                needed.append(found[0] + 1 if found else float("inf"))
            median, worse = quantiles(needed, False)
            regrets = [quantiles([min(row[0] for row in run[:count]) - best for run in runs], False) for count in COUNTS]
            columns = "  ".join(f"{median:.3f} ({worse:.3f})" for median, worse in regrets)
            print(f"{path:<24} {peer:<7} best after {median:>4} ({worse:>4}); regret  {columns}", flush=True)
            continue
        front = front_of(all_rows)
        for name, scale in [("table", ranges(all_rows)), ("front", ranges(front))]:
            whole = volume(front, scale)
            cells = []
            for count in COUNTS:
                shares = [volume(run[:count], scale) / whole for run in runs]
                cells.append("%.4f (%.4f)" % quantiles(shares, True))
            print(f"{path:<24} {peer:<7} {name}  " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
