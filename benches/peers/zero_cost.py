"""Scores the untrained networks of naschain-nsga/data/digits-curves.bin with PyTorch, to find out whether
such scores would help a search.

    python zero_cost.py GENOMASTER scores.csv
    cargo run --release -p naschain-nsga --example rungs -- naschain-nsga/data/digits-curves.bin --scores scores.csv

Run it in the root of the repository, with the packages of python/requirements.txt. Two scores, both from
random weights: NASWOT (Mellor et al., ICML 2021), the logarithm of the determinant of the kernel of the
ReLU's codes of 64 images; and SynFlow (Tanaka et al., NeurIPS 2020), the logarithm of the sum of
each weight's absolute value times its gradient, for an image of ones. Prints Spearman's rank correlation
of each score with the accuracy after 9 epochs (mean of three data orders), alone and given parameters and
FLOPs: of what remains of both ranks after a linear regression on the ranks of the costs.
"""

import gzip
import json
import pathlib
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy
import torch
from torch.nn import functional as F

sys.path.insert(0, "python")
from load_model import Network

CHANNELS, BITS, EPOCHS, IMAGES = 4, 14, 9, 64


def curves(path):
    """Genome and mean error after the last epoch of each network, with its parameters and FLOPs."""
    data = path.read_bytes()
    magic, orders, epochs, count = struct.unpack_from("<8sHHI", data)
    assert magic == b"NASCURV1" and epochs == EPOCHS, (magic, epochs)
    for row in range(count):
        at = 16 + row * (10 + orders * epochs * 4)
        number, params, flops = struct.unpack_from("<HII", data, at)
        curve = struct.unpack_from(f"<{2 * orders * epochs}H", data, at + 10)
        last = [curve[2 * (order + 1) * epochs - 1] for order in range(orders)]
        yield f"{number:0{BITS}b}", 100 - sum(last) / orders / 100, params, flops


def description(genomaster, genome):
    space = ["--phases", "2", "--nodes", "4", "--init-channels", str(CHANNELS), "--input", "1x8x8"]
    command = [genomaster, "inspect", "--json", *space, genome]
    architecture = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {"architecture": architecture, "normalisation": {"mean": [0.0], "deviation": [1.0]}}


def initialised(description):
    torch.manual_seed(1)
    network = Network(description)
    for module in network.modules():
        for name, weights in module.named_parameters(recurse=False):
            if weights.dim() == 4:
                torch.nn.init.kaiming_normal_(weights)
            elif name == "weight" and weights.dim() == 2:
                torch.nn.init.kaiming_uniform_(weights)
    return network


def naswot(network, images):
    codes, relu = [], F.relu

    def recorded(x, *_arguments, **_more):
        codes.append((x > 0).flatten(1).double())
        return relu(x)

    F.relu = recorded
    try:
        with torch.no_grad():
            network.train().normalised(images)
    finally:
        F.relu = relu
    kernel = sum(code @ code.T + (1 - code) @ (1 - code).T for code in codes)
    return float(torch.linalg.slogdet(kernel).logabsdet) if codes else 0.0


def synflow(network):
    network = network.double().eval()
    with torch.no_grad():
        for weights in network.parameters():
            weights.abs_()
    network.zero_grad()
    network.normalised(torch.ones(1, 1, 8, 8, dtype=torch.float64)).sum().backward()
    scored = (weights for weights in network.parameters() if weights.grad is not None)
    return float(torch.log(sum((weights * weights.grad).sum() for weights in scored)).detach())


def ranks(values):
    """Ranks, equal values at their mean rank."""
    _, places, counts = numpy.unique(values, return_inverse=True, return_counts=True)
    return (numpy.cumsum(counts) - (counts + 1) / 2)[places]


def correlation(one, other, given=()):
    design = numpy.stack([numpy.ones(len(one)), *map(ranks, given)], axis=1)

    def rest(values):
        return ranks(values) - design @ numpy.linalg.lstsq(design, ranks(values), rcond=None)[0]

    return numpy.corrcoef(rest(one), rest(other))[0, 1]


def main():
    genomaster, path = sys.argv[1:]
    torch.set_num_threads(1)
    rows = list(curves(pathlib.Path("naschain-nsga/data/digits-curves.bin")))
    with gzip.open("naschain-train/data/digits.csv.gz", "rt") as file:
        pixels = [list(map(float, line.split(",")))[:64] for line, _ in zip(file, range(IMAGES))]
    images = torch.tensor(pixels).reshape(IMAGES, 1, 8, 8)
    images = (images - images.mean()) / images.std()
    with ThreadPoolExecutor(2) as pool:
        descriptions = list(pool.map(lambda row: description(genomaster, row[0]), rows))
    scores = []
    for one in descriptions:
        # Each with a new network: a pass in training mode changes the statistics of batch norm.
        scores.append((naswot(initialised(one), images), synflow(initialised(one))))
    with open(path, "w") as file:
        for (genome, *_), values in zip(rows, scores):
            file.write(",".join([genome, *(f"{value:.6f}" for value in values)]) + "\n")
    accuracy = -numpy.array([error for _, error, *_ in rows])
    costs = [numpy.array(column) for column in list(zip(*rows))[2:]]
    for name, column in zip(["NASWOT", "SynFlow", "params", "FLOPs"], [*zip(*scores), *costs]):
        column = numpy.array(column)
        given = f"{correlation(column, accuracy, costs):.3f}" if name[0] in "NS" else "-"
        print(f"{name:<8} {correlation(column, accuracy):.3f}, given the costs {given}")


if __name__ == "__main__":
    main()
