"""The C files as functions of NumPy arrays; this module computes shapes and allocates results.

Values are float32. New arrays are filled with NaN, so that unwritten elements are noticed.
"""

import ctypes

import numpy as np


def pointer(array):
    assert array.flags.c_contiguous and array.dtype in (np.float32, np.int32), array.dtype
    return array.ctypes.data_as(ctypes.c_void_p)


def empty(*shape):
    return np.full(shape, np.nan, np.float32)


class Operations:
    """The operations of the compiled library."""

    def __init__(self, library):
        self.c = ctypes.CDLL(library)
        for name in ("softmax_cross_entropy", "cos_pi"):
            getattr(self.c, name).restype = ctypes.c_double
        for name in ("sum_of_squares", "clipping_factor"):
            getattr(self.c, name).restype = ctypes.c_float

    def _call(self, name, *arguments):
        """Passes arrays by address and other arguments unchanged."""
        given = [pointer(a) if isinstance(a, np.ndarray) else a for a in arguments]
        return getattr(self.c, name)(*given)

    def convolution(self, x, weight, padding):
        """3x3 or 1x1 convolution, depending on the weight's shape."""
        (images, channels, height, width), outputs = x.shape, weight.shape[0]
        if weight.shape[2] == 1:
            out = empty(images, outputs, height, width)
            self._call("conv1x1", images, channels, height * width, outputs, x, weight, out)
            return out
        out = empty(images, outputs, height + 2 * padding - 2, width + 2 * padding - 2)
        self._call("conv3x3", *x.shape, outputs, padding, x, weight, out)
        return out

    def convolution_by_input(self, gradient, weight):
        (images, outputs, height, width), channels = gradient.shape, weight.shape[1]
        out = empty(images, channels, height, width)
        if weight.shape[2] == 1:
            sizes = (images, channels, height * width, outputs)
            self._call("conv1x1_by_input", *sizes, gradient, weight, out)
        else:
            self._call("conv3x3_by_input", *out.shape, outputs, gradient, weight, out)
        return out

    def convolution_by_weight(self, x, gradient, weight, padding):
        (images, channels, height, width), outputs = x.shape, weight.shape[0]
        out = empty(*weight.shape)
        if weight.shape[2] == 1:
            sizes = (images, channels, height * width, outputs)
            self._call("conv1x1_by_weight", *sizes, x, gradient, out)
        else:
            self._call("conv3x3_by_weight", *x.shape, outputs, padding, x, gradient, out)
        return out

    def batch_norm(self, z, weight, bias, running_mean, running_variance, relu):
        """Returns the result and the inputs of the backward pass."""
        (images, channels, height, width), out = z.shape, empty(*z.shape)
        mean, inverse, scale = (empty(channels) for _ in range(3))
        tensors = (z, weight, bias, running_mean, running_variance, mean, inverse, scale, out)
        self._call("batch_norm", images, channels, height * width, int(relu), *tensors)
        return out, (relu, z, bias, mean, inverse, scale)

    def batch_norm_back(self, gradient, saved):
        """Gradients with respect to weight, bias and z."""
        images, channels, height, width = gradient.shape
        relu, z, *rest = saved
        results = empty(channels), empty(channels), empty(*z.shape)
        sizes = (images, channels, height * width, int(relu))
        self._call("batch_norm_back", *sizes, z, gradient, *rest, *results)
        return results

    def max_pool(self, x):
        """Returns the result and, for each element, its index in the input map."""
        images, channels, height, width = x.shape
        out = empty(images, channels, height // 2, width // 2)
        place = np.full(out.shape, -1, np.int32)
        self._call("max_pool", images * channels, height, width, x, out, place)
        return out, place

    def max_pool_back(self, gradient, place, shape):
        images, channels, height, width = gradient.shape
        out = empty(*shape)
        sizes = (images * channels, shape[2] * shape[3], height * width)
        self._call("max_pool_back", *sizes, gradient, place, out)
        return out

    def average_pool(self, x):
        images, channels, height, width = x.shape
        out = empty(images, channels)
        self._call("average_pool", images * channels, height * width, x, out)
        return out

    def average_pool_back(self, gradient, shape):
        out = empty(*shape)
        maps, pixels = shape[0] * shape[1], shape[2] * shape[3]
        self._call("average_pool_back", maps, pixels, gradient, out)
        return out

    def linear(self, features, weight, bias):
        out = empty(len(features), len(weight))
        self._call("linear", *features.shape, len(weight), features, weight, bias, out)
        return out

    def linear_back(self, features, gradient, weight):
        """Gradients with respect to weight, bias and features."""
        (images, channels), classes = features.shape, len(weight)
        results = empty(*weight.shape), empty(classes), empty(*features.shape)
        sizes = (images, channels, 1, classes)
        self._call("conv1x1_by_weight", *sizes, features, gradient, results[0])
        self._call("linear_by_bias", images, classes, gradient, results[1])
        sizes = (images, channels, classes)
        self._call("linear_by_features", *sizes, gradient, weight, results[2])
        return results

    def drop_path(self, x, factor):
        out = empty(*x.shape)
        self._call("drop_path", len(x), x[0].size, x, factor, out)
        return out

    def drop_path_back(self, gradient, factor, total):
        """Adds to the gradients from a map's later readers."""
        self._call("drop_path_back", len(total), total[0].size, gradient, factor, total)

    def depthwise(self, x, weight, stride, dilation):
        images, channels, height, width = x.shape
        out = empty(images, channels, height // stride, width // stride)
        sizes = (*x.shape, *out.shape[2:], weight.shape[2])
        self._call("depthwise", *sizes, stride, dilation, x, weight, out)
        return out

    def depthwise_back(self, x, gradient, weight, stride, dilation):
        """Gradients with respect to weight and x."""
        by_weight, by_x = empty(*weight.shape), empty(*x.shape)
        sizes = (*x.shape, *gradient.shape[2:], weight.shape[2], stride, dilation)
        self._call("depthwise_by_weight", *sizes, x, gradient, by_weight)
        self._call("depthwise_by_input", *sizes, gradient, weight, by_x)
        return by_weight, by_x

    def line(self, x, weight, stride):
        """Convolution of one row or one column, depending on the weight's shape."""
        (images, _, height, width), down = x.shape, int(weight.shape[2] > 1)
        sides = (height // stride, width) if down else (height, width // stride)
        out = empty(images, weight.shape[0], *sides)
        self._call("line", down, stride, *x.shape, *out.shape[1:], x, weight, out)
        return out

    def line_back(self, x, gradient, weight, stride):
        """Gradients with respect to weight and x."""
        by_weight, by_x = empty(*weight.shape), empty(*x.shape)
        sizes = (int(weight.shape[2] > 1), stride, *x.shape, *gradient.shape[1:])
        self._call("line_by_weight", *sizes, x, gradient, by_weight)
        self._call("line_by_input", *sizes, gradient, weight, by_x)
        return by_weight, by_x

    def max_pool3(self, x, stride):
        """Returns the result and, for each element, its index in the input map."""
        images, channels, height, width = x.shape
        out = empty(images, channels, height // stride, width // stride)
        place = np.full(out.shape, -1, np.int32)
        sizes = (images * channels, height, width, *out.shape[2:], stride)
        self._call("max_pool3", *sizes, x, out, place)
        return out, place

    def max_pool3_back(self, gradient, place, shape):
        out = empty(*shape)
        sizes = (shape[0] * shape[1], shape[2] * shape[3], place[0, 0].size)
        self._call("max_pool3_back", *sizes, gradient, place, out)
        return out

    def mean_pool3(self, x, stride):
        images, channels, height, width = x.shape
        out = empty(images, channels, height // stride, width // stride)
        sizes = (images * channels, height, width, *out.shape[2:], stride)
        self._call("mean_pool3", *sizes, x, out)
        return out

    def mean_pool3_back(self, gradient, shape, stride):
        out = empty(*shape)
        sizes = (shape[0] * shape[1], *shape[2:], *gradient.shape[2:], stride)
        self._call("mean_pool3_back", *sizes, gradient, out)
        return out

    def relu(self, x):
        return self._of_each("relu", x)

    def relu_back(self, x, gradient):
        return self._of_each("relu_back", x, gradient)

    def sum(self, a, b):
        out = empty(*a.shape)
        self._call("sum", a.size, a, b, out)
        return out

    def sum_with_factors(self, a, f, b, g):
        out = empty(*a.shape)
        self._call("sum_with_factors", len(a), a[0].size, a, f, b, g, out)
        return out

    def resized(self, x, height, width):
        out = empty(*x.shape[:2], height, width)
        images, channels, *sides = x.shape
        self._call("resized", images * channels, *sides, height, width, x, out)
        return out

    def h_swish(self, x):
        return self._of_each("h_swish", x)

    def h_swish_back(self, x, gradient):
        return self._of_each("h_swish_back", x, gradient)

    def hard_sigmoid(self, x):
        return self._of_each("hard_sigmoid", x)

    def hard_sigmoid_back(self, x, gradient):
        return self._of_each("hard_sigmoid_back", x, gradient)

    def _of_each(self, name, *arrays):
        """A function of each number of these arrays."""
        out = empty(*arrays[0].shape)
        self._call(name, out.size, *arrays, out)
        return out

    def add_bias(self, x, bias):
        """The bias of each channel of maps of one pixel."""
        out = empty(*x.shape)
        self._call("add_bias", len(x), len(bias), x, bias, out)
        return out

    def bias_back(self, gradient):
        """Gradient with respect to the bias."""
        images, channels, _, _ = gradient.shape
        out = empty(channels)
        self._call("linear_by_bias", images, channels, gradient, out)
        return out

    def scaled(self, x, s):
        """Maps times the numbers `s` of their channels and images."""
        out = empty(*x.shape)
        images, channels, height, width = x.shape
        self._call("scaled", images * channels, height * width, x, s, out)
        return out

    def scaled_back(self, x, s, gradient):
        """Gradients with respect to x and s."""
        images, channels, height, width = x.shape
        by_s = empty(*s.shape)
        sizes = (images * channels, height * width)
        self._call("scaled_by_s", *sizes, gradient, x, by_s)
        return self.scaled(gradient, s), by_s

    def loss(self, logits, labels, smoothing):
        """The loss of a batch, and its gradient with respect to the logits."""
        out, smoothing = empty(*logits.shape), ctypes.c_double(smoothing)
        loss = self._call("softmax_cross_entropy", *logits.shape, logits, labels, smoothing, out)
        return loss, out

    def clipping_factor(self, gradients, clip):
        """The clipping factor for the gradients of all parameters, in declaration order."""
        sums = empty(len(gradients))
        for i, gradient in enumerate(gradients):
            outputs, inputs, rows, columns = (*gradient.shape, 1, 1, 1)[:4]
            if rows == 1:  # the taps of a convolution of one row
                rows, columns = columns, rows
            sums[i] = self._call("sum_of_squares", outputs, inputs, rows, columns, gradient)
        return self._call("clipping_factor", len(sums), sums, ctypes.c_float(clip))

    def sgd(self, parameter, velocity, gradient, factor, rate, recipe):
        """Updates parameter and velocity in place."""
        numbers = (factor, rate, recipe.momentum, recipe.weight_decay)
        settings = (*map(ctypes.c_float, numbers), int(recipe.nesterov))
        self._call("sgd", gradient.size, gradient, *settings, velocity, parameter)

    def cos_pi(self, x):
        return self._call("cos_pi", ctypes.c_double(x))
