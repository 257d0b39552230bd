//! The network that the genes of the mobile space encode.

use serde::{Deserialize, Serialize};

use super::{BLOCK_GENES, EXPANSIONS, KERNELS, STAGE_GENES};
use crate::{Error, GeneSpace, MobileSpace, Shape};

/// The head has as many times the channels of the last block, as in MobileNetV3.
const HEAD_EXPANSION: usize = 6;
/// Squeeze-and-excitation reduces the channels by this factor.
const SQUEEZE: usize = 4;

/// The network that the genes of a [`MobileSpace`] encode.
///
/// The image is resized to `resolution` (bilinear, without antialiasing). The stem is a 3×3 convolution, batch
/// norm, h-swish; the head a 1×1 convolution, batch norm, h-swish, global average pooling and a linear layer
/// with bias.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MobileArchitecture {
    /// Shape of one input image.
    pub input: Shape,
    /// Number of outputs of the last layer.
    pub classes: usize,
    /// Shape of the image that the stem reads.
    pub resolution: Shape,
    /// Channels of the stem.
    pub stem_channels: usize,
    /// The blocks in order.
    pub blocks: Vec<MobileBlock>,
    /// Channels of the head.
    pub head_channels: usize,
}

/// An inverted residual block: a 1×1 convolution to more channels, batch norm, activation; a depthwise
/// convolution, batch norm, activation; squeeze-and-excitation; a 1×1 convolution to the channels of the
/// output, batch norm; and the input is added, if it has the same shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MobileBlock {
    /// The number of its stage, counted from 1.
    pub stage: usize,
    /// Shape of its input.
    pub input: Shape,
    /// Channels between the two 1×1 convolutions.
    pub expanded: usize,
    /// Rows of the depthwise convolution's kernel, which is square.
    pub kernel: usize,
    /// Stride of the depthwise convolution.
    pub stride: usize,
    /// Channels between the two 1×1 convolutions, with bias, of squeeze-and-excitation, if there is one.
    pub squeezed: Option<usize>,
    /// The function after the first two batch norms.
    pub activation: Activation,
    /// Shape of its output.
    pub output: Shape,
}

impl MobileBlock {
    /// Whether the input is added to the output.
    pub fn is_residual(&self) -> bool {
        self.input == self.output
    }
}

/// What follows a batch norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(x, 0)
    Relu,
    /// x · min(max(x + 3, 0), 6) ÷ 6
    HardSwish,
}

impl MobileSpace {
    /// Decodes genes into their network.
    ///
    /// # Errors
    /// As [`GeneSpace::check`].
    pub fn decode(&self, genes: &[u8]) -> Result<MobileArchitecture, Error> {
        self.check(genes)?;
        let resolution = self.resolution(genes[genes.len() - 1]);
        let stem_channels = self.init_channels;
        let mut input = Shape {
            channels: stem_channels,
            ..resolution
        };
        let mut blocks: Vec<MobileBlock> = Vec::new();
        for (stage, genes) in genes.chunks_exact(self.stage_len()).enumerate() {
            let (of_stage, of_blocks) = genes.split_at(STAGE_GENES);
            let depth = usize::from(of_stage[0]) + 1;
            let chosen = of_blocks.chunks_exact(BLOCK_GENES).take(depth);
            for (index, genes) in chosen.enumerate() {
                let stride = 1 + usize::from(index == 0 && stage > 0);
                let expanded = input.channels * EXPANSIONS[usize::from(genes[1])];
                let in_second_half = 2 * stage >= self.stages;
                let block = MobileBlock {
                    stage: stage + 1,
                    input,
                    expanded,
                    kernel: KERNELS[usize::from(genes[0])],
                    stride,
                    squeezed: (of_stage[2] == 1).then(|| expanded.div_ceil(SQUEEZE)),
                    activation: [Activation::Relu, Activation::HardSwish]
                        [usize::from(in_second_half)],
                    output: Shape {
                        channels: self.channels(stage, of_stage[1]),
                        height: input.height / stride,
                        width: input.width / stride,
                    },
                };
                input = block.output;
                blocks.push(block);
            }
        }
        Ok(MobileArchitecture {
            input: self.input,
            classes: self.classes,
            resolution,
            stem_channels,
            blocks,
            head_channels: HEAD_EXPANSION * input.channels,
        })
    }
}
