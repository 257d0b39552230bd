//! The network that the genes of the micro space encode.

use serde::{Deserialize, Serialize};

use crate::{Error, GeneSpace, MicroSpace, Shape};

/// The network that the genes of a [`MicroSpace`] encode.
///
/// It begins with a stem, a 3×3 convolution (padding 1, no bias) and batch norm, and ends with global
/// average pooling and a linear layer with bias.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MicroArchitecture {
    /// Shape of one input image.
    pub input: Shape,
    /// Number of outputs of the last layer.
    pub classes: usize,
    /// Channels of the stem: three times those of the first cell's blocks, unless that one is a reduction
    /// cell.
    pub stem_channels: usize,
    /// The cells in order.
    pub cells: Vec<MicroCell>,
}

/// One cell. Before its blocks, both of its inputs are brought to its channels and to one resolution.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MicroCell {
    /// Whether it halves the resolution.
    pub is_reduction: bool,
    /// Shapes of the outputs of the cell before the last one, and of the last one; of the stem where
    /// there is none.
    pub inputs: [Shape; 2],
    /// What is done to input 0; input 1 passes [`Preprocessing::Convolution`].
    pub preprocessing: Preprocessing,
    /// The shape of each of its blocks.
    pub block: Shape,
    /// The two sides of each block, which are added.
    pub blocks: Vec<[MicroEdge; 2]>,
    /// The blocks that no block reads, numbered as inputs: block k is k + 2. Their concatenation is the
    /// output of the cell.
    pub outputs: Vec<usize>,
}

impl MicroCell {
    /// The shape of its output.
    pub fn output(&self) -> Shape {
        Shape {
            channels: self.outputs.len() * self.block.channels,
            ..self.block
        }
    }

    /// The shape of both inputs once they are preprocessed.
    pub fn preprocessed(&self) -> Shape {
        Shape {
            channels: self.block.channels,
            ..self.inputs[1]
        }
    }
}

/// How an input of a cell is brought to the cell's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preprocessing {
    /// ReLU, 1×1 convolution, batch norm.
    Convolution,
    /// ReLU, factorised reduction, batch norm, where the cell before was a reduction cell: two 1×1
    /// convolutions with stride 2, one of them shifted by a pixel, each to half of the channels.
    FactorisedReduction,
}

/// One side of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MicroEdge {
    /// What is applied to the input.
    pub operation: MicroOperation,
    /// 0 and 1 are the inputs of the cell, k + 2 is block k.
    pub input: usize,
    /// 2 on the inputs of a reduction cell, otherwise 1.
    pub stride: usize,
}

/// An operation of the micro space. Convolutions have no bias and keep the number of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MicroOperation {
    /// 3×3 max pooling.
    MaxPool3,
    /// 3×3 average pooling, which does not count the border.
    AveragePool3,
    /// The input itself; with stride 2 ReLU, factorised reduction, batch norm.
    Skip,
    /// Twice ReLU, 3×3 depthwise convolution, 1×1 convolution, batch norm.
    Separable3,
    /// The same with 5×5.
    Separable5,
    /// ReLU, 3×3 depthwise convolution of dilation 2, 1×1 convolution, batch norm.
    Dilated3,
    /// The same with 5×5.
    Dilated5,
    /// As [`MicroOperation::Separable3`], with 7×7.
    Separable7,
    /// ReLU, 1×7 convolution, 7×1 convolution, batch norm.
    Convolution7,
}

impl MicroOperation {
    /// All operations, in the order of the genes, which is that of NSGA-Net.
    pub const ALL: [MicroOperation; 9] = [
        MicroOperation::MaxPool3,
        MicroOperation::AveragePool3,
        MicroOperation::Skip,
        MicroOperation::Separable3,
        MicroOperation::Separable5,
        MicroOperation::Dilated3,
        MicroOperation::Dilated5,
        MicroOperation::Separable7,
        MicroOperation::Convolution7,
    ];

    /// The name that NSGA-Net and DARTS have for it.
    pub fn name(self) -> &'static str {
        match self {
            MicroOperation::MaxPool3 => "max_pool_3x3",
            MicroOperation::AveragePool3 => "avg_pool_3x3",
            MicroOperation::Skip => "skip_connect",
            MicroOperation::Separable3 => "sep_conv_3x3",
            MicroOperation::Separable5 => "sep_conv_5x5",
            MicroOperation::Dilated3 => "dil_conv_3x3",
            MicroOperation::Dilated5 => "dil_conv_5x5",
            MicroOperation::Separable7 => "sep_conv_7x7",
            MicroOperation::Convolution7 => "conv_7x1_1x7",
        }
    }
}

impl MicroSpace {
    /// Decodes genes into their network, as NSGA-Net does.
    ///
    /// # Errors
    /// As [`GeneSpace::check`].
    pub fn decode(&self, genes: &[u8]) -> Result<MicroArchitecture, Error> {
        self.check(genes)?;
        let (normal, reduction) = genes.split_at(self.cell_len());
        let stem = Shape {
            channels: 3 * self.init_channels,
            ..self.input
        };
        let mut cells: Vec<MicroCell> = Vec::new();
        let (mut inputs, mut channels) = ([stem, stem], self.init_channels);
        for layer in 0..self.layers {
            let is_reduction = self.is_reduction(layer);
            let genes = if is_reduction { reduction } else { normal };
            channels <<= usize::from(is_reduction);
            let follows_reduction = cells.last().is_some_and(|cell| cell.is_reduction);
            let cell = cell(genes, inputs, channels, (is_reduction, follows_reduction));
            inputs = [inputs[1], cell.output()];
            cells.push(cell);
        }
        Ok(MicroArchitecture {
            input: self.input,
            classes: self.classes,
            stem_channels: stem.channels,
            cells,
        })
    }
}

fn cell(
    genes: &[u8],
    inputs: [Shape; 2],
    channels: usize,
    (is_reduction, follows_reduction): (bool, bool),
) -> MicroCell {
    let edge = |genes: &[u8]| {
        let input = usize::from(genes[1]);
        MicroEdge {
            operation: MicroOperation::ALL[usize::from(genes[0])],
            input,
            stride: 1 + usize::from(is_reduction && input < 2),
        }
    };
    let blocks = genes
        .chunks_exact(4)
        .map(|genes| [edge(&genes[..2]), edge(&genes[2..])]);
    let blocks: Vec<[MicroEdge; 2]> = blocks.collect();
    let is_read = |number: &usize| blocks.iter().flatten().any(|edge| edge.input == *number);
    let numbers = 2..blocks.len() + 2;
    MicroCell {
        is_reduction,
        preprocessing: if follows_reduction {
            Preprocessing::FactorisedReduction
        } else {
            Preprocessing::Convolution
        },
        block: Shape {
            channels,
            height: inputs[1].height >> usize::from(is_reduction),
            width: inputs[1].width >> usize::from(is_reduction),
        },
        inputs,
        outputs: numbers.filter(|number| !is_read(number)).collect(),
        blocks,
    }
}
