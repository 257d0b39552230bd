//! A network of the micro space as a picture: its two kinds of cells beside each other. Each row is a
//! block, which adds what its two operations make of their inputs.

use naschain_core::{MicroArchitecture, MicroCell, MicroEdge};

use crate::artifacts::drawing::marks::{line, rect, shown, text};

/// Size of a cell's panel, without its rows.
const PANEL: (f64, f64) = (470.0, 78.0);
/// Height of a row.
const ROW: f64 = 48.0;
/// Distance between panels, and of the first from the edges.
const SPACE: f64 = 24.0;
const TOP: f64 = 84.0;
/// Boxes of inputs and of blocks.
const INPUT: (f64, f64) = (64.0, 26.0);
const BLOCK: (f64, f64) = (74.0, 28.0);

/// Width, height and content of the picture.
pub(super) fn body(network: &MicroArchitecture) -> (f64, f64, String) {
    let kinds = [false, true].map(|kind| {
        let numbered = (1..).zip(&network.cells);
        let of_kind = numbered.filter(|(_, cell)| cell.is_reduction == kind);
        of_kind.collect::<Vec<(usize, &MicroCell)>>()
    });
    let panels = kinds.iter().filter(|cells| !cells.is_empty());
    let (mut left, mut lowest, mut drawn) = (SPACE, TOP, String::new());
    for cells in panels {
        let height = PANEL.1 + ROW * cells[0].1.blocks.len() as f64;
        drawn += &panel(cells, left, height);
        left += PANEL.0 + SPACE;
        lowest = lowest.max(TOP + height);
    }
    let width = left.max(PANEL.0);
    let stem = format!(
        "image {}, 3×3 convolution to {} channels, {} cells, average, linear, {} classes",
        shown(network.input),
        network.stem_channels,
        network.cells.len(),
        network.classes
    );
    let note =
        "input 0 is the output of the cell before the last one, input 1 that of the last one";
    drawn += &text(width / 2.0, 26.0, &stem, "text");
    drawn += &text(width / 2.0, 48.0, note, "text small");
    (width, lowest + SPACE, drawn)
}

/// The first of some equal cells, with the places of all.
fn panel(cells: &[(usize, &MicroCell)], left: f64, height: f64) -> String {
    let (_, cell) = cells[0];
    let kind = ["normal", "reduction"][usize::from(cell.is_reduction)];
    let places: Vec<String> = cells.iter().map(|(place, _)| place.to_string()).collect();
    let middle = left + PANEL.0 / 2.0;
    let mut drawn = rect((middle, TOP + height / 2.0), (PANEL.0, height), "phase", "");
    let caption = format!("{kind} cell: {}", places.join(", "));
    drawn += &text(middle, TOP + 22.0, &caption, "text");
    for (block, sides) in cell.blocks.iter().enumerate() {
        let y = TOP + 56.0 + ROW * block as f64;
        for (side, edge) in sides.iter().enumerate() {
            drawn += &arm(edge, (middle, y), [-1.0, 1.0][side]);
        }
        let is_output = cell.outputs.contains(&(block + 2));
        let class = ["node", "end"][usize::from(is_output)];
        let title = format!("block {}: {}", block + 1, shown(cell.block));
        drawn += &rect((middle, y), BLOCK, class, &title);
        drawn += &text(
            middle,
            y + 4.0,
            &format!("block {}", block + 1),
            "text small",
        );
    }
    let outputs: Vec<String> = cell.outputs.iter().map(|n| (n - 1).to_string()).collect();
    let output = format!(
        "output: {} {}, {}",
        ["blocks", "block"][usize::from(outputs.len() == 1)],
        outputs.join(", "),
        shown(cell.output())
    );
    drawn + &text(middle, TOP + height - 14.0, &output, "text small")
}

/// A block's side: the input, and the operation on the way to the block.
fn arm(edge: &MicroEdge, (middle, y): (f64, f64), direction: f64) -> String {
    let outer = middle + direction * (PANEL.0 / 2.0 - SPACE - INPUT.0 / 2.0);
    let label = match edge.input {
        input @ (0 | 1) => format!("input {input}"),
        block => format!("block {}", block - 1),
    };
    let from = outer - direction * INPUT.0 / 2.0;
    let to = middle + direction * BLOCK.0 / 2.0;
    let name = edge.operation.name();
    let stride = ["", ", stride 2"][usize::from(edge.stride > 1)];
    let title = format!("{label} to the block: {name}{stride}");
    rect((outer, y), INPUT, "node", &label)
        + &text(outer, y + 4.0, &label, "text small")
        + &line(&[(from, y), (to, y)], &title)
        + &text((from + to) / 2.0, y - 6.0, name, "text small")
}
