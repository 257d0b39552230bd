"""Rebuilds a NASChain network in PyTorch from an exported model file.

    genomaster export RUN --genome G --out model.safetensors
    python load_model.py model.safetensors photo.png

In your own program:

    network, description = load("model.safetensors")
    logits = network(pixels)    # [images, channels, height, width], from 0 (black) to 255 (white)

Requires torch, safetensors and blake3; the command above also requires pillow, to read image files.
"""

import json
import sys

import blake3
import torch
from safetensors import safe_open
from torch import nn
from torch.nn import functional as F


class Join(nn.Module):
    """Reads one map, or several that a 1x1 convolution reduces to `channels`."""

    def __init__(self, inputs, channels):
        super().__init__()
        self.inputs = inputs
        if len(inputs) > 1:
            self.weight = nn.Parameter(torch.empty(channels, len(inputs) * channels, 1, 1))

    def forward(self, maps):
        if len(self.inputs) == 1:
            return maps[self.inputs[0]]
        return F.conv2d(torch.cat([maps[number] for number in self.inputs], dim=1), self.weight)


class Node(nn.Module):
    """3x3 convolution, batch norm, ReLU."""

    def __init__(self, inputs, channels):
        super().__init__()
        self.input = Join(inputs, channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, maps):
        return F.relu(self.norm(self.conv(self.input(maps))))


class Phase(nn.Module):
    """An entry convolution, the nodes, and batch norm with ReLU at the end."""

    def __init__(self, phase):
        super().__init__()
        entry, channels = phase["entry"], phase["channels"]
        self.entry = nn.Conv2d(entry["in_channels"], channels, entry["kernel"], bias=False)
        # Not applied if the channels already match, but its parameters are counted.
        self.entry_applied = entry["applied"]
        self.nodes = nn.ModuleDict(
            {str(node["number"]): Node(node["inputs"], channels) for node in phase["nodes"]}
        )
        self.output = Join(phase["output"], channels)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        # maps[k] is the output of node number k; maps[0] is the phase's input.
        maps = {0: self.entry(x) if self.entry_applied else x}
        for number, node in self.nodes.items():
            maps[int(number)] = node(maps)
        return F.relu(self.norm(self.output(maps)))


class Network(nn.Module):
    """The whole network with normalisation; `normalised` is the trained part."""

    def __init__(self, description):
        super().__init__()
        architecture = description["architecture"]
        self.phases = nn.ModuleList(Phase(phase) for phase in architecture["phases"])
        planes = int(architecture["input"].split("x")[0])
        features = architecture["phases"][-1]["channels"] if self.phases else planes
        self.linear = nn.Linear(features, architecture["classes"])
        for name, values in description["normalisation"].items():
            values = torch.tensor(values, dtype=torch.float32).reshape(1, planes, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def forward(self, pixels):
        return self.normalised((pixels - self.mean) / self.deviation)

    def normalised(self, x):
        for index, phase in enumerate(self.phases):
            x = phase(F.max_pool2d(x, 2) if index > 0 else x)
        return self.linear(x.mean(dim=(2, 3)))


def load(path):
    """Returns the network with its weights, in evaluation mode, and its description.

    Raises ValueError for weights that are not finite, or do not have the digest of the description,
    which is the one that miners agreed on.
    """
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["naschain"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{path}: {name} has a value that is not finite")
    network = Network(description)
    network.load_state_dict(tensors)
    found = digest(network, tensors, description["digest_before"])
    if found != description["digest"]:
        raise ValueError(
            f"{path}: the weights have the digest {found}; "
            f"their description says {description['digest']}: one of the two was changed"
        )
    return network.eval(), description


def digest(network, tensors, before):
    """BLAKE3 of the digest chain before the last epoch and of all tensors in declaration order."""
    hasher = blake3.blake3(bytes.fromhex(before))
    for name in network.state_dict():
        if name in tensors:
            hasher.update(tensors[name].numpy().astype("<f4").tobytes())
    return hasher.hexdigest()


def main(model, image):
    from PIL import Image, ImageOps

    network, description = load(model)
    channels, height, width = map(int, description["architecture"]["input"].split("x"))
    photo = Image.open(image).convert("L" if channels == 1 else "RGB")
    photo = ImageOps.fit(photo, (width, height))
    pixels = torch.tensor(list(photo.tobytes()), dtype=torch.float32)
    pixels = pixels.reshape(1, height, width, channels).permute(0, 3, 1, 2)
    with torch.no_grad():
        probabilities = network(pixels)[0].softmax(dim=0)
    names = description["class_names"] or range(len(probabilities))
    for probability, name in sorted(zip(probabilities.tolist(), names), reverse=True)[:5]:
        # Class names are the model author's; control characters must not reach the terminal.
        name = str(name)
        print(f"{probability:8.4f}  {name if name.isprintable() else repr(name)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
