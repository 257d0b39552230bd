"""Measures non-dominated sorting by moocore (https://pypi.org/project/moocore/) on points of the shapes
in benches/sorting.rs, for comparison with the results of `cargo bench` on the same machine.

    python3 -m venv venv && venv/bin/pip install moocore==0.3.2
    venv/bin/python benches/peers/moocore_sort.py
"""

import statistics
import time

import moocore
import numpy

OBJECTIVES = 5
CALLS = 5


def rows(shape, points):
    uniform = numpy.random.default_rng(1).random((points, OBJECTIVES))
    if shape == "front":
        return uniform / numpy.linalg.norm(uniform, axis=1, keepdims=True)
    if shape == "integers":
        return numpy.floor(uniform * 10)
    return uniform


for points in (1_000, 10_000, 100_000):
    for shape in ("cloud", "front", "integers"):
        data = rows(shape, points)
        seconds = []
        for _ in range(CALLS):
            start = time.thread_time()
            ranks = moocore.pareto_rank(data)
            seconds.append(time.thread_time() - start)
        print(
            f"{points} points, {OBJECTIVES} objectives, {shape}: "
            f"{statistics.median(seconds) * 1e3:.3f} ms, {len(set(ranks.tolist()))} fronts"
        )
