"""Rebuilds a NASChain network in PyTorch from an exported model file.

    genomaster export RUN --genome G --out model.safetensors
    python load_model.py model.safetensors photo.png more/*.jpg

In your own program:

    network, description = load("model.safetensors")
    pixels = read_picture("photo.png", description["architecture"]["input"])
    logits = network(pixels[None])    # [images, channels, height, width], from 0 (black) to 255 (white)

Requires torch, numpy, safetensors and blake3; read_picture and the command above also pillow.
"""

import argparse
import json
import math
import sys
from collections import OrderedDict

import blake3
import numpy
import torch
from safetensors import safe_open
from torch import nn
from torch.nn import functional as F


def sizes(shape):
    """The numbers of a shape, a text such as 3x32x32: channels, height, width."""
    return [int(size) for size in shape.split("x")]


def convolution(inputs, outputs, kernel, stride=1, dilation=1, groups=1):
    """A convolution without bias; its padding keeps the resolution, which a stride divides."""
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)


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


class Phase(nn.Module):
    """An entry convolution, the nodes, and batch norm with ReLU at the end."""

    def __init__(self, phase):
        super().__init__()
        entry, channels = phase["entry"], phase["channels"]
        self.entry = nn.Conv2d(entry["in_channels"], channels, entry["kernel"], bias=False)
        # Not applied if the channels already match, but its parameters are counted.
        self.entry_applied = entry["applied"]
        self.nodes = nn.ModuleDict()
        for node in phase["nodes"]:
            layers = {"input": Join(node["inputs"], channels)}
            layers["conv"] = convolution(channels, channels, 3)
            layers.update(norm=nn.BatchNorm2d(channels), relu=nn.ReLU())
            self.nodes[str(node["number"])] = nn.Sequential(OrderedDict(layers))
        self.output = Join(phase["output"], channels)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        # maps[k] is the output of node number k; maps[0] is the phase's input.
        maps = {0: self.entry(x) if self.entry_applied else x}
        for number, node in self.nodes.items():
            maps[int(number)] = node(maps)
        return F.relu(self.norm(self.output(maps)))


def rectified(outputs, **convolutions):
    """ReLU, the convolutions, batch norm."""
    return nn.Sequential(OrderedDict(relu=nn.ReLU(), **convolutions, norm=nn.BatchNorm2d(outputs)))


def pointwise(inputs, outputs):
    return rectified(outputs, convolution=convolution(inputs, outputs, 1))


class FactorisedReduction(nn.Module):
    """ReLU, two 1x1 convolutions with stride 2, one of them shifted by a pixel, batch norm."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.halves = nn.ModuleList(convolution(inputs, outputs // 2, 1, 2) for _ in range(2))
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        x = F.relu(x)
        return self.norm(torch.cat([self.halves[0](x), self.halves[1](x[:, :, 1:, 1:])], dim=1))


def separable(channels, kernel, stride, dilation=1):
    depthwise = convolution(channels, channels, kernel, stride, dilation, groups=channels)
    return rectified(channels, depthwise=depthwise, pointwise=convolution(channels, channels, 1))


def convolution7(channels, stride):
    across = nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False)
    down = nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False)
    return rectified(channels, across=across, down=down)


def side(edge, channels):
    """The operation of one side of a block."""
    operation, stride = edge["operation"], edge["stride"]
    if operation.startswith("separable"):
        kernel = int(operation[-1])
        return nn.Sequential(separable(channels, kernel, stride), separable(channels, kernel, 1))
    if operation.startswith("dilated"):
        return separable(channels, int(operation[-1]), stride, dilation=2)
    if operation == "convolution7":
        return convolution7(channels, stride)
    if operation == "max_pool3":
        return nn.MaxPool2d(3, stride, 1)
    if operation == "average_pool3":
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    return nn.Identity() if stride == 1 else FactorisedReduction(channels, channels)


class Block(nn.Module):
    """The sum of two operations."""

    def __init__(self, edges, channels):
        super().__init__()
        self.sides = nn.ModuleList(side(edge, channels) for edge in edges)
        self.reads = [edge["input"] for edge in edges]

    def forward(self, maps):
        return sum(side(maps[number]) for side, number in zip(self.sides, self.reads))


class Cell(nn.Module):
    """A cell of the micro space: it reads the outputs of the two cells before it."""

    def __init__(self, cell):
        super().__init__()
        before, last = (sizes(shape)[0] for shape in cell["inputs"])
        channels = sizes(cell["block"])[0]
        reduced = cell["preprocessing"] == "factorised_reduction"
        first = (FactorisedReduction if reduced else pointwise)(before, channels)
        self.inputs = nn.ModuleList([first, pointwise(last, channels)])
        self.blocks = nn.ModuleList(Block(edges, channels) for edges in cell["blocks"])
        self.outputs = cell["outputs"]

    def forward(self, before, last):
        maps = [self.inputs[0](before), self.inputs[1](last)]
        for block in self.blocks:
            maps.append(block(maps))
        return torch.cat([maps[number] for number in self.outputs], dim=1)


def normed(inputs, outputs, kernel, activation=nn.Identity, stride=1, groups=1):
    """Convolution, batch norm, activation."""
    layers = {"convolution": convolution(inputs, outputs, kernel, stride, groups=groups)}
    layers.update(norm=nn.BatchNorm2d(outputs), activation=activation())
    return nn.Sequential(OrderedDict(layers))


class Squeeze(nn.Module):
    """Squeeze-and-excitation: scales each channel by what it makes of all channels' means."""

    def __init__(self, channels, squeezed):
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.restore = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        squeezed = F.relu(self.reduce(x.mean(dim=(2, 3), keepdim=True)))
        return x * F.hardsigmoid(self.restore(squeezed))


class Residual(nn.Sequential):
    """Adds its input to what its layers make of it."""

    def forward(self, x):
        return x + super().forward(x)


def inverted_residual(block):
    """A block of the mobile space."""
    inputs, outputs = sizes(block["input"])[0], sizes(block["output"])[0]
    wide, stride, squeezed = block["expanded"], block["stride"], block["squeezed"]
    activation = {"relu": nn.ReLU, "hard_swish": nn.Hardswish}[block["activation"]]
    layers = {"expand": normed(inputs, wide, 1, activation)}
    layers["depthwise"] = normed(wide, wide, block["kernel"], activation, stride, groups=wide)
    if squeezed is not None:
        layers["squeeze"] = Squeeze(wide, squeezed)
    layers["project"] = normed(wide, outputs, 1)
    kind = Residual if block["input"] == block["output"] else nn.Sequential
    return kind(OrderedDict(layers))


class Network(nn.Module):
    """The whole network with normalisation; `normalised` is the trained part."""

    def __init__(self, description):
        super().__init__()
        architecture = description["architecture"]
        planes = sizes(architecture["input"])[0]
        if "cells" in architecture:
            cells = architecture["cells"]
            self.stem = normed(planes, architecture["stem_channels"], 3)
            self.cells = nn.ModuleList(Cell(cell) for cell in cells)
            features = len(cells[-1]["outputs"]) * sizes(cells[-1]["block"])[0]
        elif "blocks" in architecture:
            self.resize = nn.Identity()
            if architecture["resolution"] != architecture["input"]:
                self.resize = nn.Upsample(sizes(architecture["resolution"])[1:], mode="bilinear")
            blocks, features = architecture["blocks"], architecture["head_channels"]
            self.stem = normed(planes, architecture["stem_channels"], 3, nn.Hardswish)
            self.blocks = nn.Sequential(*(inverted_residual(block) for block in blocks))
            self.head = normed(sizes(blocks[-1]["output"])[0], features, 1, nn.Hardswish)
        else:
            phases = architecture["phases"]
            self.phases = nn.ModuleList(Phase(phase) for phase in phases)
            features = phases[-1]["channels"] if phases else planes
        self.linear = nn.Linear(features, architecture["classes"])
        for name, values in description["normalisation"].items():
            values = torch.tensor(values, dtype=torch.float32).reshape(1, planes, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def forward(self, pixels):
        return self.normalised((pixels - self.mean) / self.deviation)

    def normalised(self, x):
        if hasattr(self, "cells"):
            before = x = self.stem(x)
            for cell in self.cells:
                before, x = x, cell(before, x)
        elif hasattr(self, "blocks"):
            x = self.head(self.blocks(self.stem(self.resize(x))))
        else:
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


def read_picture(path, shape):
    """Returns an image file as a float tensor of `shape`, a text such as 3x32x32.

    The largest centred part with the aspect ratio of the shape is resized to it, with the arithmetic
    of `genomaster predict`; transparency and orientation tags are ignored. The pixels are the same,
    but for the decoding of JPEG and lossy WebP, where decoders round differently: by up to 4 grey
    levels where colours are subsampled (4:2:0), which changes probabilities by up to 0.02.
    """
    from PIL import Image

    channels, height, width = map(int, shape.split("x"))
    with Image.open(path) as picture:
        if picture.mode.startswith("I"):
            # 16 bits of grey, as a PNG may have.
            pixels, white = numpy.asarray(picture, dtype=numpy.float64)[:, :, None], 65535
        else:
            grey = picture.mode in ("1", "L", "LA")
            mode = "L" if grey else "RGB"
            pixels = numpy.asarray(picture.convert(mode), dtype=numpy.float64)
            pixels, white = pixels.reshape(*pixels.shape[:2], -1), 255
    pixels = resize(crop(pixels, height, width), height, width, white)
    if white == 65535:
        pixels = numpy.floor((pixels + 128) / 257)
    if pixels.shape[2] == 3 and channels == 1:
        # The weights of ITU-R BT.709.
        pixels = numpy.floor(pixels @ numpy.array([2126, 7152, 722]) / 10000)[:, :, None]
    pixels = numpy.broadcast_to(pixels, (height, width, channels)).transpose(2, 0, 1)
    return torch.from_numpy(pixels.astype(numpy.float32))


def crop(pixels, height, width):
    """The largest centred part of rows x columns x channels with the aspect ratio width:height."""
    rows, columns = pixels.shape[:2]
    part_columns = min(max((rows * width + height // 2) // height, 1), columns)
    part_rows = min(max((columns * height + width // 2) // width, 1), rows)
    top, left = (rows - part_rows) // 2, (columns - part_columns) // 2
    return pixels[top : top + part_rows, left : left + part_columns]


def resize(pixels, height, width, white):
    """Linear interpolation with antialiasing of rows x columns x channels, to whole grey levels."""
    if pixels.shape[:2] == (height, width):
        return pixels
    vertical = interpolation(pixels.shape[0], height)
    horizontal = interpolation(pixels.shape[1], width)
    resized = numpy.einsum("yr,rcp->ycp", vertical, pixels)
    resized = numpy.einsum("xc,ycp->yxp", horizontal, resized)
    # Halves are rounded up; the sums have rounding errors far below 1e-6.
    return numpy.floor(numpy.clip(resized, 0, white) + 0.5 + 1e-9)


def interpolation(before, after):
    """Weights [after, before] of a triangle filter, wider than a pixel if the side shrinks."""
    ratio = before / after
    support = max(ratio, 1.0)
    weights = numpy.zeros((after, before))
    for index in range(after):
        centre = (index + 0.5) * ratio
        first = min(max(math.floor(centre - support), 0), before - 1)
        last = min(max(math.ceil(centre + support), first + 1), before)
        distance = numpy.abs(numpy.arange(first, last) - (centre - 0.5)) / support
        weights[index, first:last] = numpy.maximum(1 - distance, 0)
    return weights / weights.sum(axis=1, keepdims=True)


def printable(text):
    """Names come from the author of a model or of files; control characters must not reach the terminal."""
    text = str(text)
    return text if text.isprintable() else repr(text)


def main():
    parser = argparse.ArgumentParser(
        description="Classifies images with an exported model, in PyTorch."
    )
    parser.add_argument("model", help="safetensors file of `genomaster export`")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image file")
    parser.add_argument("--top", type=int, default=3, help="number of classes to print [%(default)s]")
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    options = parser.parse_args()
    if options.top < 1:
        parser.error(f"--top is {options.top}; it must be at least 1")
    try:
        network, description = load(options.model)
    except Exception as error:
        parser.exit(2, f"error: {printable(options.model)} cannot be loaded: {printable(error)}\n")
    names = description["class_names"] or range(description["architecture"]["classes"])
    answers, failed = [], 0
    for image in options.images:
        try:
            pixels = read_picture(image, description["architecture"]["input"])
        except Exception as error:
            # Decoders raise many kinds of errors for damaged files; the other images go on.
            failed += 1
            answers.append({"image": image, "error": str(error)})
            print(f"error: {printable(image)}: {printable(error)}", file=sys.stderr)
            continue
        with torch.no_grad():
            logits = network(pixels[None])[0].double()
        # Most probable first; the sort is stable, so among equals lower class numbers.
        ranked = logits.softmax(dim=0)[: len(names)].sort(descending=True, stable=True)
        top = [
            {"class": number, "name": str(names[number]), "probability": probability}
            for probability, number in zip(*(part[: options.top].tolist() for part in ranked))
        ]
        answers.append({"image": image, "top": top})
        if not options.json:
            classes = [f"{printable(one['name'])} {one['probability']:.2%}" for one in top]
            print(f"{printable(image)}: {', '.join(classes)}")
    if options.json:
        print(json.dumps(answers, indent=2))
    if failed:
        sys.exit(2)


if __name__ == "__main__":
    main()
