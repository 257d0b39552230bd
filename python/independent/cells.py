"""The layers of a network of the micro space, in the order of docs/arithmetic.md."""

from graph import Layers
from layers import (
    PIXELS,
    Channels,
    Convolution,
    Depthwise,
    EverySecond,
    Line,
    MaxPool,
    MeanPool,
    Norm,
    Relu,
    Sum,
)

POOLS = {"max_pool3": MaxPool, "average_pool3": MeanPool}
# Kernel, dilation, and how often they are applied.
DEPTHWISE = {
    "separable3": (3, 1, 2),
    "separable5": (5, 1, 2),
    "separable7": (7, 1, 2),
    "dilated3": (3, 2, 1),
    "dilated5": (5, 2, 1),
}


def channels_of(shape):
    return int(shape.split("x")[0])


class Cells(Layers):
    """The layers of a stem and cells; `output` are the maps of the last cell."""

    def __init__(self, architecture):
        super().__init__()
        self.rectified = {}  # the ReLU of a map, by the map's number
        channels = architecture["stem_channels"]
        shape = (channels, channels_of(architecture["input"]), 3, 3)
        stem = self._add(Convolution("stem.convolution", shape, [PIXELS]))
        stem = [self._add(Norm("stem.norm", channels, stem))]
        before, self.output = stem, stem
        for i, cell in enumerate(architecture["cells"]):
            before, self.output = self.output, self._cell(i, cell, [before, self.output])
        self.features = sum(self._channels(number) for number in self.output)

    def _channels(self, number):
        layer = self.layers[number]
        if isinstance(layer, Norm):
            return layer.channels
        return self._channels(layer.reads[0])  # those of both sides of a sum

    def _relu(self, number):
        if number not in self.rectified:
            self.rectified[number] = self._add(Relu(number))
        return self.rectified[number]

    def _cell(self, i, cell, inputs):
        """The numbers of the maps of its output."""
        channels = channels_of(cell["block"])
        maps = []
        for k, joined in enumerate(inputs):
            name, shape = f"{i}.input {k}", (channels, channels_of(cell["inputs"][k]), 1, 1)
            if k == 0 and cell["preprocessing"] == "factorised_reduction":
                maps.append(self._reduction(name, shape, joined))
            else:
                joined = [self._relu(number) for number in joined]
                z = self._add(Convolution(f"{name}.convolution", shape, joined))
                maps.append(self._add(Norm(f"{name}.norm", channels, z)))
        for k, sides in enumerate(cell["blocks"]):
            name = f"{i}.block {k}"
            read = [
                self._side(f"{name}.side {s}", side, channels, maps[side["input"]])
                for s, side in enumerate(sides)
            ]
            droppable = [side["operation"] != "skip" or side["stride"] > 1 for side in sides]
            maps.append(self._add(Sum(name, read, droppable)))
        return [maps[number] for number in cell["outputs"]]

    def _reduction(self, name, shape, joined):
        """A factorised reduction of these maps to the shape's outputs."""
        outputs, inputs, *_ = shape
        joined = [self._relu(number) for number in joined]
        halves = []
        for shift in (0, 1):
            read = [self._add(EverySecond(shift, number)) for number in joined]
            half = Convolution(f"{name}.convolution {shift}", (outputs // 2, inputs, 1, 1), read)
            halves.append(self._add(half))
        z = self._add(Channels(*halves))
        return self._add(Norm(f"{name}.norm", outputs, z))

    def _side(self, name, side, channels, x):
        """The result of the operation of one side of a block."""
        operation, stride = side["operation"], side["stride"]
        if operation in POOLS:
            return self._add(POOLS[operation](stride, x))
        if operation == "skip":
            shape = (channels, channels, 1, 1)
            return x if stride == 1 else self._reduction(name, shape, [x])
        if operation == "convolution7":
            return self._lines(name, channels, stride, x)
        kernel, dilation, times = DEPTHWISE[operation]
        for half in range(times):
            shape = (channels, 1, kernel, kernel)
            steps = (stride if half == 0 else 1, dilation)
            x = self._depthwise(f"{name}.{half}", shape, steps, x)
        return x

    def _depthwise(self, name, shape, steps, x):
        channels = shape[0]
        x = self._add(Depthwise(f"{name}.depthwise", shape, *steps, self._relu(x)))
        x = self._add(Convolution(f"{name}.convolution", (channels, channels, 1, 1), [x]))
        return self._add(Norm(f"{name}.norm", channels, x))

    def _lines(self, name, channels, stride, x):
        x = self._add(Line(f"{name}.row", (channels, channels, 1, 7), stride, self._relu(x)))
        x = self._add(Line(f"{name}.column", (channels, channels, 7, 1), stride, x))
        return self._add(Norm(f"{name}.norm", channels, x))
