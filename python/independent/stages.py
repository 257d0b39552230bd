"""Genes and layers of a network of the mobile space, in the order of docs/arithmetic.md.

That page says which shapes the genes choose; their order and their bits are those of naschain-core
(mobile/mod.rs, gene_space.rs).
"""

from dataclasses import dataclass

from graph import Layers
from layers import (
    PIXELS,
    Average,
    Bias,
    Convolution,
    Depthwise,
    HardSigmoid,
    HSwish,
    Norm,
    Relu,
    Resized,
    Scaled,
    Sum,
)

KERNELS = (3, 5, 7)
EXPANSIONS = (2, 3, 4, 6)
QUARTERS = (3, 4, 5, 6)  # channels of a stage, of its usual number
EIGHTHS = (8, 7, 6, 5)  # sides that the network computes with, of those of the images
HEAD = 6


@dataclass
class Block:
    """An inverted residual block. `squeezed` is 0 without squeeze-and-excitation."""

    inputs: int
    expanded: int
    squeezed: int
    outputs: int
    kernel: int
    stride: int
    activation: type

    def is_residual(self):
        """Whether what it reads and what it makes of it have one shape."""
        return self.inputs == self.outputs and self.stride == 1


@dataclass
class Architecture:
    """`image` is the shape of the images, `sides` those that the network computes with."""

    image: list
    sides: list
    stem: int
    blocks: list


def choices(stages, depth):
    """How many values each gene has: of each stage, and of the resolution."""
    blocks = depth * [len(KERNELS), len(EXPANSIONS)]
    return [*(stages * [[depth, len(QUARTERS), 2, *blocks]]), [len(EIGHTHS)]]


def genes_of(genome, stages, depth):
    """The genes of each stage, and of the resolution, from bits, of which the highest is the first.
    Any number stands for a gene's value."""
    bits = iter(genome.replace("-", ""))

    def gene(values):
        number = 0
        for _ in range((values - 1).bit_length()):
            number = 2 * number + int(next(bits))
        return number % values

    genes = [[gene(values) for values in part] for part in choices(stages, depth)]
    assert next(bits, None) is None, genome
    return genes


def decoded(genome, stages, depth, image, init_channels):
    """The architecture of this genome."""
    *of_stages, (resolution,) = genes_of(genome, stages, depth)
    multiple = 2 ** (stages - 1)
    sides = [side * EIGHTHS[resolution] // 8 // multiple * multiple for side in image[1:]]
    blocks, channels = [], init_channels
    for stage, (last, width, squeezes, *of_blocks) in enumerate(of_stages):
        outputs = max(init_channels * 2**stage * QUARTERS[width] // 4, 1)
        for block in range(last + 1):
            kernel, expansion = of_blocks[2 * block : 2 * block + 2]
            expanded = channels * EXPANSIONS[expansion]
            blocks.append(
                Block(
                    inputs=channels,
                    expanded=expanded,
                    squeezed=-(-expanded // 4) if squeezes else 0,
                    outputs=outputs,
                    kernel=KERNELS[kernel],
                    stride=2 if block == 0 and stage > 0 else 1,
                    activation=HSwish if 2 * stage >= stages else Relu,
                )
            )
            channels = outputs
    return Architecture(image, [max(side, multiple) for side in sides], init_channels, blocks)


class Stages(Layers):
    """The layers of stem, blocks and head; `output` is the map of the head."""

    def __init__(self, architecture):
        super().__init__()
        channels, *sides = architecture.image
        x = PIXELS if sides == architecture.sides else self._add(Resized(architecture.sides))
        x = self._normed("stem", (architecture.stem, channels, 3, 3), x)
        x = self._add(HSwish(x))
        channels = architecture.stem
        for i, block in enumerate(architecture.blocks):
            x, channels = self._block(str(i), block, x), block.outputs
        self.features = HEAD * channels
        x = self._normed("head", (self.features, channels, 1, 1), x)
        self.output = [self._add(HSwish(x))]

    def _norm(self, name, channels, z):
        return self._add(Norm(f"{name}.norm", channels, z))

    def _normed(self, name, shape, x):
        """A 3x3 or 1x1 convolution, and batch norm."""
        z = self._add(Convolution(f"{name}.convolution", shape, [x]))
        return self._norm(name, shape[0], z)

    def _block(self, name, block, read):
        """Its output."""
        expanded, kernel = block.expanded, block.kernel
        x = self._normed(f"{name}.expansion", (expanded, block.inputs, 1, 1), read)
        x = self._add(block.activation(x))
        shape, steps = (expanded, 1, kernel, kernel), (block.stride, 1)
        x = self._add(Depthwise(f"{name}.depthwise.convolution", shape, *steps, x))
        x = self._norm(f"{name}.depthwise", expanded, x)
        x = self._add(block.activation(x))
        if block.squeezed > 0:
            x = self._squeezed_and_excited(name, expanded, block.squeezed, x)
        x = self._normed(f"{name}.projection", (block.outputs, expanded, 1, 1), x)
        if block.is_residual():
            x = self._add(Sum(name, [read, x], [False, True]))
        return x

    def _squeezed_and_excited(self, name, channels, squeezed, x):
        s = self._add(Average(x))
        s = self._biased(f"{name}.squeeze", (squeezed, channels, 1, 1), s)
        s = self._add(Relu(s))
        s = self._biased(f"{name}.excitation", (channels, squeezed, 1, 1), s)
        s = self._add(HardSigmoid(s))
        return self._add(Scaled(x, s))

    def _biased(self, name, shape, x):
        """A 1x1 convolution of a map of one pixel, and a bias."""
        z = self._add(Convolution(f"{name}.convolution", shape, [x]))
        return self._add(Bias(f"{name}.bias", shape[0], z))
