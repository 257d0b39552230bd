"""Counts parameters and FLOPs of networks of the mobile space with PyTorch and fvcore, and compares
them with naschain's.

    genomaster inspect --space mobile --json GENOME > networks.json
    python count_costs.py networks.json [MORE ...]

Reads JSON objects, one after the other, from files or standard input. load_model.py in this folder
builds each network from its description, so its decoding from the genome is not checked. Exits with
1 if a number differs, and with 2 if something cannot be counted.

Parameters are those that fvcore counts. For FLOPs, fvcore traces one image through the network in
evaluation mode, without the normalisation of pixels. These are its own counts: convolutions and the
linear layer (one per multiply-add, none for biases), batch norm (two per element) and bilinear
resizing (four per element of the output). It has none for the operations of ADDED, which count here
as naschain says that they do. Requires fvcore and the packages of load_model.py.
"""

import argparse
import json
import re
import sys
import warnings

import torch

# fvcore compiles and traces functions by torch.jit, which PyTorch will give up.
warnings.filterwarnings("ignore", message="`?torch.jit", category=FutureWarning)
from fvcore.nn import FlopCountAnalysis, parameter_count
from fvcore.nn.jit_handles import elementwise_flop_counter

from load_model import Network, printable, sizes

PER_INPUT = elementwise_flop_counter(1, 0)
PER_OUTPUT = elementwise_flop_counter(0, 1)
ADDED = {
    "aten::relu": PER_OUTPUT,
    "aten::hardswish": PER_OUTPUT,
    "aten::hardsigmoid": PER_OUTPUT,
    "aten::mean": PER_INPUT,  # global averages; fvcore counts adaptive_avg_pool2d so
    "aten::mul": PER_OUTPUT,  # the map that squeeze-and-excitation scales
    "aten::add": PER_OUTPUT,  # sums of a block's input and of what it makes of that
}


class Trained(torch.nn.Module):
    """A network that reads normalised pixels."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network.normalised(x)


def objects(text):
    """The JSON objects of a text, one after the other."""
    decoder, at = json.JSONDecoder(), 0
    while (start := re.compile(r"\S").search(text, at)) is not None:
        one, at = decoder.raw_decode(text, start.start())
        if not isinstance(one, dict):
            raise ValueError("a JSON object is expected")
        yield one


def counted(architecture):
    """Parameters, FLOPs, and the FLOPs of each kind of operation."""
    if "blocks" not in architecture:
        raise ValueError("it is not a network of the mobile space")
    network = Trained(Network({"architecture": architecture, "normalisation": {}})).eval()
    image = torch.zeros(1, *sizes(architecture["input"]))
    analysis = FlopCountAnalysis(network, image).set_op_handle(**ADDED)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    operations = analysis.by_operator()
    left_out = analysis.unsupported_ops()
    if left_out:
        raise ValueError(f"fvcore has no count of {', '.join(left_out)}")
    return parameter_count(network)[""], round(sum(operations.values())), operations


def compare(report):
    """Prints both programs' counts and returns whether they are equal."""
    # `inspect` writes the network's fields beside the costs.
    params, flops, operations = counted(report.get("network", report))
    name = printable(report["genome"])
    equal = True
    pairs = {"parameters": (report["params"], params), "FLOPs": (report["flops"], flops)}
    for what, (ours, theirs) in pairs.items():
        if ours != theirs:
            equal = False
            print(f"{name}: {ours} {what} in naschain, {theirs} in fvcore", file=sys.stderr)
    if equal:
        print(f"{name}: {params} parameters, {flops} FLOPs")
    else:
        parts = ", ".join(f"{part} {int(count)}" for part, count in sorted(operations.items()))
        print(f"FLOPs in fvcore: {parts}", file=sys.stderr)
    return equal


def main():
    parser = argparse.ArgumentParser(
        description="Counts parameters and FLOPs of networks of the mobile space with fvcore."
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="JSON of `genomaster inspect`")
    options = parser.parse_args()
    # One image is too little work to share.
    torch.set_num_threads(1)
    networks, different = 0, 0
    for name in options.files or ["-"]:
        try:
            text = sys.stdin.read() if name == "-" else open(name, encoding="utf-8").read()
            for report in objects(text):
                networks += 1
                different += not compare(report)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            parser.exit(2, f"error: {printable(name)}: {printable(repr(error))}\n")
    if networks == 0:
        parser.exit(2, "error: no network was read\n")
    if different:
        sys.exit(f"{different} of {networks} networks have other costs in fvcore")
    print(f"{networks} networks have the same costs in fvcore")


if __name__ == "__main__":
    main()
