"""A network that is a list of layers, of the micro or the mobile space, with its forward and backward
pass, in the order of docs/arithmetic.md."""

import numpy as np
from layers import PIXELS, Sum
from tensors import Tensors


class Layers:
    """The layers in the order of a forward pass. `output` are the numbers of the maps whose
    averages the linear layer reads, and `features` are their channels."""

    def __init__(self):
        self.layers = []
        self.output = []
        self.features = 0

    def used(self):
        """The numbers of the layers that the output depends on."""
        used = set(self.output)
        for number in reversed(range(len(self.layers))):
            if number in used:
                used.update(self.layers[number].reads)
        return sorted(used - {PIXELS})

    def _add(self, layer):
        """The number of the layer, and so of its output."""
        self.layers.append(layer)
        return len(self.layers) - 1


class LayerNetwork(Tensors):
    """The layers with their tensors in declaration order."""

    def __init__(self, operations, layers, classes, seed):
        super().__init__(operations, seed)
        self.layers, self.output, self.used = layers.layers, layers.output, layers.used()
        for number, layer in enumerate(self.layers):
            # A layer that is not used is declared but not trained.
            layer.declare(self, number in self.used)
        self.declare_linear(classes, layers.features)

    def paths(self):
        """The sides of sums that drop-path may drop."""
        layers = [self.layers[number] for number in self.used]
        return [path for layer in layers if isinstance(layer, Sum) for path in layer.paths]

    def gradients(self, images, labels, smoothing, factors):
        """Loss of a batch, and its gradient with respect to each trained tensor.

        `factors` are drop-path's: for each path one factor per image; empty if nothing is dropped.
        """
        step = LayerStep(self, factors)
        last = step.forward(images)
        features = np.concatenate([self.operations.average_pool(x) for x in last], axis=1)
        loss, step.found, by_features = self.classified(features, labels, smoothing)
        parts = np.split(by_features, len(last), axis=1)
        step.back([
            self.operations.average_pool_back(np.ascontiguousarray(part), x.shape)
            for part, x in zip(parts, last)
        ])  # fmt: skip
        return loss, step.found


class LayerStep:
    """One forward and backward pass."""

    def __init__(self, network, factors):
        self.network = network
        self.operations = network.operations
        self.factors = factors
        self.found = {}  # gradients, by tensor name

    def forward(self, images):
        """The maps that the linear layer reads."""
        maps = {PIXELS: images}
        for number in self.network.used:
            layer = self.network.layers[number]
            maps[number] = layer.forward(self, *[maps[read] for read in layer.reads])
        return [maps[number] for number in self.network.output]

    def back(self, gradients):
        """From the gradients of these maps."""
        by_map = dict(zip(self.network.output, gradients))
        for number in reversed(self.network.used):
            layer = self.network.layers[number]
            by_read = layer.back(self, by_map.pop(number))
            for read, gradient in zip(layer.reads, by_read):
                by_map[read] = by_map[read] + gradient if read in by_map else gradient
