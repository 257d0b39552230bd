"""The peers of tables.py. Each proposes designs with `ask`, which returns a handle and a design, or None
if it waits for outcomes, and is given each outcome with `tell`: objectives to minimise, or None for a
failure. Optuna's TPE and NSGA-II are told of failures as such, local search ignores them, and to the
others they are the worst values so far. SMAC3 learns anew after every eighth design, as is its default."""

import random
from collections import deque

POPULATION = 20


class Worst:
    """The worst values of each objective so far, for peers that cannot be told of a failure."""

    def __init__(self):
        self.row = None

    def told(self, row):
        """The row, or the worst values in place of a failure; None if there are none yet."""
        if row is not None:
            self.row = row if self.row is None else tuple(map(max, self.row, row))
        return row or self.row


class Random:
    def __init__(self, table, seed, _options):
        self.table, self.generator = table, random.Random(seed)

    def ask(self):
        return None, self.table.random(self.generator)

    def tell(self, _handle, _design, _row):
        pass


def dominates(one, other):
    return all(a <= b for a, b in zip(one, other)) and one != other


class Local:
    """Pareto local search: all neighbours of a front member that was not expanded yet, in random order.
    With one objective it moves on as soon as a neighbour is better."""

    def __init__(self, table, seed, _options):
        self.table, self.generator = table, random.Random(seed)
        self.front, self.expanded, self.known = {}, set(), set()
        self.around, self.centre = deque(), None

    def ask(self):
        is_beaten = self.table.width == 1 and self.centre not in self.front
        while not self.around or is_beaten:
            open_designs = sorted(design for design in self.front if design not in self.expanded)
            if not open_designs:
                return None, self.table.random(self.generator)
            self.centre = self.generator.choice(open_designs)
            self.expanded.add(self.centre)
            around = list(self.table.neighbours(self.centre))
            self.generator.shuffle(around)
            self.around, is_beaten = deque(one for one in around if one not in self.known), False
        design = self.around.popleft()
        self.known.add(design)
        return None, design

    def tell(self, _handle, design, row):
        self.known.add(design)
        if row is None or any(dominates(other, row) or other == row for other in self.front.values()):
            return
        for other in [other for other, its in self.front.items() if dominates(row, its)]:
            del self.front[other]
        self.front[design] = row


class Optuna:
    def __init__(self, sampler, table, worst=None):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.table, self.worst = table, worst
        self.study = optuna.create_study(directions=["minimize"] * table.width, sampler=sampler)

    def ask(self):
        trial = self.study.ask()
        variables = enumerate(zip(self.table.kinds, self.table.sizes))
        design = tuple(
            trial.suggest_categorical(f"x{at}", list(range(size)))
            if kind != "integer"
            else trial.suggest_int(f"x{at}", 0, size - 1)
            for at, (kind, size) in variables
        )
        return trial, design

    def tell(self, trial, _design, row):
        import optuna

        row = self.worst.told(row) if self.worst else row
        if row is None:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self.study.tell(trial, list(row))


def tpe(table, seed, options):
    import optuna

    is_parallel = options.pending > 1
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=is_parallel)
    return Optuna(sampler, table)


def nsga2(table, seed, _options):
    import optuna

    return Optuna(optuna.samplers.NSGAIISampler(seed=seed, population_size=POPULATION), table)


def gaussian(table, seed, _options):
    import optuna
    import torch

    torch.set_num_threads(1)
    # It would propose a design that failed again and again.
    sampler = optuna.samplers.GPSampler(seed=seed, deterministic_objective=False)
    return Optuna(sampler, table, Worst())


class Pymoo:
    """NSGA-II, generation by generation: the next one begins when all outcomes are told."""

    def __init__(self, table, seed, _options):
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.mixed import (
            MixedVariableDuplicateElimination,
            MixedVariableMating,
            MixedVariableSampling,
        )
        from pymoo.core.problem import Problem
        from pymoo.core.variable import Choice, Integer

        variables = {
            f"x{at}": Choice(options=list(range(size)))
            if kind != "integer"
            else Integer(bounds=(0, size - 1))
            for at, (kind, size) in enumerate(zip(table.kinds, table.sizes))
        }
        self.worst = Worst()
        self.problem = Problem(vars=variables, n_obj=table.width)
        self.algorithm = NSGA2(
            pop_size=POPULATION,
            sampling=MixedVariableSampling(),
            mating=MixedVariableMating(eliminate_duplicates=MixedVariableDuplicateElimination()),
            eliminate_duplicates=MixedVariableDuplicateElimination(),
        )
        self.algorithm.setup(self.problem, termination=("n_gen", 10_000), seed=seed, verbose=False)
        self.generation, self.asked, self.told = None, 0, {}

    def ask(self):
        if self.generation is None:
            self.generation, self.asked, self.told = self.algorithm.ask(), 0, {}
        if self.generation is None or self.asked == len(self.generation):
            return None
        self.asked += 1
        values = self.generation[self.asked - 1].X
        return self.asked - 1, tuple(int(values[f"x{at}"]) for at in range(len(values)))

    def tell(self, at, _design, row):
        import numpy as np
        from pymoo.core.evaluator import Evaluator
        from pymoo.problems.static import StaticProblem

        self.told[at] = row
        self.worst.told(row)
        if len(self.told) == len(self.generation):
            rows = np.array([self.told[at] or self.worst.row for at in range(len(self.told))])
            Evaluator().eval(StaticProblem(self.problem, F=rows), self.generation)
            self.algorithm.tell(infills=self.generation)
            self.generation = None


class Smac:
    """SMAC3's facade for hyperparameters: random forests; ParEGO for several objectives."""

    def __init__(self, table, seed, options):
        import logging
        import tempfile

        from ConfigSpace import Categorical, ConfigurationSpace, Integer
        from smac import HyperparameterOptimizationFacade as Facade
        from smac import Scenario
        from smac.multi_objective.parego import ParEGO

        logging.disable(logging.WARNING)
        space = ConfigurationSpace(seed=seed)
        for at, (kind, size) in enumerate(zip(table.kinds, table.sizes)):
            if kind == "integer" and size > 1:
                space.add(Integer(f"x{at}", (0, size - 1)))
            else:
                space.add(Categorical(f"x{at}", list(range(size))))
        names = [f"objective {at}" for at in range(table.width)]
        self.worst = Worst()
        self.folder = tempfile.TemporaryDirectory()
        scenario = Scenario(
            space,
            objectives=names if table.width > 1 else "cost",
            n_trials=20 * options.evaluations,
            deterministic=True,
            seed=seed,
            output_directory=self.folder.name,
        )
        parts = {
            "intensifier": Facade.get_intensifier(scenario, max_config_calls=1),
            "initial_design": Facade.get_initial_design(scenario, n_configs=POPULATION),
            "overwrite": True,
        }
        if table.width > 1:
            parts["multi_objective_algorithm"] = ParEGO(scenario)
        self.facade = Facade(scenario, lambda config, seed: 0.0, **parts)

    def ask(self):
        trial = self.facade.ask()
        return trial, tuple(int(trial.config[f"x{at}"]) for at in range(len(trial.config)))

    def tell(self, trial, _design, row):
        from smac.runhistory.dataclasses import TrialValue

        row = self.worst.told(row)
        if row is not None:
            value = TrialValue(cost=list(row) if len(row) > 1 else row[0])
            self.facade.tell(trial, value, save=False)


PEERS = {
    "random": Random,
    "local": Local,
    "tpe": tpe,
    "nsga2": nsga2,
    "gp": gaussian,
    "smac": Smac,
    "pymoo": Pymoo,
}
