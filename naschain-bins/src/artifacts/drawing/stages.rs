//! A network of the mobile space as a picture: each stage is a column of its blocks, in which data flow
//! downwards.

use naschain_core::{Activation, MobileArchitecture, MobileBlock};

use crate::artifacts::drawing::marks::{line, rect, shown, text};

/// Width of a stage's column, and how far the middle of its first block is below its top.
const PANEL: (f64, f64) = (220.0, 78.0);
/// Distance between the middles of blocks.
const ROW: f64 = 76.0;
/// Distance between columns, and of the first from the edges.
const SPACE: f64 = 40.0;
const TOP: f64 = 72.0;
const BLOCK: (f64, f64) = (160.0, 48.0);
/// How far the line of a residual connection is from the middle of its column.
const BESIDE: f64 = 96.0;

/// Width, height and content of the picture.
pub(super) fn body(network: &MobileArchitecture) -> (f64, f64, String) {
    let stages = network.blocks.chunk_by(|one, next| one.stage == next.stage);
    let stages: Vec<&[MobileBlock]> = stages.collect();
    let deepest = stages.iter().map(|blocks| blocks.len()).max().unwrap_or(0);
    let height = PANEL.1 + ROW * (deepest as f64 - 1.0) + BLOCK.1 / 2.0 + 20.0;
    let mut drawn = String::new();
    let mut left = SPACE;
    for blocks in &stages {
        drawn += &column(blocks, left, height);
        let right = left + PANEL.0;
        if left > SPACE {
            let middle = TOP + height / 2.0;
            drawn += &line(&[(left - SPACE, middle), (left, middle)], "");
        }
        left = right + SPACE;
    }
    let resized = if network.resolution == network.input {
        String::new()
    } else {
        format!(" resized to {}", shown(network.resolution))
    };
    let input = shown(network.input);
    let stem = format!(
        "image {input}{resized}, 3×3 convolution to {} channels",
        network.stem_channels
    );
    let head = format!(
        "1×1 convolution to {} channels, average, linear, {} classes",
        network.head_channels, network.classes
    );
    let width = left.max(520.0);
    drawn += &text(width / 2.0, 26.0, &stem, "text");
    drawn += &text(width / 2.0, 48.0, &format!("then {head}"), "text small");
    (width, TOP + height + SPACE, drawn)
}

fn column(blocks: &[MobileBlock], left: f64, height: f64) -> String {
    let middle = left + PANEL.0 / 2.0;
    let mut drawn = rect((middle, TOP + height / 2.0), (PANEL.0, height), "phase", "");
    let caption = format!("stage {}: {}", blocks[0].stage, shown(blocks[0].output));
    drawn += &text(middle, TOP + 22.0, &caption, "text");
    for (row, block) in blocks.iter().enumerate() {
        let y = TOP + PANEL.1 + ROW * row as f64;
        let (above, below) = (y - BLOCK.1 / 2.0, y + BLOCK.1 / 2.0);
        let from = match row {
            0 => TOP + 28.0,
            _ => above - ROW + BLOCK.1,
        };
        drawn += &line(&[(middle, from), (middle, above)], "");
        if block.is_residual() {
            let beside = middle + BESIDE;
            let edge = middle + BLOCK.0 / 2.0;
            let (from, to) = (above - 10.0, below - 12.0);
            let corners = [(middle, from), (beside, from), (beside, to), (edge, to)];
            let title = format!("block {}: its input is added to its output", row + 1);
            drawn += &line(&corners, &title);
        }
        let class = ["node", "end"][usize::from(row + 1 == blocks.len())];
        drawn += &rect((middle, y), BLOCK, class, &title(block));
        let kernel = format!("{0}×{0}, {1} channels", block.kernel, block.expanded);
        drawn += &text(middle, y - 4.0, &kernel, "text small");
        drawn += &text(middle, y + 12.0, &below_kernel(block), "text small");
    }
    drawn
}

/// The function, and what is special of a block.
fn below_kernel(block: &MobileBlock) -> String {
    let stride = ["", ", stride 2"][usize::from(block.stride > 1)];
    let squeeze = ["", ", SE"][usize::from(block.squeezed.is_some())];
    format!("{}{squeeze}{stride}", name(block.activation))
}

fn title(block: &MobileBlock) -> String {
    let squeeze = block.squeezed.map_or(String::new(), |squeezed| {
        format!("squeeze-and-excitation with {squeezed} channels, ")
    });
    let sum = ["", ", plus the input"][usize::from(block.is_residual())];
    format!(
        "{}, {}: 1×1 convolution to {expanded} channels, {kernel}×{kernel} depthwise convolution with stride {stride}, {squeeze}1×1 convolution; output {}{sum}",
        shown(block.input),
        name(block.activation),
        shown(block.output),
        kernel = block.kernel,
        stride = block.stride,
        expanded = block.expanded,
    )
}

fn name(activation: Activation) -> &'static str {
    match activation {
        Activation::Relu => "ReLU",
        Activation::HardSwish => "h-swish",
    }
}
