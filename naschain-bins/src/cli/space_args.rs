//! Flags of the search space.

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use naschain_core::{MacroSpace, MicroSpace, MobileSpace, SearchSpace, Shape};

/// The heading of the flags about networks.
const NETWORKS: &str = "The networks";

/// A search space by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SpaceName {
    /// Phases of 3x3 convolutions, connected in any way (NSGA-Net).
    #[default]
    Macro,
    /// A stack of cells of separable and dilated convolutions and pooling (NASNet, NSGA-Net).
    Micro,
    /// Stages of inverted residual blocks, whose sizes are chosen (MobileNetV3, Once-for-All).
    Mobile,
}

/// Which networks there are.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct SpaceArgs {
    /// Search space
    #[arg(long, value_name = "SPACE", value_enum, default_value_t = SpaceName::Macro, help_heading = NETWORKS)]
    pub(crate) space: SpaceName,
    /// Macro space: number of phases of a network, 1 to 10 [default: see --help]
    #[arg(long, value_name = "N", help_heading = NETWORKS)]
    pub(crate) phases: Option<usize>,
    /// Macro space: number of nodes of a phase, 2 to 32 [default: see --help]
    #[arg(long, value_name = "N", help_heading = NETWORKS)]
    pub(crate) nodes: Option<usize>,
    /// Micro space: number of blocks of a cell, 1 to 16 [default: see --help]
    #[arg(long, value_name = "N", help_heading = NETWORKS, hide_short_help = true)]
    pub(crate) blocks: Option<usize>,
    /// Micro space: number of cells, 1 to 64 [default: see --help]
    ///
    /// The cells after a third and after two thirds halve the resolution.
    #[arg(long, value_name = "N", help_heading = NETWORKS, hide_short_help = true)]
    pub(crate) layers: Option<usize>,
    /// Mobile space: number of stages, 1 to 6 [default: see --help]
    ///
    /// Each but the first halves the resolution.
    #[arg(long, value_name = "N", help_heading = NETWORKS, hide_short_help = true)]
    pub(crate) stages: Option<usize>,
    /// Mobile space: largest number of blocks of a stage, 1 to 8 [default: see --help]
    #[arg(long, value_name = "N", help_heading = NETWORKS, hide_short_help = true)]
    pub(crate) depth: Option<usize>,
    /// Channels of the first phase, cell or stage [default: see --help]
    ///
    /// They double where the resolution is halved.
    #[arg(long, value_name = "N", help_heading = NETWORKS)]
    pub(crate) init_channels: Option<usize>,
}

/// The largest number of stages up to this one that can halve these images.
fn fitting(stages: usize, input: Shape) -> usize {
    let halves = |stages: &usize| {
        let factor = 1 << (stages - 1);
        input.height.is_multiple_of(factor) && input.width.is_multiple_of(factor)
    };
    (1..=stages).rev().find(halves).unwrap_or(1)
}

/// The sizes of spaces whose flags are not set.
#[derive(Clone, Copy)]
pub(crate) struct SpaceDefaults {
    pub(crate) phases: usize,
    pub(crate) nodes: usize,
    pub(crate) blocks: usize,
    pub(crate) layers: usize,
    pub(crate) stages: usize,
    pub(crate) depth: usize,
    pub(crate) init_channels: usize,
}

impl SpaceArgs {
    /// The space for images of this shape and this number of classes.
    pub(crate) fn space(
        &self,
        defaults: SpaceDefaults,
        input: Shape,
        classes: usize,
    ) -> Result<SearchSpace> {
        let init_channels = self.init_channels.unwrap_or(defaults.init_channels);
        self.check_sizes()?;
        let space = match self.space {
            SpaceName::Macro => SearchSpace::Macro(MacroSpace {
                phases: self.phases.unwrap_or(defaults.phases),
                nodes: self.nodes.unwrap_or(defaults.nodes),
                input,
                init_channels,
                classes,
            }),
            SpaceName::Micro => SearchSpace::Micro(MicroSpace {
                blocks: self.blocks.unwrap_or(defaults.blocks),
                layers: self.layers.unwrap_or(defaults.layers),
                input,
                init_channels,
                classes,
            }),
            SpaceName::Mobile => SearchSpace::Mobile(MobileSpace {
                stages: self.stages.unwrap_or(fitting(defaults.stages, input)),
                depth: self.depth.unwrap_or(defaults.depth),
                input,
                init_channels,
                classes,
            }),
        };
        // Before anything is made in the size of its genomes.
        space.validate()?;
        Ok(space)
    }

    /// Refuses the sizes of other spaces.
    fn check_sizes(&self) -> Result<()> {
        let sizes = [
            (SpaceName::Macro, "--phases", self.phases),
            (SpaceName::Macro, "--nodes", self.nodes),
            (SpaceName::Micro, "--blocks", self.blocks),
            (SpaceName::Micro, "--layers", self.layers),
            (SpaceName::Mobile, "--stages", self.stages),
            (SpaceName::Mobile, "--depth", self.depth),
        ];
        for (space, flag, value) in sizes {
            let name = space.to_possible_value();
            let name = name.as_ref().map_or("", |name| name.get_name());
            ensure!(
                space == self.space || value.is_none(),
                "{flag} is a size of the {name} space; use it with --space {name}"
            );
        }
        Ok(())
    }
}
