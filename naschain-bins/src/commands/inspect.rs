//! `genomaster inspect`: shows the network that a genome encodes.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use naschain_core::{
    Activation, Costs, Genome, MicroArchitecture, MicroEdge, MobileArchitecture, MobileBlock,
    Network, Phase, SearchSpace, Shape,
};
use serde::Serialize;

use crate::artifacts::grouped::grouped;
use crate::artifacts::models::parse_genome;
use crate::cli::space_args::{SpaceArgs, SpaceDefaults};
use crate::journal::run_folder::read_run;

/// Sizes of the space unless flags say others.
const DEFAULTS: SpaceDefaults = SpaceDefaults {
    phases: 2,
    nodes: 4,
    blocks: 3,
    layers: 3,
    stages: 2,
    depth: 2,
    init_channels: 8,
};

/// Flags of the command.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// Folder of a run, whose search space is used instead of these flags
    #[arg(long, value_name = "DIR", conflicts_with_all = ["space", "phases", "nodes", "blocks", "layers", "stages", "depth", "input", "init_channels", "classes"])]
    pub run: Option<PathBuf>,
    #[command(flatten)]
    space: SpaceArgs,
    /// Input shape, channels x height x width
    #[arg(long, value_name = "CxHxW", default_value = "1x8x8")]
    pub input: Shape,
    /// Number of classes
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub classes: usize,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Bits of the genome; - may separate its parts
    pub genome: String,
}

#[derive(Serialize)]
struct InspectReport<'a> {
    genome: &'a Genome,
    params: u64,
    flops: u64,
    #[serde(flatten)]
    network: &'a Network,
}

/// Returns what the command prints.
pub fn inspect(args: &InspectArgs) -> Result<String> {
    let space = match &args.run {
        Some(dir) => read_run(dir)?.space,
        None => args.space.space(DEFAULTS, args.input, args.classes)?,
    };
    let genome = parse_genome(&space, &args.genome)?;
    let network = space.decode(&genome)?;
    let costs = network.costs()?;
    if args.json {
        let report = InspectReport {
            genome: &genome,
            params: costs.params,
            flops: costs.flops,
            network: &network,
        };
        return Ok(serde_json::to_string_pretty(&report)? + "\n");
    }
    Ok(text(&space, &genome, &network, costs))
}

fn text(space: &SearchSpace, genome: &Genome, network: &Network, costs: Costs) -> String {
    let mut text = format!("genome      {}\n", genome.grouped(space.part_len()));
    text += &format!("input       {}\n", network.input());
    match network {
        Network::Macro(architecture) => {
            for phase in &architecture.phases {
                text += &phase_text(phase);
            }
            for number in &architecture.left_out {
                text += &format!("phase {number}     left out: it has no connection\n");
            }
        }
        Network::Micro(network) => text += &cells_text(network),
        Network::Mobile(network) => text += &stages_text(network),
        _ => {}
    }
    text += &format!(
        "output      global average pooling, linear to {} classes\n",
        network.classes()
    );
    text += &format!("parameters  {}\n", grouped(costs.params));
    text += &format!("FLOPs       {}\n", grouped(costs.flops));
    text
}

/// The stem, and the first cell of each kind.
fn cells_text(network: &MicroArchitecture) -> String {
    let mut text = format!("stem        3x3 convolution -> {}\n", network.stem_channels);
    for (is_reduction, kind) in [(false, "normal"), (true, "reduction")] {
        let mut cells = network.cells.iter().enumerate();
        let Some((_, cell)) = cells.find(|(_, cell)| cell.is_reduction == is_reduction) else {
            continue;
        };
        let places = (1..).zip(&network.cells);
        let places = places.filter(|(_, cell)| cell.is_reduction == is_reduction);
        let places: Vec<String> = places.map(|(place, _)| place.to_string()).collect();
        text += &format!(
            "{kind:<11} cells {}; the first: {}\n",
            places.join(", "),
            cell.block
        );
        for (number, sides) in (1..).zip(&cell.blocks) {
            let [one, other] = sides.map(|edge| side_text(&edge));
            text += &format!("  block {number:<3} {one} + {other}\n");
        }
        let outputs: Vec<String> = cell.outputs.iter().map(|n| (n - 1).to_string()).collect();
        text += &format!("  output    block {}\n", outputs.join(", "));
    }
    text
}

/// Resolution, stem, and the blocks of each stage.
fn stages_text(network: &MobileArchitecture) -> String {
    let mut text = String::new();
    if network.resolution != network.input {
        text += &format!("resized to  {}\n", network.resolution);
    }
    text += &format!("stem        3x3 convolution -> {}\n", network.stem_channels);
    let stages = network.blocks.chunk_by(|one, next| one.stage == next.stage);
    for blocks in stages {
        text += &format!("stage {:<5} {}\n", blocks[0].stage, blocks[0].output);
        for (number, block) in (1..).zip(blocks) {
            text += &format!("  block {number:<3} {}\n", block_text(block));
        }
    }
    text + &format!("head        1x1 convolution -> {}\n", network.head_channels)
}

fn block_text(block: &MobileBlock) -> String {
    let mut text = format!(
        "{0}x{0} depthwise, {1} -> {2} -> {3}",
        block.kernel, block.input.channels, block.expanded, block.output.channels
    );
    if block.stride > 1 {
        text += &format!(", stride {}", block.stride);
    }
    if let Some(squeezed) = block.squeezed {
        text += &format!(", squeeze-and-excitation {squeezed}");
    }
    text += match block.activation {
        Activation::Relu => ", ReLU",
        Activation::HardSwish => ", h-swish",
    };
    if block.is_residual() {
        text += ", residual";
    }
    text
}

fn side_text(edge: &MicroEdge) -> String {
    let input = match edge.input {
        input @ (0 | 1) => format!("input {input}"),
        block => format!("block {}", block - 1),
    };
    format!("{} of {input}", edge.operation.name())
}

fn phase_text(phase: &Phase) -> String {
    let (number, entry) = (phase.number, &phase.entry);
    let kernel = entry.kernel;
    let note = if entry.applied {
        ""
    } else {
        " (not applied: the channels fit)"
    };
    let mut text = format!(
        "phase {number}     {}x{}x{}, entry {kernel}x{kernel} convolution {} -> {}{note}\n",
        phase.channels, phase.height, phase.width, entry.in_channels, phase.channels
    );
    for node in &phase.nodes {
        text += &format!(
            "  node {:<4} reads {}\n",
            node.number,
            sources(&node.inputs)
        );
    }
    text += &format!("  output    reads {}\n", sources(&phase.output));
    if !phase.dropped.is_empty() {
        let dropped: Vec<String> = phase.dropped.iter().map(usize::to_string).collect();
        text += &format!("  left out  node {}: not connected\n", dropped.join(", "));
    }
    text
}

fn sources(inputs: &[usize]) -> String {
    let name = |&input: &usize| match input {
        0 => "the phase's input".to_owned(),
        number => format!("node {number}"),
    };
    inputs.iter().map(name).collect::<Vec<_>>().join(", ")
}
