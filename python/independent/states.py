"""Prints the digests of the state before the first step and after each step of a training.

    cc -std=c99 -O2 -ffp-contract=off -shared -fPIC *.c -lm -o /tmp/operations.so
    python states.py --operations /tmp/operations.so TRAINING.json

A line `STEP CHAIN STATE` for each, as docs/arithmetic.md defines them under "States of steps".
TRAINING.json has an architecture and a recipe, as naschain stores them; the images are those of the
self-test.
"""

import argparse
import json
import pathlib
import struct

import numpy as np
from blake3 import blake3
from operations import Operations
from training import VALIDATION_IMAGES, Recipe, states


def recipe_of(stored):
    """The recipe; options that are off are not stored."""
    options = {"label_smoothing": 0.0, "warmup_epochs": 0, "drop_path": 0.0, "nesterov": False}
    values = {**options, **stored, **stored["augmentation"]}
    assert values.pop("arithmetic") == 1
    assert values.pop("validation_images") == VALIDATION_IMAGES
    del values["augmentation"]
    return Recipe(**values)


def little_endian(values):
    return values.astype("<f4").tobytes()


def state_digest(step, chain, network):
    """BLAKE3 of the tag, the step, the chain, all tensors, and the velocities of all parameters."""
    parts = [b"naschain step state 2", struct.pack("<Q", step), chain]
    parts += [little_endian(values) for values in network.tensors.values()]
    for name, values in network.tensors.items():
        if ".running " not in name:
            velocity = network.velocities.get(name, np.zeros_like(values))
            parts.append(little_endian(velocity))
    return blake3(b"".join(parts))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operations", required=True, help="what cc made of the C files")
    parser.add_argument("training", type=pathlib.Path)
    arguments = parser.parse_args()
    training = json.loads(arguments.training.read_text())
    architecture, recipe = training["architecture"], recipe_of(training["recipe"])
    shape = [int(side) for side in architecture["input"].split("x")]
    operations = Operations(arguments.operations)
    for step, chain, network in states(operations, architecture, shape, recipe):
        print(step, chain.hex(), state_digest(step, chain, network).hex(), flush=True)


if __name__ == "__main__":
    main()
