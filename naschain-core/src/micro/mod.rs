//! The micro search space of NSGA-Net: the cells of a network.

mod cost;
mod graph;
mod network;

pub use network::{MicroArchitecture, MicroCell, MicroEdge, MicroOperation, Preprocessing};

use serde::{Deserialize, Serialize};

use crate::gene_space::check_sides;
use crate::{Error, GeneSpace, Network, Shape};

/// The largest number of blocks of a cell.
const MAX_BLOCKS: usize = 16;

/// The micro search space of NSGA-Net (Lu et al., GECCO 2019), whose cells are those of NASNet (Zoph et
/// al., CVPR 2018): a network is a stack of two kinds of cells, each of which has the same genes
/// wherever it stands.
///
/// A normal cell keeps the resolution; a reduction cell halves it and doubles the channels. The cells
/// after one third and two thirds of the layers are reduction cells. A cell reads the outputs of the two
/// cells before it, inputs 0 and 1. Each of its blocks applies an operation to each of two inputs, which
/// are those or earlier blocks (block k, counted from 0, is input k + 2), and adds the results. The
/// output of the cell are the blocks that no block reads, along channels.
///
/// The genes are whole numbers, those of the normal cell and then those of the reduction cell: for each
/// block the operation and the input on one side, then those on the other ([`GeneSpace::choices`]).
///
/// The fields define the meaning of the genes; another one would make another space. So the struct may
/// be written as a literal.
///
/// ```
/// use naschain_core::MicroSpace;
/// let space = MicroSpace {
///     blocks: 2,
///     layers: 6,
///     input: "3x32x32".parse()?,
///     init_channels: 16,
///     classes: 10,
/// };
/// // Both cells: a block of a 3x3 separable convolution and a skip connection, and a block that reads it.
/// let cell = [3, 0, 2, 1, 3, 2, 2, 0];
/// let network = space.decode(&[cell, cell].concat())?;
/// assert_eq!(network.cells[2].outputs, [3]);
/// let costs = network.costs()?;
/// assert_eq!((costs.params, costs.flops), (81_786, 17_838_720));
/// # Ok::<(), naschain_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MicroSpace {
    /// Blocks of each cell, 1 to 16.
    pub blocks: usize,
    /// Number of cells, 1 to 64.
    pub layers: usize,
    /// Shape of the input images. Channels are 1 to 4,096; height and width are multiples of what the
    /// reduction cells divide them by, up to 4,096.
    pub input: Shape,
    /// Channels of a block before the first reduction cell, 1 to 4,096.
    pub init_channels: usize,
    /// Number of classes, 2 to 65,536.
    pub classes: usize,
}

impl MicroSpace {
    /// Number of genes of one cell: four for each block. Blocks above the largest number of a valid space are
    /// not counted.
    pub fn cell_len(&self) -> usize {
        4 * self.counted_blocks()
    }

    fn counted_blocks(&self) -> usize {
        self.blocks.min(MAX_BLOCKS)
    }

    /// Number of genes: those of the normal and of the reduction cell.
    pub fn genome_len(&self) -> usize {
        2 * self.cell_len()
    }

    /// Whether the cell at this place, counted from 0, is a reduction cell.
    pub fn is_reduction(&self, layer: usize) -> bool {
        layer == self.layers / 3 || layer == 2 * self.layers / 3
    }
}

impl GeneSpace for MicroSpace {
    fn validate(&self) -> Result<(), Error> {
        Error::check_ranges(&[
            ("blocks", self.blocks, 1, MAX_BLOCKS),
            ("layers", self.layers, 1, 64),
            ("init-channels", self.init_channels, 1, 4096),
            ("classes", self.classes, 2, 65_536),
            ("input channels", self.input.channels, 1, 4096),
            ("input height", self.input.height, 1, 4096),
            ("input width", self.input.width, 1, 4096),
        ])?;
        // Halving an odd side would give the two halves of a factorised reduction different sizes.
        let reductions = (0..self.layers).filter(|layer| self.is_reduction(*layer));
        let factor = 1 << reductions.count();
        check_sides(self.input, factor, format_args!("{} layers", self.layers))
    }

    fn description(&self) -> String {
        format!("2 cells of {} blocks", self.blocks)
    }

    /// An operation has one of [`MicroOperation::ALL`], an input of block k one of k + 2.
    fn choices(&self) -> Vec<usize> {
        let block = |block: usize| [MicroOperation::ALL.len(), block + 2].repeat(2);
        let cell: Vec<usize> = (0..self.counted_blocks()).flat_map(block).collect();
        cell.repeat(2)
    }

    fn gene_names(&self) -> Vec<String> {
        let name = |gene: usize| {
            let cell = ["normal", "reduction"][gene / self.cell_len().max(1)];
            let (block, side) = (gene % self.cell_len() / 4 + 1, gene % 4 / 2 + 1);
            let what = ["operation", "input"][gene % 2];
            format!("{cell} cell, block {block}, side {side}, {what}")
        };
        (0..self.choices().len()).map(name).collect()
    }

    fn part_len(&self) -> usize {
        self.bit_len() / 2
    }

    fn network(&self, genes: &[u8]) -> Result<Network, Error> {
        Ok(Network::Micro(self.decode(genes)?))
    }

    /// Each block pools the block before it, so that the output of a cell is one block.
    fn smallest_genes(&self) -> Vec<u8> {
        let block = |block: usize| {
            // Block 0 reads input 0; block k reads block k - 1, which is input k + 1.
            let input = if block == 0 { 0 } else { block as u8 + 1 };
            [0, input, 0, input]
        };
        let cell: Vec<u8> = (0..self.counted_blocks()).flat_map(block).collect();
        cell.repeat(2)
    }

    /// Separable convolutions have most feature maps, and 7×1 and 1×7 convolutions most parameters; which
    /// counts for more depends on the cell, and so it does whether blocks read the inputs or each other.
    fn largest_genes(&self) -> Vec<Vec<u8>> {
        let place = |wanted: MicroOperation| {
            let place = MicroOperation::ALL.iter().position(|one| *one == wanted);
            place.unwrap_or(0) as u8
        };
        let operations = [MicroOperation::Separable7, MicroOperation::Convolution7].map(place);
        let cell = |operation: u8, reads_blocks: bool| -> Vec<u8> {
            let block = |block: usize| {
                let last = if reads_blocks { block as u8 } else { 0 };
                [operation, last, operation, last + 1]
            };
            (0..self.counted_blocks()).flat_map(block).collect()
        };
        let mut all = Vec::new();
        for [normal, reduction] in [[0, 0], [0, 1], [1, 0], [1, 1]] {
            for reads_blocks in [false, true] {
                let cells = [normal, reduction].map(|at: usize| cell(operations[at], reads_blocks));
                all.push(cells.concat());
            }
        }
        all
    }

    /// Every operation, on inputs and on blocks.
    fn genes_of_all_layers(&self) -> Vec<Vec<u8>> {
        let of = |operation: u8| {
            let block = |block: usize| [operation, block as u8 + 1, operation, 0];
            let cell: Vec<u8> = (0..self.counted_blocks()).flat_map(block).collect();
            cell.repeat(2)
        };
        (0..MicroOperation::ALL.len() as u8).map(of).collect()
    }

    /// The two sides of a block are added: the smaller pair of operation and input comes first. The genes of
    /// the normal cell are 0 where a network has none, as with one or two layers.
    fn canonical(&self, genes: &[u8]) -> Result<Vec<u8>, Error> {
        self.check(genes)?;
        let mut canonical = genes.to_vec();
        if (0..self.layers).all(|layer| self.is_reduction(layer)) {
            canonical[..self.cell_len()].fill(0);
        }
        for block in canonical.chunks_exact_mut(4) {
            if block[..2] > block[2..] {
                block.rotate_left(2);
            }
        }
        Ok(canonical)
    }
}

#[cfg(test)]
mod tests;
