//! A search space of sizes: stages of inverted residual blocks.

mod cost;
mod graph;
mod network;

pub use network::{Activation, MobileArchitecture, MobileBlock};

use serde::{Deserialize, Serialize};

use crate::gene_space::check_sides;
use crate::{Error, GeneSpace, Network, Shape};

/// The largest number of blocks of a stage.
const MAX_DEPTH: usize = 8;
const MAX_STAGES: usize = 6;
/// Kernels of a block's depthwise convolution.
const KERNELS: [usize; 3] = [3, 5, 7];
/// By how much a block expands its channels.
const EXPANSIONS: [usize; 4] = [2, 3, 4, 6];
/// Channels of a stage, in quarters of its usual number.
const WIDTHS: [usize; 4] = [3, 4, 5, 6];
/// Height and width that the network computes with, in eighths of those of the images.
const RESOLUTIONS: [usize; 4] = [8, 7, 6, 5];
/// Genes of a stage before those of its blocks: depth, width, squeeze-and-excitation.
const STAGE_GENES: usize = 3;
/// Genes of a block: kernel, expansion.
const BLOCK_GENES: usize = 2;

/// The mobile space: networks of inverted residual blocks with squeeze-and-excitation as in MobileNetV3
/// (Howard et al., ICCV 2019), of which, as in Once-for-All (Cai et al., ICLR 2020), the genes choose the
/// resolution, and for each stage its depth and width, and for each block kernel and expansion.
///
/// A network is a stem, `stages` stages of 1 to `depth` blocks, and a head. The first block of each stage but
/// the first halves the resolution; the usual number of channels doubles from stage to stage. Blocks of
/// stages s, counted from 0, with 2s ≥ `stages` have h-swish where others have ReLU; so have the stem and the head.
///
/// The genes are whole numbers ([`GeneSpace::choices`]). For each stage:
///
/// - its depth: d stands for d + 1 blocks;
/// - its width: 3/4, 1, 5/4 or 3/2 of the usual channels, rounded down;
/// - 1 for squeeze-and-excitation in its blocks;
/// - for each of its `depth` blocks the kernel, 3, 5 or 7, and the expansion, 2, 3, 4 or 6. Those of blocks
///   that it does not have say nothing.
///
/// Then one for the resolution: 8, 7, 6 or 5 eighths of height and of width, rounded down to a multiple of what
/// the stages divide them by.
///
/// The fields define the meaning of the genes; another one would make another space. So the struct may
/// be written as a literal.
///
/// ```
/// use naschain_core::MobileSpace;
/// let space = MobileSpace {
///     stages: 2,
///     depth: 2,
///     input: "3x32x32".parse()?,
///     init_channels: 16,
///     classes: 10,
/// };
/// // One block of 16 channels; two of 40 channels with squeeze-and-excitation; full resolution.
/// let genes = [0, 1, 0, 0, 0, 0, 0, 1, 2, 1, 1, 3, 0, 2, 0];
/// let network = space.decode(&genes)?;
/// assert_eq!(network.blocks[2].output.to_string(), "40x16x16");
/// assert!(network.blocks[2].is_residual());
/// println!("{} parameters", network.costs()?.params);
/// # Ok::<(), naschain_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MobileSpace {
    /// Number of stages, 1 to 6.
    pub stages: usize,
    /// The largest number of blocks of a stage, 1 to 8.
    pub depth: usize,
    /// Shape of the input images. Channels are 1 to 4,096; height and width are multiples of what the
    /// stages divide them by, up to 4,096.
    pub input: Shape,
    /// The usual number of channels of the first stage, 1 to 1,024.
    pub init_channels: usize,
    /// Number of classes, 2 to 65,536.
    pub classes: usize,
}

impl MobileSpace {
    /// Number of genes of one stage.
    pub fn stage_len(&self) -> usize {
        STAGE_GENES + BLOCK_GENES * self.depth.min(MAX_DEPTH)
    }

    /// What the stages divide height and width by.
    pub fn reduction(&self) -> usize {
        1 << (self.stages.clamp(1, MAX_STAGES) - 1)
    }

    /// The shape of the image that the network computes with.
    fn resolution(&self, gene: u8) -> Shape {
        let reduction = self.reduction();
        let side = |side: usize| {
            let scaled = side * RESOLUTIONS[usize::from(gene)] / 8;
            (scaled / reduction * reduction).max(reduction)
        };
        Shape {
            channels: self.input.channels,
            height: side(self.input.height),
            width: side(self.input.width),
        }
    }

    /// The channels of a stage, counted from 0.
    fn channels(&self, stage: usize, gene: u8) -> usize {
        let usual = self.init_channels << stage;
        (usual * WIDTHS[usize::from(gene)] / 4).max(1)
    }

    /// Genes that are the same for all stages, and for all blocks.
    fn uniform(
        &self,
        [depth, width, squeeze]: [u8; 3],
        [kernel, expansion]: [u8; 2],
        resolution: u8,
    ) -> Vec<u8> {
        let mut stage = vec![depth, width, squeeze];
        stage.extend([kernel, expansion].repeat(self.depth.min(MAX_DEPTH)));
        let mut genes = stage.repeat(self.stages.min(MAX_STAGES));
        genes.push(resolution);
        genes
    }

    fn deepest(&self) -> u8 {
        self.depth.clamp(1, MAX_DEPTH) as u8 - 1
    }
}

impl GeneSpace for MobileSpace {
    fn validate(&self) -> Result<(), Error> {
        Error::check_ranges(&[
            ("stages", self.stages, 1, MAX_STAGES),
            ("depth", self.depth, 1, MAX_DEPTH),
            ("init-channels", self.init_channels, 1, 1024),
            ("classes", self.classes, 2, 65_536),
            ("input channels", self.input.channels, 1, 4096),
            ("input height", self.input.height, 1, 4096),
            ("input width", self.input.width, 1, 4096),
        ])?;
        let factor = self.reduction();
        check_sides(self.input, factor, format_args!("{} stages", self.stages))
    }

    fn description(&self) -> String {
        format!("{} stages of up to {} blocks", self.stages, self.depth)
    }

    /// Stages and blocks above the largest numbers of a valid space are not counted.
    fn choices(&self) -> Vec<usize> {
        let depth = self.depth.min(MAX_DEPTH);
        let mut stage = vec![depth, WIDTHS.len(), 2];
        stage.extend([KERNELS.len(), EXPANSIONS.len()].repeat(depth));
        let mut choices = stage.repeat(self.stages.min(MAX_STAGES));
        choices.push(RESOLUTIONS.len());
        choices
    }

    fn gene_names(&self) -> Vec<String> {
        let len = self.stage_len();
        let of_stage = ["depth", "width", "squeeze-and-excitation"];
        let name = |gene: usize| match gene % len {
            _ if gene / len == self.stages.min(MAX_STAGES) => "resolution".to_owned(),
            at if at < STAGE_GENES => format!("stage {}, {}", gene / len + 1, of_stage[at]),
            at => {
                let block = (at - STAGE_GENES) / BLOCK_GENES + 1;
                let what = ["kernel", "expansion"][(at - STAGE_GENES) % BLOCK_GENES];
                format!("stage {}, block {block}, {what}", gene / len + 1)
            }
        };
        (0..self.choices().len()).map(name).collect()
    }

    fn part_len(&self) -> usize {
        let resolution = RESOLUTIONS.len().ilog2() as usize;
        (self.bit_len() - resolution) / self.stages.clamp(1, MAX_STAGES)
    }

    fn network(&self, genes: &[u8]) -> Result<Network, Error> {
        Ok(Network::Mobile(self.decode(genes)?))
    }

    /// Genes that say nothing are 0: those of blocks that a stage does not have. Of the widths that give the
    /// same channels, and of the resolutions that give the same shape, the first one counts.
    fn canonical(&self, genes: &[u8]) -> Result<Vec<u8>, Error> {
        self.check(genes)?;
        let mut canonical = genes.to_vec();
        let first_alike = |gene: u8, alike: &dyn Fn(u8) -> bool| (0..gene).find(|g| alike(*g));
        let stages = canonical.chunks_exact_mut(self.stage_len());
        for (stage, genes) in stages.enumerate() {
            let blocks = usize::from(genes[0]) + 1;
            genes[STAGE_GENES + BLOCK_GENES * blocks..].fill(0);
            let channels = |gene| self.channels(stage, gene);
            let alike = |other: u8| channels(other) == channels(genes[1]);
            genes[1] = first_alike(genes[1], &alike).unwrap_or(genes[1]);
        }
        if let Some(last) = canonical.last_mut() {
            let alike = |other: u8| self.resolution(other) == self.resolution(*last);
            *last = first_alike(*last, &alike).unwrap_or(*last);
        }
        Ok(canonical)
    }

    fn smallest_genes(&self) -> Vec<u8> {
        self.uniform([0; 3], [0; 2], RESOLUTIONS.len() as u8 - 1)
    }

    fn largest_genes(&self) -> Vec<Vec<u8>> {
        let [width, expansion] = [WIDTHS.len(), EXPANSIONS.len()].map(|of| of as u8 - 1);
        let kernel = KERNELS.len() as u8 - 1;
        // With a smaller resolution there is a copy of the image, which is small.
        let of =
            |resolution| self.uniform([self.deepest(), width, 1], [kernel, expansion], resolution);
        vec![of(0), of(1)]
    }

    fn genes_of_all_layers(&self) -> Vec<Vec<u8>> {
        let of = |kernel: u8| self.uniform([self.deepest(), 1, 1], [kernel, 1], kernel);
        let mut all: Vec<Vec<u8>> = (0..KERNELS.len() as u8).map(of).collect();
        all.push(self.uniform([0, 1, 0], [0, 1], 0));
        all
    }
}

#[cfg(test)]
mod tests;
