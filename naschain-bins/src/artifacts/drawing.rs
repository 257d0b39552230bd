//! A network as a picture in SVG: each phase, or stage, is a column, in which data flow downwards; of the micro
//! space the two kinds of cells.

mod cells;
mod marks;
mod stages;
mod wiring;

use naschain_core::{Architecture, Layer, NetworkRef, Phase};

use crate::artifacts::drawing::marks::{line, rect, shown, text};
use crate::artifacts::drawing::wiring::{BOX, PhaseWiring};
use crate::artifacts::grouped::grouped;

/// Margin of the picture.
const MARGIN: f64 = 30.0;
/// The upper edge of the first box of each column.
const TOP: f64 = 78.0;
/// The line from a phase to the next above all phases, and how far below them.
const ABOVE: f64 = 44.0;
const BELOW: f64 = 16.0;
/// Space in a phase around its boxes and lanes.
const PADDING: (f64, f64) = (22.0, 20.0);
/// The smallest width of a phase, for its caption.
const NARROWEST: f64 = 132.0;
/// Width of a connection from a phase to the next.
const GAP: f64 = 46.0;
/// Boxes of the last layers.
const HEAD_BOX: (f64, f64) = (130.0, 28.0);
const STYLE: &str = "
svg { max-width: 100%; height: auto }
.back { fill: #ffffff } .text { fill: #1c2127; font: 13px system-ui, sans-serif; text-anchor: middle; pointer-events: none }
.small { font-size: 11px } .phase { fill: #eef1f5; stroke: #c3cad3 }
.node { fill: #ffffff; stroke: #2f77c9; stroke-width: 1.5 } .end { fill: #dbe7f6; stroke: #2f77c9 }
.edge { fill: none; stroke: #5c6773; stroke-width: 1.4; marker-end: url(#arrow) } .tip { fill: #5c6773 }
.edge:hover { stroke: #d33f2b; stroke-width: 2.4 }
@media (prefers-color-scheme: dark) {
.back { fill: #15181d } .text { fill: #e4e7eb } .phase { fill: #1e232a; stroke: #3b444f }
.node { fill: #15181d; stroke: #6aa6ec } .end { fill: #22354d; stroke: #6aa6ec }
.edge { stroke: #a6b0bb } .tip { fill: #a6b0bb } .edge:hover { stroke: #ef6a57 } }
";

/// Draws a network.
pub(crate) fn network_svg<'n>(network: impl Into<NetworkRef<'n>>) -> String {
    let (width, height, body) = match network.into() {
        NetworkRef::Macro(architecture) => phases(architecture),
        NetworkRef::Micro(network) => cells::body(network),
        NetworkRef::Mobile(network) => stages::body(network),
        _ => (
            460.0,
            40.0,
            text(230.0, 24.0, "no picture of networks of this space", "text"),
        ),
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\"><style>{STYLE}</style><defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerUnits=\"userSpaceOnUse\" markerWidth=\"9\" markerHeight=\"9\" orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs><rect class=\"back\" width=\"100%\" height=\"100%\"/>{body}</svg>\n"
    )
}

/// Width, height and content of the picture of a network of the macro space.
fn phases(architecture: &Architecture) -> (f64, f64, String) {
    // No costs are shown of a network whose costs do not fit into 64 bits.
    let layers = architecture.layers().unwrap_or_default();
    let columns = architecture.phases.iter();
    let columns: Vec<Column> = columns.map(|phase| Column::new(phase, &layers)).collect();
    let widths = columns.iter().map(|column| column.width + GAP);
    let width = (widths.sum::<f64>() + 2.0 * MARGIN + HEAD_BOX.0).max(460.0);
    let heights = columns.iter().map(|column| column.wiring.height());
    let lowest = heights.fold(HEAD_BOX.1, f64::max);
    let bottom = TOP + lowest + PADDING.1;
    let height = bottom + 64.0;
    let input = format!("image {}", shown(architecture.input));
    let mut body = String::new();
    let mut left = MARGIN;
    let mut before: Option<(f64, f64)> = None;
    for column in &columns {
        body += &column.draw(left, bottom);
        let middle = left + column.middle;
        body += &incoming(before, (left, middle), bottom, &input);
        if before.is_some() {
            body += &text(left - GAP / 2.0, ABOVE - 7.0, "2×2 max", "text small");
        }
        before = Some((middle, TOP + column.wiring.height()));
        left += column.width + GAP;
    }
    body += &incoming(before, (left, left + HEAD_BOX.0 / 2.0), bottom, &input);
    body += &head(architecture.classes, &layers, left + HEAD_BOX.0 / 2.0);
    if !architecture.left_out.is_empty() {
        let numbers: Vec<String> = architecture.left_out.iter().map(usize::to_string).collect();
        let note = format!("left out, not connected: phase {}", numbers.join(", "));
        body += &text(width / 2.0, height - 8.0, &note, "text small");
    }
    (width, height, body)
}

/// The line into the column that starts at `left` and has its boxes at `middle`: from the bottom of
/// the phase before it, up through the gap, or from the image.
fn incoming(
    before: Option<(f64, f64)>,
    (left, middle): (f64, f64),
    bottom: f64,
    input: &str,
) -> String {
    let Some((x, y)) = before else {
        return text(middle, 20.0, input, "text") + &line(&[(middle, 27.0), (middle, TOP)], "");
    };
    let (low, between) = (bottom + BELOW, left - GAP / 2.0);
    let corners = [
        (x, y),
        (x, low),
        (between, low),
        (between, ABOVE),
        (middle, ABOVE),
        (middle, TOP),
    ];
    line(&corners, "")
}

/// Pooling and the linear layer, right of the last phase.
fn head(classes: usize, layers: &[Layer], middle: f64) -> String {
    let mut body = String::new();
    let step = HEAD_BOX.1 + 30.0;
    let classes = format!("linear, {classes} classes");
    let kinds = ["global average pooling", "linear"];
    for (at, (label, kind)) in ["average", &classes].into_iter().zip(kinds).enumerate() {
        let y = TOP + HEAD_BOX.1 / 2.0 + at as f64 * step;
        let title = format!("{kind}{}", costs(layers, &format!("classifier: {kind}")));
        body += &rect((middle, y), HEAD_BOX, "end", &title);
        body += &text(middle, y + 4.5, label, "text");
    }
    body + &line(&[(middle, TOP + HEAD_BOX.1), (middle, TOP + step)], "")
}

/// A phase in the picture.
struct Column<'a> {
    phase: &'a Phase,
    /// Of the whole network.
    layers: &'a [Layer],
    wiring: PhaseWiring,
    width: f64,
    /// Where its boxes are, from its left edge.
    middle: f64,
}

impl Column<'_> {
    fn new<'a>(phase: &'a Phase, layers: &'a [Layer]) -> Column<'a> {
        let wiring = PhaseWiring::new(phase);
        let [left, right] = wiring.reach.map(|reach| reach + PADDING.0);
        let width = (left + right).max(NARROWEST);
        Column {
            phase,
            layers,
            wiring,
            width,
            middle: left + (width - left - right) / 2.0,
        }
    }

    fn draw(&self, left: f64, bottom: f64) -> String {
        let (phase, middle) = (self.phase, left + self.middle);
        let size = (self.width, bottom - TOP + PADDING.1);
        let centre = (left + self.width / 2.0, bottom - size.1 / 2.0);
        let mut body = rect(centre, size, "phase", "");
        let (channels, height, width) = (phase.channels, phase.height, phase.width);
        let caption = format!("phase {}: {channels}×{height}×{width}", phase.number);
        body += &text(centre.0, bottom + BELOW + 18.0, &caption, "text small");
        let labels = self.labels();
        for wire in &self.wiring.wires {
            let at = wire.points.iter().map(|(x, y)| (middle + x, TOP + y));
            let ends = (&labels[wire.from].0, &labels[wire.to].0);
            let title = format!("{} to {}: {channels}×{height}×{width}", ends.0, ends.1);
            body += &line(&at.collect::<Vec<_>>(), &title);
        }
        for (place, (label, class, title)) in self.wiring.boxes.iter().zip(&labels) {
            let y = TOP + place.middle();
            body += &rect((middle, y), (BOX.0, place.height), class, title);
            body += &text(middle, y + 4.0, label, "text small");
        }
        body
    }

    /// Text, class and title of each box.
    fn labels(&self) -> Vec<(String, &'static str, String)> {
        let kernel = self.phase.entry.kernel;
        let entry = if self.phase.entry.applied {
            (format!("{kernel}×{kernel}"), "entry convolution")
        } else {
            ("input".to_owned(), "input of the phase, unchanged")
        };
        let at = |place: &str| {
            costs(
                self.layers,
                &format!("phase {}, {place}:", self.phase.number),
            )
        };
        let title = format!("{}{}", entry.1, at("entry"));
        let mut labels = vec![(entry.0, "end", title)];
        for node in &self.phase.nodes {
            let join = if node.inputs.len() > 1 {
                "1×1 convolution of its inputs, "
            } else {
                ""
            };
            let name = format!("node {}", node.number);
            let title = format!(
                "{name}: {join}3×3 convolution, batch norm, ReLU{}",
                at(&name)
            );
            labels.push((name, "node", title));
        }
        let title = "1×1 convolution if it has several inputs, batch norm, ReLU";
        let title = format!("{title}{}", at("output"));
        labels.push(("output".to_owned(), "end", title));
        labels
    }
}

/// The output's shape and the costs of the layers whose names begin so, as the end of a title.
fn costs(layers: &[Layer], place: &str) -> String {
    let of_place = layers.iter().filter(|layer| layer.name.starts_with(place));
    let of_place: Vec<&Layer> = of_place.collect();
    let Some(last) = of_place.last() else {
        return String::new();
    };
    let params = of_place.iter().map(|layer| layer.costs.params).sum();
    let flops = of_place.iter().map(|layer| layer.costs.flops).sum();
    format!(
        "; output {}, {} parameters, {} FLOPs",
        shown(last.output),
        grouped(params),
        grouped(flops)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::MacroSpace;

    fn drawn(genome: &str) -> String {
        let space = MacroSpace {
            phases: 2,
            nodes: 4,
            input: "1x8x8".parse().unwrap(),
            init_channels: 8,
            classes: 10,
        };
        network_svg(&space.decode(&genome.parse().unwrap()).unwrap())
    }

    #[test]
    fn cells_are_drawn_with_their_operations() {
        let space = naschain_core::MicroSpace {
            blocks: 2,
            layers: 3,
            input: "3x8x8".parse().unwrap(),
            init_channels: 4,
            classes: 10,
        };
        let genes = [3, 0, 2, 1, 8, 2, 0, 0].repeat(2);
        let svg = network_svg(&space.decode(&genes).unwrap());
        for text in [
            "normal cell: 1",
            "reduction cell: 2, 3",
            "block 1 to the block: conv_7x1_1x7",
            "input 0 to the block: max_pool_3x3, stride 2",
            "output: block 2, 8×4×4",
        ] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert_eq!(svg.matches("class=\"edge\"").count(), 8);
    }

    #[test]
    fn stages_are_drawn_with_their_blocks() {
        let space = naschain_core::MobileSpace {
            stages: 2,
            depth: 2,
            input: "3x16x16".parse().unwrap(),
            init_channels: 8,
            classes: 10,
        };
        let genes = [1, 1, 0, 0, 1, 2, 3, 0, 2, 1, 1, 2, 0, 0, 2];
        let svg = network_svg(&space.decode(&genes).unwrap());
        for text in [
            "image 3×16×16 resized to 3×12×12, 3×3 convolution to 8 channels",
            "stage 1: 8×12×12",
            "7×7, 48 channels",
            "h-swish, SE, stride 2",
            "stage 2: 20×6×6",
            "output 8×12×12, plus the input",
        ] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        // One into each block, one between stages, and two residual ones.
        assert_eq!(svg.matches("class=\"edge\"").count(), 6);
    }

    #[test]
    fn every_node_and_connection_is_drawn() {
        let svg = drawn("1010101-1101001");
        // Nodes 1 to 4 of both phases.
        assert_eq!(svg.matches("class=\"node\"").count(), 8, "{svg}");
        assert!(svg.contains("image 1×8×8") && svg.contains("linear, 10 classes"));
        let node =
            "node 1: 3×3 convolution, batch norm, ReLU; output 8×6×6, 592 parameters, 21,600 FLOPs";
        for title in ["3×3 to node 1: 8×6×6", "node 4 to output: 8×6×6", node] {
            assert!(svg.contains(&format!("<title>{title}</title>")), "{title}");
        }
        assert_eq!(drawn("1010101-1101001"), svg);
    }

    #[test]
    fn a_network_without_phases_can_be_drawn() {
        let svg = drawn("0000000-0000001");
        assert!(
            svg.contains("phase 1, 2") && svg.ends_with("</svg>\n"),
            "{svg}"
        );
    }
}
