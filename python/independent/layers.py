"""The layers of networks of the micro and the mobile space, as docs/arithmetic.md defines them.

A layer reads maps and computes one. Maps have the number of the layer that computes them.
"""

import numpy as np

PIXELS = -1  # the number of the network's input


class Layer:
    """Without tensors. `reads` are the numbers of the maps that it reads."""

    def __init__(self, *reads):
        self.reads = reads
        self.saved = None  # what the backward pass needs

    def declare(self, network, trained):
        """Declares its tensors."""

    def forward(self, step, *maps):
        """Its output from the maps that it reads."""
        raise NotImplementedError

    def back(self, step, gradient):
        """The gradients with respect to the maps that it reads; adds those of its tensors to
        `step.found`."""
        raise NotImplementedError


class Relu(Layer):
    def forward(self, step, x):
        self.saved = x
        return step.operations.relu(x)

    def back(self, step, gradient):
        return [step.operations.relu_back(self.saved, gradient)]


class Norm(Layer):
    """Batch norm without ReLU."""

    def __init__(self, name, channels, reads):
        super().__init__(reads)
        self.name, self.channels = name, channels

    def declare(self, network, trained):
        network.declare_norm(self.name, self.channels, trained)

    def forward(self, step, z):
        tensors = step.network.norm_tensors(self.name)
        u, self.saved = step.operations.batch_norm(z, *tensors, relu=False)
        return u

    def back(self, step, gradient):
        by_weight, by_bias, by_z = step.operations.batch_norm_back(gradient, self.saved)
        step.found |= {f"{self.name}.weight": by_weight, f"{self.name}.bias": by_bias}
        return [by_z]


class Weighted(Layer):
    """A convolution of any kind; `shape` is that of its weight."""

    def __init__(self, name, shape, *reads):
        super().__init__(*reads)
        self.name, self.shape = name, shape

    def declare(self, network, trained):
        network.declare_convolution(self.name, self.shape, trained)

    def weight(self, step):
        return step.network.tensors[self.name]


class Convolution(Weighted):
    """3x3 with padding 1 or 1x1, of one map or of several as if they were concatenated."""

    def __init__(self, name, shape, reads):
        super().__init__(name, shape, *reads)
        self.padding = shape[2] // 2

    def forward(self, step, *maps):
        self.saved = np.concatenate(maps, axis=1)
        return step.operations.convolution(self.saved, self.weight(step), self.padding)

    def back(self, step, gradient):
        ops, weight = step.operations, self.weight(step)
        by_weight = ops.convolution_by_weight(self.saved, gradient, weight, self.padding)
        step.found[self.name] = by_weight
        if self.reads == (PIXELS,):
            return [None]
        by_maps = ops.convolution_by_input(gradient, weight)
        return [*map(np.ascontiguousarray, np.split(by_maps, len(self.reads), axis=1))]


class Depthwise(Weighted):
    """Depthwise convolution; the shape of its weight is [channels, 1, kernel, kernel]."""

    def __init__(self, name, shape, stride, dilation, reads):
        super().__init__(name, shape, reads)
        self.steps = stride, dilation

    def forward(self, step, x):
        self.saved = x
        return step.operations.depthwise(x, self.weight(step), *self.steps)

    def back(self, step, gradient):
        ops, weight = step.operations, self.weight(step)
        by_weight, by_x = ops.depthwise_back(self.saved, gradient, weight, *self.steps)
        step.found[self.name] = by_weight
        return [by_x]


class Line(Weighted):
    """Convolution of one row or one column, depending on the weight's shape."""

    def __init__(self, name, shape, stride, reads):
        super().__init__(name, shape, reads)
        self.stride = stride

    def forward(self, step, x):
        self.saved = x
        return step.operations.line(x, self.weight(step), self.stride)

    def back(self, step, gradient):
        ops, weight = step.operations, self.weight(step)
        by_weight, by_x = ops.line_back(self.saved, gradient, weight, self.stride)
        step.found[self.name] = by_weight
        return [by_x]


class MaxPool(Layer):
    """3x3 max pooling."""

    def __init__(self, stride, reads):
        super().__init__(reads)
        self.stride = stride

    def forward(self, step, x):
        out, place = step.operations.max_pool3(x, self.stride)
        self.saved = place, x.shape
        return out

    def back(self, step, gradient):
        return [step.operations.max_pool3_back(gradient, *self.saved)]


class MeanPool(Layer):
    """3x3 mean pooling."""

    def __init__(self, stride, reads):
        super().__init__(reads)
        self.stride = stride

    def forward(self, step, x):
        self.saved = x.shape
        return step.operations.mean_pool3(x, self.stride)

    def back(self, step, gradient):
        return [step.operations.mean_pool3_back(gradient, self.saved, self.stride)]


class EverySecond(Layer):
    """The pixels (2 row + shift, 2 column + shift)."""

    def __init__(self, shift, reads):
        super().__init__(reads)
        self.shift = shift

    def forward(self, step, x):
        self.saved = x.shape
        return np.ascontiguousarray(x[:, :, self.shift :: 2, self.shift :: 2])

    def back(self, step, gradient):
        by_x = np.zeros(self.saved, np.float32)
        by_x[:, :, self.shift :: 2, self.shift :: 2] = gradient
        return [by_x]


class Channels(Layer):
    """The channels of two maps, one after the other."""

    def forward(self, step, first, second):
        return np.concatenate([first, second], axis=1)

    def back(self, step, gradient):
        return [*map(np.ascontiguousarray, np.split(gradient, 2, axis=1))]


class Sum(Layer):
    """A sum of two sides, as of a block of the micro space. Drop-path may drop those of `paths`."""

    def __init__(self, name, reads, droppable):
        super().__init__(*reads)
        self.sides = [(name, side) for side in (0, 1)]
        self.paths = [path for path, may_drop in zip(self.sides, droppable) if may_drop]

    def factors(self, step, images):
        """A side without a factor has 1."""
        ones = np.ones(images, np.float32)
        return [step.factors.get(side, ones) for side in self.sides]

    def is_dropped(self, step):
        return any(path in step.factors for path in self.paths)

    def forward(self, step, a, b):
        if not self.is_dropped(step):
            return step.operations.sum(a, b)
        f, g = self.factors(step, len(a))
        return step.operations.sum_with_factors(a, f, b, g)

    def back(self, step, gradient):
        if not self.is_dropped(step):
            return [gradient, gradient]
        factors = self.factors(step, len(gradient))
        return [step.operations.drop_path(gradient, factor) for factor in factors]


class Resized(Layer):
    """The image with other sides."""

    def __init__(self, sides):
        super().__init__(PIXELS)
        self.sides = sides

    def forward(self, step, x):
        return step.operations.resized(x, *self.sides)

    def back(self, step, gradient):
        return [None]  # the pixels have no gradient, and that of the stem's input is not used


class HSwish(Layer):
    def forward(self, step, x):
        self.saved = x
        return step.operations.h_swish(x)

    def back(self, step, gradient):
        return [step.operations.h_swish_back(self.saved, gradient)]


class HardSigmoid(Layer):
    def forward(self, step, x):
        self.saved = x
        return step.operations.hard_sigmoid(x)

    def back(self, step, gradient):
        return [step.operations.hard_sigmoid_back(self.saved, gradient)]


class Average(Layer):
    """The global average of each channel, a map of one pixel."""

    def forward(self, step, x):
        self.saved = x.shape
        return step.operations.average_pool(x).reshape(*x.shape[:2], 1, 1)

    def back(self, step, gradient):
        return [step.operations.average_pool_back(gradient, self.saved)]


class Bias(Layer):
    """A bias of each channel of a map of one pixel."""

    def __init__(self, name, channels, reads):
        super().__init__(reads)
        self.name, self.channels = name, channels

    def declare(self, network, trained):
        network.declare_bias(self.name, self.channels, trained)

    def forward(self, step, x):
        return step.operations.add_bias(x, step.network.tensors[self.name])

    def back(self, step, gradient):
        step.found[self.name] = step.operations.bias_back(gradient)
        return [gradient]


class Scaled(Layer):
    """A map, each channel of which is multiplied by a number of another map, of one pixel."""

    def forward(self, step, x, s):
        self.saved = x, s
        return step.operations.scaled(x, s)

    def back(self, step, gradient):
        return step.operations.scaled_back(*self.saved, gradient)
