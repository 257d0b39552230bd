"""Repeats the trainings of `miner selftest --random N` and gives the same digests.

    cc -std=c99 -O2 -ffp-contract=off -shared -fPIC *.c -lm -o /tmp/operations.so
    python training.py --operations /tmp/operations.so --genomaster PATH [--space SPACE] INDEX...

Prints a line `DIGEST INDEX` for each INDEX; PATH is the genomaster program. `--space` and
`--epochs` are those of the miner. The arithmetic is implemented in C from docs/arithmetic.md. What
that page does not define (random streams, initial weights, images and their augmentation, the list
of trainings) is implemented from the crates' source, in Python with NumPy. Genomes of the macro and
micro spaces are decoded by `genomaster inspect --json`: their decoding is not checked here. Those
of the mobile space are decoded by stages.py; only their FLOPs, on which the number of images depends,
are genomaster's.
"""

import argparse
import json
import subprocess
from dataclasses import dataclass, replace

import images
import numpy as np
import stages
from blake3 import blake3
from cells import Cells
from graph import LayerNetwork
from network import Network
from operations import Operations
from streams import Stream

CLASSES = 10
VALIDATION_IMAGES = 10
AFFORDABLE_FLOPS = 100_000_000
CELL_OPERATIONS = 9


@dataclass
class Recipe:
    """A recipe; the names are those of naschain's recipes."""

    seed: int
    batch_size: int
    train_images: int
    crop_padding: int
    horizontal_flip: bool
    cutout: int
    label_smoothing: float
    warmup_epochs: int
    drop_path: float
    nesterov: bool
    epochs: int = 2
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip_norm: float = 5.0


def drawn(space, index, genomaster):
    """Architecture, input shape and recipe of a training, as in synthetic_trainings.rs."""
    stream = Stream(1, "simulation", 1 + list(SPACES).index(space), index)
    flags, parts = SPACES[space](stream, index)
    genome = "-".join(parts)
    architecture = decoded(genomaster, {"--space": space, **flags}, genome)
    shape = [int(side) for side in flags["--input"].split("x")]
    recipe = drawn_recipe(stream, index, architecture["flops"])
    if space == "mobile":
        sizes = flags["--stages"], flags["--depth"], shape, flags["--init-channels"]
        architecture = stages.decoded(genome, *sizes)
    return architecture, shape, recipe


def of_phases(stream, index):
    """Space and genome of a network of the macro space."""
    phases, nodes = stream.between(1, 3), stream.between(2, 4)
    channels = [1, 3][stream.between(0, 1)]
    height, width = stream.between(6, 32), stream.between(6, 32)
    init_channels = stream.between(1, 24)
    if index % 8 == 7:
        init_channels = channels  # the first convolution is not applied
    phase_bits = nodes * (nodes - 1) // 2 + 1
    bits = [str(int(stream.between(0, 2) > 0)) for _ in range(phases * phase_bits)]
    parts = ["".join(bits[i : i + phase_bits]) for i in range(0, len(bits), phase_bits)]
    flags = {
        "--phases": phases,
        "--nodes": nodes,
        "--input": f"{channels}x{height}x{width}",
        "--init-channels": init_channels,
        "--classes": CLASSES,
    }
    return flags, parts


def of_cells(stream, _index):
    """Space and genome of a network of the micro space."""
    flags = drawn_sizes(stream, ("--blocks", "--layers"), 4)
    return flags, [cell_bits(stream, flags["--blocks"]) for _ in range(2)]


def cell_bits(stream, blocks):
    """The genes of one cell, for each block operation and input of its two sides, as bits."""
    choices = [n for block in range(blocks) for n in 2 * (CELL_OPERATIONS, block + 2)]
    return drawn_bits(stream, choices)


def of_stages(stream, _index):
    """Space and genome of a network of the mobile space."""
    flags = drawn_sizes(stream, ("--stages", "--depth"), 3)
    choices = stages.choices(flags["--stages"], flags["--depth"])
    return flags, [drawn_bits(stream, part) for part in choices]


def drawn_sizes(stream, names, most):
    """Two sizes from 1 to `most`, images whose sides can be halved twice, and initial channels, as flags."""
    flags = {name: stream.between(1, most) for name in names}
    channels = [1, 3][stream.between(0, 1)]
    height, width = 4 * stream.between(2, 5), 4 * stream.between(2, 5)
    flags["--input"] = f"{channels}x{height}x{width}"
    flags["--init-channels"] = stream.between(1, 12)
    return {**flags, "--classes": CLASSES}


# Streams are numbered in this order.
SPACES = {"macro": of_phases, "micro": of_cells, "mobile": of_stages}


def drawn_bits(stream, choices):
    """Random genes with these numbers of values, as bits; a gene of one value has none."""
    bits = ""
    for values in choices:
        gene, width = stream.below(values), (values - 1).bit_length()
        bits += f"{gene:0{width}b}" if width > 0 else ""
    return bits


def drawn_recipe(stream, index, flops):
    affordable = AFFORDABLE_FLOPS // max(flops, 1) // 2
    train_images = min(max(affordable, 5), 200)
    return Recipe(
        seed=index,
        batch_size=max(train_images * 2 // 3, 3),
        train_images=train_images,
        crop_padding=stream.between(0, 2),
        horizontal_flip=stream.between(0, 1) == 1,
        cutout=stream.between(0, 3),
        label_smoothing=[0.0, 0.1][stream.between(0, 1)],
        warmup_epochs=stream.between(0, 1),
        drop_path=[0.0, 0.3][stream.between(0, 1)],
        nesterov=stream.between(0, 1) == 1,
    )


def decoded(genomaster, flags, genome):
    flags = [f"{name}={value}" for name, value in flags.items()]
    command = [genomaster, "inspect", "--json", *flags, genome]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def linked(digest, network):
    """The next digest of the chain."""
    tensors = network.tensors.values()
    return blake3(digest + b"".join(values.astype("<f4").tobytes() for values in tensors))


def rate(operations, recipe, done, steps_per_epoch):
    """The learning rate after `done` steps: warm-up, then half a cosine."""
    warmup = recipe.warmup_epochs * steps_per_epoch
    if done < warmup:
        return recipe.learning_rate * (done + 1) / warmup
    part = (done - warmup) / (recipe.epochs * steps_per_epoch - warmup)
    return recipe.learning_rate * 0.5 * (1.0 + operations.cos_pi(part))


def update(network, gradients, recipe, learning_rate):
    """Clips the gradients and does an SGD step."""
    operations, names = network.operations, list(network.velocities)
    assert set(names) == set(gradients), set(names) ^ set(gradients)
    in_order = [gradients[name] for name in names]
    assert all(np.isfinite(gradient).all() for gradient in in_order)
    factor = operations.clipping_factor(in_order, recipe.clip_norm)
    for name, gradient in zip(names, in_order):
        parameter, velocity = network.tensors[name], network.velocities[name]
        operations.sgd(parameter, velocity, gradient, factor, learning_rate, recipe)


def network_of(operations, architecture, input_channels, seed):
    if isinstance(architecture, stages.Architecture):
        return LayerNetwork(operations, stages.Stages(architecture), CLASSES, seed)
    if "cells" in architecture:
        return LayerNetwork(operations, Cells(architecture), CLASSES, seed)
    return Network(operations, architecture, input_channels, CLASSES, seed)


def states(operations, architecture, shape, recipe):
    """Step number, digest chain and network before the first step and after each step."""
    pixels, labels = images.synthetic(recipe.train_images + VALIDATION_IMAGES, *shape)
    tables = images.normalisation(pixels)
    split = list(range(len(pixels)))
    Stream(recipe.seed, "split", 0, 0).shuffle(split)
    network = network_of(operations, architecture, shape[0], recipe.seed)
    paths = network.paths()
    digest = linked(blake3(b"naschain arithmetic 1"), network)
    steps, done = -(-recipe.train_images // recipe.batch_size), 0
    yield done, digest, network
    for epoch in range(1, recipe.epochs + 1):
        order = split[: recipe.train_images]
        Stream(recipe.seed, "shuffle", epoch, 0).shuffle(order)
        for start in range(0, len(order), recipe.batch_size):
            indices = order[start : start + recipe.batch_size]
            x = images.batch(pixels, tables, recipe, epoch, indices)
            factors = images.drop_path_factors(paths, recipe, epoch, indices)
            smoothing = recipe.label_smoothing
            loss, gradients = network.gradients(x, labels[indices], smoothing, factors)
            assert np.isfinite(loss), loss
            update(network, gradients, recipe, rate(operations, recipe, done, steps))
            done += 1
            if done == epoch * steps:
                digest = linked(digest, network)
            yield done, digest, network


def trained(operations, architecture, shape, recipe):
    """The digest of the training, as bytes."""
    for _, digest, _ in states(operations, architecture, shape, recipe):
        pass
    return digest


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operations", required=True, help="what cc made of the C files")
    parser.add_argument("--genomaster", required=True, help="naschain's program of this name")
    parser.add_argument("--space", choices=SPACES, default="macro")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("indices", type=int, nargs="+", metavar="INDEX")
    arguments = parser.parse_args()
    operations = Operations(arguments.operations)
    for index in arguments.indices:
        architecture, shape, recipe = drawn(arguments.space, index, arguments.genomaster)
        recipe = replace(recipe, epochs=arguments.epochs)
        digest = trained(operations, architecture, shape, recipe)
        print(digest.hex(), index, flush=True)


if __name__ == "__main__":
    main()
