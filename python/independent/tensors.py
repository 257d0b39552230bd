"""The tensors of a network with their initial values, and its linear layer, in the order of
docs/arithmetic.md."""

import numpy as np
from streams import Stream


class Tensors:
    """Tensors in declaration order. Those that are not trained have no velocity."""

    def __init__(self, operations, seed):
        self.operations = operations
        self.seed = seed
        self.tensors = {}  # by name, in declaration order
        self.velocities = {}  # of those that are trained

    def declare_convolution(self, name, shape, trained=True):
        self._declare_uniform(name, shape, shape[1] * shape[2] * shape[3], trained)

    def declare_norm(self, name, channels, trained=True):
        for part, value in (("weight", 1), ("bias", 0)):
            self._declare(f"{name}.{part}", np.full(channels, value, np.float32), trained)
        for part, value in (("running mean", 0), ("running variance", 1)):
            self._declare(f"{name}.{part}", np.full(channels, value, np.float32), False)

    def declare_bias(self, name, channels, trained=True):
        """That of a layer of its own, which is 0 initially; the linear layer's is not."""
        self._declare(name, np.zeros(channels, np.float32), trained)

    def norm_tensors(self, name):
        parts = ("weight", "bias", "running mean", "running variance")
        return [self.tensors[f"{name}.{part}"] for part in parts]

    def declare_linear(self, classes, features):
        self._declare_uniform("linear.weight", (classes, features), features)
        self._declare_uniform("linear.bias", (classes,), features)

    def classified(self, features, labels, smoothing):
        """Loss of a batch, gradients of the linear layer, and that with respect to the features."""
        ops, weight = self.operations, self.tensors["linear.weight"]
        logits = ops.linear(features, weight, self.tensors["linear.bias"])
        loss, gradient = ops.loss(logits, labels, smoothing)
        by_weight, by_bias, by_features = ops.linear_back(features, gradient, weight)
        return loss, {"linear.weight": by_weight, "linear.bias": by_bias}, by_features

    def _declare_uniform(self, name, shape, fan_in, trained=True):
        """Uniform in +-1/sqrt(fan_in), from the stream of the tensor's position in order."""
        stream = Stream(self.seed, "weights", 0, len(self.tensors))
        units = np.array([stream.unit_f32() for _ in range(np.prod(shape))], np.float32)
        bound = np.float32(1) / np.sqrt(np.float32(fan_in))
        values = (np.float32(2) * units - np.float32(1)) * bound
        self._declare(name, values.reshape(shape), trained)

    def _declare(self, name, values, trained):
        assert name not in self.tensors, name
        self.tensors[name] = values
        if trained:
            self.velocities[name] = np.zeros_like(values)
