"""A network of the macro space with its forward and backward pass, in the order of
docs/arithmetic.md."""

import numpy as np
from tensors import Tensors


class Network(Tensors):
    """The decoded architecture with its tensors in declaration order."""

    def __init__(self, operations, architecture, input_channels, classes, seed):
        super().__init__(operations, seed)
        self.phases = architecture["phases"]
        for i, phase in enumerate(self.phases):
            self._declare_phase(i, phase)
        # A genome may have no phase; then the linear layer reads the means of the pixels.
        channels = self.phases[-1]["channels"] if self.phases else input_channels
        self.declare_linear(classes, channels)

    def _declare_phase(self, i, phase):
        channels, entry = phase["channels"], phase["entry"]
        # If it is not applied, the entry is counted but not trained.
        shape = (channels, entry["in_channels"], entry["kernel"], entry["kernel"])
        self.declare_convolution(f"{i}.entry", shape, entry["applied"])
        for node in phase["nodes"]:
            self._declare_join(f"{i}.{node['number']}.join", channels, node["inputs"])
            shape = (channels, channels, 3, 3)
            self.declare_convolution(f"{i}.{node['number']}.convolution", shape)
            self.declare_norm(f"{i}.{node['number']}.norm", channels)
        self._declare_join(f"{i}.output.join", channels, phase["output"])
        self.declare_norm(f"{i}.output.norm", channels)

    def _declare_join(self, name, channels, inputs):
        if len(inputs) > 1:
            self.declare_convolution(name, (channels, channels * len(inputs), 1, 1))

    def readers(self, i):
        """Name and inputs of each of a phase's readers: the nodes, then the output."""
        phase = self.phases[i]
        nodes = [(f"{i}.{node['number']}", node["inputs"]) for node in phase["nodes"]]
        return [*nodes, (f"{i}.output", phase["output"])]

    def paths(self):
        """The maps that drop-path may drop: nodes' outputs read by joins of several maps."""
        readers = [reader for i in range(len(self.phases)) for reader in self.readers(i)]
        joins = [(name, inputs) for name, inputs in readers if len(inputs) > 1]
        return [(name, number) for name, inputs in joins for number in inputs if number > 0]

    def gradients(self, images, labels, smoothing, factors):
        """Loss of a batch, and its gradient with respect to each trained tensor.

        `factors` are drop-path's: for each path one factor per image; empty if nothing is dropped.
        """
        step = Step(self, factors)
        x = images
        for i in range(len(self.phases)):
            x = step.phase(i, x)
        features = self.operations.average_pool(x)
        loss, step.found, by_features = self.classified(features, labels, smoothing)
        gradient = self.operations.average_pool_back(by_features, x.shape)
        for i in reversed(range(len(self.phases))):
            gradient = step.phase_back(i, gradient)
        return loss, step.found


class Step:
    """One forward and backward pass."""

    def __init__(self, network, factors):
        self.network = network
        self.operations = network.operations
        self.tensors = network.tensors
        self.factors = factors
        self.saved = {}  # inputs of the backward pass, by name
        self.found = {}  # gradients, by tensor name

    def phase(self, i, x):
        entry = self.network.phases[i]["entry"]
        if i > 0:
            shape = x.shape
            x, place = self.operations.max_pool(x)
            self.saved[f"{i}.pool"] = place, shape
        self.saved[f"{i}.entry"] = x
        if entry["applied"]:
            x = self.operations.convolution(x, self.tensors[f"{i}.entry"], padding=0)
        maps = {0: x}
        *nodes, (output, inputs) = self.network.readers(i)
        for number, (name, joined) in zip(self.node_numbers(i), nodes):
            x = self.join(name, joined, maps)
            self.saved[f"{name}.convolution"] = x
            x = self.operations.convolution(x, self.tensors[f"{name}.convolution"], padding=1)
            maps[number] = self.norm(name, x)
        return self.norm(output, self.join(output, inputs, maps))

    def node_numbers(self, i):
        return [node["number"] for node in self.network.phases[i]["nodes"]]

    def join(self, name, inputs, maps):
        """The only map, or the 1x1 convolution of several."""
        if len(inputs) == 1:
            return maps[inputs[0]]
        read = [
            self.operations.drop_path(maps[number], self.factors[name, number])
            if (name, number) in self.factors
            else maps[number]
            for number in inputs
        ]
        self.saved[f"{name}.join"] = np.concatenate(read, axis=1)
        weight = self.tensors[f"{name}.join"]
        return self.operations.convolution(self.saved[f"{name}.join"], weight, padding=0)

    def norm(self, name, z):
        tensors = self.network.norm_tensors(f"{name}.norm")
        y, self.saved[f"{name}.norm"] = self.operations.batch_norm(z, *tensors, relu=True)
        return y

    def phase_back(self, i, gradient):
        """The gradient with respect to the phase's input. The result for the first phase, whose
        input are the pixels, is not used."""
        *nodes, (output, inputs) = self.network.readers(i)
        by_map = {}
        self.join_back(output, inputs, self.norm_back(output, gradient), by_map)
        for number, (name, joined) in reversed([*zip(self.node_numbers(i), nodes)]):
            gradient = self.norm_back(name, by_map[number])
            gradient = self.convolution_back(f"{name}.convolution", gradient, padding=1)
            self.join_back(name, joined, gradient, by_map)
        gradient = by_map[0]
        if self.network.phases[i]["entry"]["applied"]:
            gradient = self.convolution_back(f"{i}.entry", gradient, 0, by_input=i > 0)
        if i > 0:
            gradient = self.operations.max_pool_back(gradient, *self.saved[f"{i}.pool"])
        return gradient

    def convolution_back(self, name, gradient, padding, by_input=True):
        x, weight = self.saved[name], self.tensors[name]
        by_weight = self.operations.convolution_by_weight(x, gradient, weight, padding)
        self.found[name] = by_weight
        return self.operations.convolution_by_input(gradient, weight) if by_input else None

    def norm_back(self, name, gradient):
        saved = self.saved[f"{name}.norm"]
        by_weight, by_bias, by_z = self.operations.batch_norm_back(gradient, saved)
        self.found |= {f"{name}.norm.weight": by_weight, f"{name}.norm.bias": by_bias}
        return by_z

    def join_back(self, name, inputs, gradient, by_map):
        """Folds the gradient with respect to each joined map into `by_map`."""
        if len(inputs) == 1:
            self.add_gradient(inputs[0], gradient, None, by_map)
            return
        joined = self.convolution_back(f"{name}.join", gradient, padding=0)
        for number, part in zip(inputs, np.split(joined, len(inputs), axis=1)):
            part = np.ascontiguousarray(part)
            self.add_gradient(number, part, self.factors.get((name, number)), by_map)

    def add_gradient(self, number, gradient, factor, by_map):
        if number in by_map and factor is not None:
            self.operations.drop_path_back(gradient, factor, by_map[number])
        elif number in by_map:
            by_map[number] = by_map[number] + gradient
        elif factor is not None:
            by_map[number] = self.operations.drop_path(gradient, factor)
        else:
            by_map[number] = gradient.copy()
