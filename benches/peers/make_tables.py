"""Makes tables of evaluated designs for naschain-nsga's example `tables` and for tables.py.

    python3 benches/peers/make_tables.py FOLDER [--macro CSV] [--spike REPOSITORY]

Four kinds of tables are computed, of made-up networks, three or two of each with different constants:

- cells: 6 edges between 4 nodes, each with one of 5 operations (none, skip, two convolutions, pooling).
  Random layers stand for the operations; the error falls with what reaches the output, and with the
  capacity and the depth of what is connected. Without a path the error is 90 %.
- graphs: 4 nodes with one of 5 operations each, of which each reads one earlier node.
- ordinal: 6 settings in order, such as a learning rate, a width and a depth, with an optimum that
  depends on the others. Error and time are evaluated, parameters are known.
- five: the networks of cells with two more objectives, latency, which is evaluated, and memory.

--macro converts the table of NAS-Bench-Macro (Su et al., CVPR 2021), --spike that of SpikeNAS-Bench (Sun
et al. 2024) for CIFAR-10 from a clone of github.com/tju-sun-lab/SpikeNAS-Bench: 15,625 spiking networks
whose cells have 6 edges with one of 5 operations each.
"""

import argparse
import csv
import itertools
import math
import pathlib
import random


def write(path, header, rows):
    with open(path, "w") as file:
        file.write(header + "\n")
        for genes, values in rows:
            file.write(",".join([*map(str, genes), *values]) + "\n")
    print(f"wrote {path}")


def deviation_of(values):
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def matrix(generator, width, scale):
    deviation = scale / math.sqrt(width)
    return [[generator.gauss(0, deviation) for _ in range(width)] for _ in range(width)]


def layer(weights, biases, values):
    sums = (sum(w * x for w, x in zip(row, values)) for row in weights)
    return [math.tanh(total + bias) for total, bias in zip(sums, biases)]


EDGES = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]


def cells(path, seed):
    generator, width = random.Random(seed), 6
    weights = {2: matrix(generator, width, 1.0), 3: matrix(generator, width, 1.6)}
    biases = {kind: [generator.gauss(0, 0.3) for _ in range(width)] for kind in (2, 3)}
    readout = [generator.gauss(0, 1) for _ in range(width)]
    first = [generator.gauss(0, 1) for _ in range(width)]

    def apply(kind, values):
        if kind == 1:
            return values
        if kind == 4:
            mean = sum(values) / width
            return [0.6 * value + 0.4 * mean for value in values]
        return layer(weights[kind], biases[kind], values)

    def signal(genes):
        """What reaches the output, its capacity and its depth; None without a path."""
        values, depth = {0: first}, {0: 0}
        for node in (1, 2, 3):
            into = [(a, kind) for (a, b), kind in zip(EDGES, genes) if b == node and kind and a in values]
            if into:
                sums = [0.0] * width
                for a, kind in into:
                    sums = [x + y for x, y in zip(sums, apply(kind, values[a]))]
                values[node] = sums
                depth[node] = max(0, *(depth[a] + (kind in (2, 3)) for a, kind in into), 0)
        if 3 not in values:
            return None
        live, capacity = {3}, 0
        for node in (3, 2, 1):
            if node in live:
                for (a, b), kind in zip(EDGES, genes):
                    if b == node and kind and a in values:
                        live.add(a)
                        capacity += {1: 0, 2: 1, 3: 2.5, 4: 0.1}[kind]
        return sum(r * x for r, x in zip(readout, values[3])), capacity, depth[3]

    designs = list(itertools.product(range(5), repeat=6))
    signals = [signal(genes) for genes in designs]
    mean, deviation = deviation_of([one[0] for one in signals if one])
    rows = []
    for genes, one in zip(designs, signals):
        if one is None:
            error = 90 + generator.gauss(0, 0.1)
        else:
            quality, capacity, depth = (one[0] - mean) / deviation, one[1], one[2]
            error = 6 + 18 * math.exp(-0.55 * capacity - 0.3 * depth)
            error = error + 1.6 * math.log1p(math.exp(-1.2 * quality)) + generator.gauss(0, 0.12)
        params = 50_000 + sum({2: 1000, 3: 9000}.get(kind, 0) for kind in genes)
        flops = 7e6 + sum({2: 1.2e6, 3: 9.5e6, 4: 0.3e6}.get(kind, 0) for kind in genes)
        rows.append((genes, [f"{error:.3f}", str(params), str(int(flops))]))
    edges = ",".join(f"edge:{a}-{b}:5" for a, b in EDGES)
    write(path, f"{edges},error,known:params,known:flops", rows)


def five(path, seed, source):
    generator = random.Random(3000 + seed)
    latency_of = [base * generator.uniform(0.7, 1.4) for base in (0, 0.02, 0.2, 0.5, 0.15)]
    memory_of = [0, 40_000, 60_000, 90_000, 50_000]
    with open(source) as file:
        header, *lines = file.read().splitlines()
    rows = []
    for line in lines:
        cells = line.split(",")
        genes = list(map(int, cells[: len(EDGES)]))
        latency = (1 + sum(latency_of[kind] for kind in genes)) * generator.gauss(1, 0.02)
        memory = 200_000 + sum(memory_of[kind] for kind in genes)
        error, params, flops = cells[len(EDGES) :]
        rows.append((genes, [error, f"{latency:.4f}", params, flops, str(memory)]))
    header = header.replace("error,", "error,latency,") + ",known:memory"
    write(path, header, rows)


def graphs(path, seed):
    generator, kinds, nodes, width = random.Random(1000 + seed), 5, 4, 5
    biases = [[generator.gauss(0, 1) for _ in range(width)] for _ in range(kinds)]
    weights = [matrix(generator, width, 1.2) for _ in range(kinds)]
    readout = [generator.gauss(0, 1) for _ in range(width)]
    params_of = [generator.choice([0, 500, 1000, 4000, 9000]) for _ in range(kinds)]
    flops_of = [cost * generator.uniform(50, 300) + generator.uniform(1e4, 2e5) for cost in params_of]
    capacity_of = [math.log1p(cost / 300) for cost in params_of]
    designs = list(itertools.product(*[range(kinds)] * nodes, *(range(node + 1) for node in range(nodes))))
    found = []
    for genes in designs:
        kinds_of, inputs = genes[:nodes], genes[nodes:]
        values, depths = [[1.0] * width], [0]
        for kind, source in zip(kinds_of, inputs):
            sums = (sum(w * x for w, x in zip(row, values[source])) for row in weights[kind])
            values.append([math.tanh(total + bias) for total, bias in zip(sums, biases[kind])])
            depths.append(depths[source] + 1)
        leaves = [node for node in range(1, nodes + 1) if node not in inputs]
        mean = [sum(values[leaf][at] for leaf in leaves) / len(leaves) for at in range(width)]
        quality = sum(a * b for a, b in zip(readout, mean))
        capacity = sum(capacity_of[kind] for kind in kinds_of) / nodes
        params = 20_000 + sum(params_of[kind] for kind in kinds_of) + len(leaves) * 700
        flops = 1e6 + sum(flops_of[kind] for kind in kinds_of) + len(leaves) * 6e4
        found.append((quality, capacity, max(depths), params, flops))
    mean, deviation = deviation_of([one[0] for one in found])
    rows = []
    for genes, (quality, capacity, depth, params, flops) in zip(designs, found):
        scaled = (quality - mean) / deviation
        error = 12 + 4 * math.exp(-capacity) + 1.5 * math.log1p(math.exp(-1.3 * scaled))
        error = error + 0.5 * abs(depth - 2.5) + generator.gauss(0, 0.15)
        rows.append((genes, [f"{error:.3f}", str(params), str(int(flops))]))
    columns = [f"node:{node}:{kinds}" for node in range(1, nodes + 1)]
    columns += [f"input:{node}:{node}" for node in range(1, nodes + 1)]
    write(path, ",".join(columns) + ",error,known:params,known:flops", rows)


def ordinal(path, seed):
    generator, counts = random.Random(2000 + seed), [7, 6, 6, 6, 5, 4]
    best = [generator.uniform(0.2, 0.8) for _ in counts]
    slopes = [generator.uniform(0.3, 3) for _ in counts]
    with_batch, with_width = generator.uniform(-1.5, 1.5), generator.uniform(-1, 1)
    rows = []
    for genes in itertools.product(*map(range, counts)):
        place = [gene / (count - 1) for gene, count in zip(genes, counts)]
        width, depth, kernel = 2 ** (3 + genes[1]), 1 + genes[2], 1 + 2 * genes[5]
        params = width * width * kernel * kernel * depth + 100 * width
        rate = place[0] - best[0] - 0.25 * with_batch * (place[3] - 0.5)
        decay = place[4] - best[4] - 0.2 * with_width * (place[1] - 0.5)
        error = 4 + 10 * (slopes[0] * rate * rate) * (1 + place[2]) + 3 * math.exp(-math.log(params) / 8)
        error = error + slopes[4] * decay**2 * 3 + (25 if rate > 0.55 else 0) + generator.gauss(0, 0.1)
        time = params * 1e-6 * (1 + 0.5 / (1 + genes[3])) * (1 + 0.05 * generator.gauss(0, 1)) + 0.1 * depth
        rows.append((genes, [f"{error:.3f}", f"{time:.5f}", str(params)]))
    columns = ",".join(f"integer:x{at}:{count}" for at, count in enumerate(counts))
    write(path, f"{columns},error,time,known:params", rows)


def macro(path, source):
    with open(source) as file:
        lines = list(csv.reader(file))[1:]
    rows = [(line[0], [f"{100 - sum(map(float, line[1:4])) / 3:.4f}", *line[4:6]]) for line in lines]
    columns = ",".join(f"category:l{at}:3" for at in range(8))
    write(path, f"{columns},error,known:params,known:flops", rows)


def spike(folder, repository):
    """Gene k is the k-th digit, to the base 5, of a network's number, least first."""
    found = []
    for number in range(5**6):
        log = pathlib.Path(repository, "data", "CIFAR10", str(number), "train_process.txt")
        lines = log.read_text().splitlines()
        after = {line.split(":")[0]: line.split(":")[1] for line in lines if ":" in line}
        rates = [float(rate) for rate in after["firing rate of layers"].split(",")]
        error = 100 - float(after["test accuracy"])
        firing = sum(rate for rate in rates if rate >= 0)
        genes = [number // 5**place % 5 for place in range(6)]
        found.append((genes, f"{error:.3f}", after["model parameters"].strip(), f"{firing:.3f}"))
    edges = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    columns = ",".join(f"edge:{a}-{b}:5" for a, b in edges)
    two = [(genes, [error, params]) for genes, error, params, _ in found]
    write(folder / "spike2.csv", f"{columns},error,known:params", two)
    three = [(genes, rest) for genes, *rest in found]
    write(folder / "spike3.csv", f"{columns},error,known:params,firing", three)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--macro", metavar="CSV")
    parser.add_argument("--spike", metavar="REPOSITORY")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    for seed in (1, 2, 3):
        cells(options.folder / f"cells{seed}.csv", seed)
        graphs(options.folder / f"graphs{seed}.csv", seed)
    for seed in (2, 3):
        five(options.folder / f"five{seed}.csv", seed, options.folder / f"cells{seed}.csv")
    for seed in (1, 2):
        ordinal(options.folder / f"ordinal{seed}.csv", seed)
    if options.macro:
        macro(options.folder / "macro.csv", options.macro)
    if options.spike:
        spike(options.folder, options.spike)


if __name__ == "__main__":
    main()
