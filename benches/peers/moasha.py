"""Runs Syne Tune's MOASHA on the table of learning curves and prints which share of the whole table's
hypervolume it finds within a number of epochs; the example `rungs` of naschain-nsga prints ours.

    python3 -m venv venv && venv/bin/pip install -r benches/peers/requirements.txt
    venv/bin/python benches/peers/moasha.py naschain-nsga/data/digits-curves.bin

MOASHA draws networks at random; here from the distinct ones, and one that it draws again costs nothing.
Trainings run one after the other until the next one's epoch would exceed the budget. The share is
computed from the networks with all nine epochs, and in a second column from all results.
"""

import argparse
import datetime
import statistics
import struct

import moocore
import numpy
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice
from syne_tune.optimizer.scheduler import SchedulerDecision
from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

OBJECTIVES = ["error", "params", "flops"]


def read_table(path, order):
    """One array of epochs x objectives for each network; the layout is in benches/examples/curves.rs."""
    data = open(path, "rb").read()
    magic, orders, epochs, count = struct.unpack_from("<8sHHI", data)
    assert magic == b"NASCURV1" and 1 <= order <= orders, (magic, orders)
    networks = []
    for row in range(count):
        at = 16 + row * (10 + orders * epochs * 4)
        params, flops = struct.unpack_from("<II", data, at + 2)
        curve = struct.unpack_from(f"<{2 * epochs}H", data, at + 10 + (order - 1) * epochs * 4)
        networks.append([(100 - one / 100, params, flops) for one in curve[1::2]])
    return numpy.array(networks)


def search(table, seed, budget):
    """The rows of all epochs, and those of the last epoch, that MOASHA trains within the budget."""
    # MOASHA draws from numpy's global generator.
    numpy.random.seed(seed)
    epochs = table.shape[1]
    space = {"network": choice(list(range(len(table))))}
    scheduler = MOASHA(
        space, OBJECTIVES, time_attr="epoch", max_t=epochs, grace_period=1, reduction_factor=3,
        random_seed=seed,
    )
    spent, known, every, complete = 0, set(), [], []
    for trial_id in range(1_000_000):
        trial = Trial(trial_id, scheduler.suggest().config, datetime.datetime.now())
        network = trial.config["network"]
        if network in known:
            continue
        known.add(network)
        scheduler.on_trial_add(trial)
        for epoch in range(1, epochs + 1):
            if spent == budget:
                return numpy.array(every), numpy.array(complete), len(known)
            spent += 1
            row = table[network][epoch - 1]
            every.append(row)
            result = {"epoch": epoch, **dict(zip(OBJECTIVES, row))}
            if epoch == epochs:
                complete.append(row)
                scheduler.on_trial_complete(trial, result)
            elif scheduler.on_trial_result(trial, result) == SchedulerDecision.STOP:
                break


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("table")
    parser.add_argument("--order", type=int, default=1, help="data order, 1 to 3")
    parser.add_argument("--seeds", type=int, default=31)
    parser.add_argument("--epochs", type=int, default=464, help="budget, that of 200 networks by rungs")
    arguments = parser.parse_args()
    table = read_table(arguments.table, arguments.order)
    final = table[:, -1]
    low, high = final.min(axis=0), final.max(axis=0)

    def volume(rows):
        # Epochs before the last may have a larger error than any network has at the end.
        scaled = numpy.minimum((rows - low) / (high - low), 1.0)
        return moocore.hypervolume(scaled, ref=[1.0, 1.0, 1.0])

    shares = {"nine epochs": [], "all results": []}
    for seed in range(1, arguments.seeds + 1):
        every, complete, count = search(table, seed, arguments.epochs)
        shares["nine epochs"].append(volume(complete) / volume(final))
        shares["all results"].append(volume(every) / volume(final))
    for name, values in shares.items():
        figures = [min(values), statistics.median(values), max(values)]
        print(name, *(f"{figure:.4f}" for figure in figures), f"({count} networks in the last run)")


if __name__ == "__main__":
    main()
