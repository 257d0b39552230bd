//! `genomaster inspect`: shows the network that a genome encodes.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use naschain_core::{Architecture, Costs, Genome, MacroSpace, Phase, Shape};
use serde::Serialize;

use crate::artifacts::grouped::grouped;
use crate::artifacts::models::parse_genome;
use crate::journal::run_folder::read_run;

/// Flags of the command.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// Folder of a run, whose search space is used instead of --phases, --nodes, --input,
    /// --init-channels and --classes
    #[arg(long, value_name = "DIR", conflicts_with_all = ["phases", "nodes", "input", "init_channels", "classes"])]
    pub run: Option<PathBuf>,
    /// Number of phases of a network, 1 to 10
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub phases: usize,
    /// Number of nodes of a phase, 2 to 32
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub nodes: usize,
    /// Input shape, channels x height x width
    #[arg(long, value_name = "CxHxW", default_value = "1x8x8")]
    pub input: Shape,
    /// Channels of the first phase
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub init_channels: usize,
    /// Number of classes
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub classes: usize,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Bits of the genome; - may separate phases
    pub genome: String,
}

#[derive(Serialize)]
struct InspectReport<'a> {
    genome: &'a Genome,
    params: u64,
    flops: u64,
    #[serde(flatten)]
    architecture: &'a Architecture,
}

/// Returns what the command prints.
pub fn inspect(args: &InspectArgs) -> Result<String> {
    let space = match &args.run {
        Some(dir) => read_run(dir)?.space,
        None => MacroSpace {
            phases: args.phases,
            nodes: args.nodes,
            input: args.input,
            init_channels: args.init_channels,
            classes: args.classes,
        },
    };
    let genome = parse_genome(&space, &args.genome)?;
    let architecture = space.decode(&genome)?;
    let costs = architecture.costs()?;
    if args.json {
        let report = InspectReport {
            genome: &genome,
            params: costs.params,
            flops: costs.flops,
            architecture: &architecture,
        };
        return Ok(serde_json::to_string_pretty(&report)? + "\n");
    }
    Ok(text(&space, &genome, &architecture, costs))
}

fn text(space: &MacroSpace, genome: &Genome, architecture: &Architecture, costs: Costs) -> String {
    let mut text = format!("genome      {}\n", genome.grouped(space.phase_len()));
    text += &format!("input       {}\n", architecture.input);
    for phase in &architecture.phases {
        text += &phase_text(phase);
    }
    for number in &architecture.left_out {
        text += &format!("phase {number}     left out: it has no connection\n");
    }
    text += &format!(
        "output      global average pooling, linear to {} classes\n",
        architecture.classes
    );
    text += &format!("parameters  {}\n", grouped(costs.params));
    text += &format!("FLOPs       {}\n", grouped(costs.flops));
    text
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
