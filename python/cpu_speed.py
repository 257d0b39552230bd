"""Training throughput on one CPU thread in images per second: naschain and PyTorch.

    cargo build --release
    target/python/bin/python python/cpu_speed.py [--isa avx512|avx2] [--networks 10] [--rounds 3]
        [--space micro|mobile]

Draws random genomes with a fixed seed and trains each in turn with `miner speed` and in
PyTorch, once per memory format, `--rounds` times; both programs are limited to the same instruction
set. Prints one line per network with each program's best result, and writes them to a JSON file
(`--out`). Run it on an idle machine: other load affects the two programs unequally.
Requires torch; load_model.py in this folder builds the network.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import time

RELEASE = pathlib.Path(__file__).resolve().parent.parent / "target" / "release"
# Input, initial channels and nodes; each channel count doubles twice.
SHAPES = [
    ("1x28x28", 8, 3),
    ("1x28x28", 16, 3),
    ("3x32x32", 8, 4),
    ("3x32x32", 16, 3),
    ("1x8x8", 16, 4),
]


# Input, initial channels, blocks and cells of the micro space.
CELLS = [
    ("3x32x32", 8, 4, 5),
    ("3x32x32", 16, 4, 5),
    ("1x28x28", 8, 4, 5),
    ("3x32x32", 16, 5, 8),
    ("1x8x8", 16, 3, 3),
]
OPERATIONS = 9
# Input, initial channels, stages and the largest depth of the mobile space.
STAGES = [
    ("3x32x32", 16, 3, 3),
    ("3x32x32", 8, 4, 2),
    ("1x28x28", 8, 3, 3),
    ("3x32x32", 24, 3, 4),
    ("1x8x8", 16, 2, 3),
]


def gene(draw, choices):
    """The bits of a random gene; one with a single value has none."""
    bits = (choices - 1).bit_length()
    return format(draw.randrange(choices), f"0{bits}b") if bits > 0 else ""


def sizes(count):
    """Flags and genomes of random networks of the mobile space."""
    draw = random.Random(1)
    for index in range(count):
        shape, channels, stages, depth = STAGES[index % len(STAGES)]
        # A stage has a depth, one of four widths, squeeze-and-excitation or none, and for each block
        # one of three kernels and of four expansions; the last gene is one of four resolutions.
        choices = ([depth, 4, 2] + [3, 4] * depth) * stages + [4]
        flags = ["--space", "mobile", "--stages", str(stages), "--depth", str(depth)]
        yield shape, channels, flags, "".join(gene(draw, each) for each in choices)


def cells(count):
    """Flags and genomes of random networks of the micro space."""
    draw = random.Random(1)
    for index in range(count):
        shape, channels, blocks, layers = CELLS[index % len(CELLS)]
        bits = ""
        for block in [*range(blocks)] * 2:
            for choices in [OPERATIONS, block + 2] * 2:
                bits += gene(draw, choices)
        flags = ["--space", "micro", "--blocks", str(blocks), "--layers", str(layers)]
        yield shape, channels, flags, bits


def phases(count):
    """Flags and genomes of random networks of the macro space."""
    draw = random.Random(1)
    for index in range(count):
        shape, channels, nodes = SHAPES[index % len(SHAPES)]
        bits = nodes * (nodes - 1) // 2 + 1
        phases = ["".join(draw.choice("01") for _ in range(bits)) for _ in range(3)]
        # A phase without a connection would be omitted from the network.
        phases = [phase if "1" in phase[:-1] else "1" + phase[1:] for phase in phases]
        yield shape, channels, ["--nodes", str(nodes)], "-".join(phases)


def naschain_speed(args, shape, channels, flags, genome):
    command = [args.programs / "miner", "speed", "--json", "--isa", args.isa, *flags]
    command += ["--input", shape, "--init-channels", str(channels), genome]
    command += ["--batch-size", str(args.batch_size), "--steps", str(args.steps)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(run.stdout)["images_per_second"]


def torch_speed(args, architecture, layout):
    command = [sys.executable, __file__, "--step", layout, "--batch-size", str(args.batch_size)]
    command += ["--steps", str(args.steps)]
    limits = {}
    if args.isa == "avx2":
        limits = {
            "ATEN_CPU_CAPABILITY": "avx2",
            "DNNL_MAX_CPU_ISA": "AVX2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        }
    environment = {**os.environ, **limits, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    text = json.dumps(architecture)
    run = subprocess.run(
        command, check=True, capture_output=True, text=True, input=text, env=environment
    )
    return float(run.stdout)


def step(args):
    """Trains the network on standard input and prints PyTorch's images per second."""
    import torch

    import load_model

    torch.set_num_threads(1)
    torch.manual_seed(1)
    architecture = json.load(sys.stdin)
    network = load_model.Network({"architecture": architecture, "normalisation": {}}).train()
    layout = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}[args.step]
    network = network.to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), 0.025, momentum=0.9, weight_decay=3e-4)
    shape = tuple(map(int, architecture["input"].split("x")))
    x = torch.randn(args.batch_size, *shape).to(memory_format=layout)
    y = torch.randint(0, architecture["classes"], (args.batch_size,))

    def train():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network.normalised(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        loss.item()

    train()
    started = time.perf_counter()
    for _ in range(args.steps):
        train()
    print(args.batch_size * args.steps / (time.perf_counter() - started))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--isa", default="avx512")
    parser.add_argument("--space", choices=["macro", "micro", "mobile"], default="macro")
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--out", default="target/cpu_speed.json")
    parser.add_argument("--programs", type=pathlib.Path, default=RELEASE)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        return step(args)
    rows = []
    networks = {"macro": phases, "micro": cells, "mobile": sizes}[args.space]
    for shape, channels, flags, genome in networks(args.networks):
        command = [args.programs / "genomaster", "inspect", "--json", *flags]
        if args.space == "macro":
            command += ["--phases", "3"]
        command += ["--input", shape, "--init-channels", str(channels), "--classes", "10"]
        run = subprocess.run([*command, genome], check=True, capture_output=True, text=True)
        architecture = json.loads(run.stdout)
        architecture = architecture.get("architecture", architecture)
        speeds = {"naschain": [], "nchw": [], "channels_last": []}
        for _ in range(args.rounds):
            speeds["naschain"].append(naschain_speed(args, shape, channels, flags, genome))
            for layout in ("nchw", "channels_last"):
                speeds[layout].append(torch_speed(args, architecture, layout))
        best = {name: round(max(found), 1) for name, found in speeds.items()}
        ratio = best["naschain"] / max(best["nchw"], best["channels_last"])
        row = {"input": shape, "channels": channels, "genome": genome, "isa": args.isa}
        rows.append({**row, **best, "ratio": round(ratio, 3)})
        print(json.dumps(rows[-1]), flush=True)
    pathlib.Path(args.out).write_text(json.dumps(rows, indent=1) + "\n")


main()
