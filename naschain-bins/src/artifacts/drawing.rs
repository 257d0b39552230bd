//! A network as a picture in SVG: each phase is a column, in which data flow downwards.

use naschain_core::{Architecture, Phase};

const NODE: (f64, f64) = (64.0, 28.0);
/// Distances between the centres of nodes.
const STEP: (f64, f64) = (84.0, 58.0);
const MARGIN: f64 = 30.0;
const TOP: f64 = 92.0;
/// Width of a connection from a phase to the next.
const GAP: f64 = 46.0;
const STYLE: &str = "
.back { fill: #ffffff } .text { fill: #1c2127; font: 13px system-ui, sans-serif; text-anchor: middle }
.small { font-size: 11px } .phase { fill: #eef1f5; stroke: #c3cad3 }
.node { fill: #ffffff; stroke: #2f77c9; stroke-width: 1.5 } .end { fill: #dbe7f6; stroke: #2f77c9 }
.edge { fill: none; stroke: #5c6773; stroke-width: 1.4; marker-end: url(#arrow) } .tip { fill: #5c6773 }
@media (prefers-color-scheme: dark) {
.back { fill: #15181d } .text { fill: #e4e7eb } .phase { fill: #1e232a; stroke: #3b444f }
.node { fill: #15181d; stroke: #6aa6ec } .end { fill: #22354d; stroke: #6aa6ec }
.edge { stroke: #a6b0bb } .tip { fill: #a6b0bb } }
";

/// Draws a network.
pub(crate) fn network_svg(architecture: &Architecture) -> String {
    let columns: Vec<Column> = architecture.phases.iter().map(Column::new).collect();
    let widths = columns.iter().map(|column| column.width + GAP);
    let width = (widths.sum::<f64>() + 2.0 * MARGIN + 130.0).max(460.0);
    let levels = columns
        .iter()
        .map(|column| column.levels)
        .max()
        .unwrap_or(1);
    let bottom = TOP + (levels as f64 - 1.0) * STEP.1 + 34.0;
    let height = bottom + 64.0;
    let mut body = String::new();
    let mut left = MARGIN;
    let mut before: Option<(f64, f64)> = None;
    for (column, phase) in columns.iter().zip(&architecture.phases) {
        body += &column.draw(phase, left, bottom);
        let middle = left + column.width / 2.0;
        if let Some((x, y)) = before {
            // From the bottom of a phase, up through the gap, to the top of the next.
            let between = left - GAP / 2.0;
            body += &format!(
                "<path class=\"edge\" d=\"M{x:.0} {y:.0} V{low:.0} H{between:.0} V46 H{middle:.0} V{top:.0}\"/>",
                low = bottom + 18.0,
                top = TOP - NODE.1 / 2.0,
            );
            body += &text(between, 38.0, "2×2 max", "text small");
        } else {
            body += &text(
                middle,
                20.0,
                &format!("image {}", architecture.input),
                "text",
            );
            body += &edge((middle, 26.0), (middle, TOP - NODE.1 / 2.0), 0.0);
        }
        before = Some((middle, column.end()));
        left += column.width + GAP;
    }
    body += &head(architecture, before, left, bottom);
    if !architecture.left_out.is_empty() {
        let numbers: Vec<String> = architecture.left_out.iter().map(usize::to_string).collect();
        let note = format!("left out, not connected: phase {}", numbers.join(", "));
        body += &text(width / 2.0, height - 8.0, &note, "text small");
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\"><style>{STYLE}</style><defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs><rect class=\"back\" width=\"100%\" height=\"100%\"/>{body}</svg>\n"
    )
}

/// Pooling and the linear layer, right of the last phase.
fn head(architecture: &Architecture, before: Option<(f64, f64)>, left: f64, bottom: f64) -> String {
    let middle = left + 50.0;
    let mut body = match before {
        Some((x, y)) => {
            let (low, between) = (bottom + 18.0, left - GAP / 2.0);
            format!(
                "<path class=\"edge\" d=\"M{x:.0} {y:.0} V{low:.0} H{between:.0} V46 H{middle:.0} V{top:.0}\"/>",
                top = TOP - NODE.1 / 2.0
            )
        }
        None => text(
            middle,
            60.0,
            &format!("image {}", architecture.input),
            "text",
        ),
    };
    let classes = format!("linear, {} classes", architecture.classes);
    for (at, label) in ["average", &classes].into_iter().enumerate() {
        let y = TOP + at as f64 * STEP.1;
        body += &rect((middle, y), (130.0, NODE.1), "end", "");
        body += &text(middle, y + 4.0, label, "text");
    }
    let y = TOP + NODE.1 / 2.0;
    body + &edge((middle, y), (middle, y + STEP.1 - NODE.1), 0.0)
}

/// Where the nodes of a phase are.
struct Column {
    width: f64,
    /// Rows, with the phase's input and its output.
    levels: usize,
    /// Row of each node and its distance from the middle, by the node's number; 0 is the input.
    places: Vec<Option<(usize, f64)>>,
}

impl Column {
    fn new(phase: &Phase) -> Column {
        let last = phase
            .nodes
            .iter()
            .map(|node| node.number)
            .max()
            .unwrap_or(0);
        let mut row = vec![0; last + 1];
        let mut rows: Vec<Vec<usize>> = vec![vec![0]];
        for node in &phase.nodes {
            let above = node.inputs.iter().map(|&input| row[input]).max();
            let at = above.unwrap_or(0) + 1;
            row[node.number] = at;
            rows.resize(rows.len().max(at + 1), Vec::new());
            rows[at].push(node.number);
        }
        let mut places = vec![None; last + 1];
        for (at, numbers) in rows.iter().enumerate() {
            for (index, &number) in numbers.iter().enumerate() {
                let offset = index as f64 - (numbers.len() as f64 - 1.0) / 2.0;
                places[number] = Some((at, offset * STEP.0));
            }
        }
        let widest = rows.iter().map(Vec::len).max().unwrap_or(1);
        Column {
            // Room for the connections that bend around nodes.
            width: widest as f64 * STEP.0 + 96.0,
            levels: rows.len() + 1,
            places,
        }
    }

    /// The lower edge of the output.
    fn end(&self) -> f64 {
        TOP + (self.levels - 1) as f64 * STEP.1 + NODE.1 / 2.0
    }

    fn draw(&self, phase: &Phase, left: f64, bottom: f64) -> String {
        let middle = left + self.width / 2.0;
        let size = (self.width, bottom - TOP + 38.0);
        let centre = (middle, (TOP + bottom) / 2.0 - 19.0);
        let mut body = rect(centre, size, "phase", "");
        let (channels, height, width) = (phase.channels, phase.height, phase.width);
        let caption = format!("phase {}: {channels}×{height}×{width}", phase.number);
        body += &text(middle, bottom + 36.0, &caption, "text small");
        let at = |number: usize| {
            let (row, offset) = self.places[number].unwrap_or_default();
            (middle + offset, TOP + row as f64 * STEP.1)
        };
        let output = (middle, TOP + (self.levels - 1) as f64 * STEP.1);
        for node in &phase.nodes {
            for &input in &node.inputs {
                body += &connection(at(input), at(node.number));
            }
        }
        for &input in &phase.output {
            body += &connection(at(input), output);
        }
        let kernel = phase.entry.kernel;
        let entry = if phase.entry.applied {
            format!("{kernel}×{kernel}")
        } else {
            "input".to_owned()
        };
        body += &labelled(at(0), &entry, "end", "entry convolution");
        for node in &phase.nodes {
            let join = if node.inputs.len() > 1 {
                "1×1 convolution of its inputs, "
            } else {
                ""
            };
            let title = format!(
                "node {}: {join}3×3 convolution, batch norm, ReLU",
                node.number
            );
            body += &labelled(
                at(node.number),
                &format!("node {}", node.number),
                "node",
                &title,
            );
        }
        let title = "1×1 convolution if it has several inputs, batch norm, ReLU";
        body + &labelled(output, "output", "end", title)
    }
}

fn labelled(at: (f64, f64), label: &str, class: &str, title: &str) -> String {
    rect(at, NODE, class, title) + &text(at.0, at.1 + 4.0, label, "text small")
}

fn rect(centre: (f64, f64), size: (f64, f64), class: &str, title: &str) -> String {
    let (x, y) = (centre.0 - size.0 / 2.0, centre.1 - size.1 / 2.0);
    format!(
        "<rect class=\"{class}\" x=\"{x:.0}\" y=\"{y:.0}\" width=\"{:.0}\" height=\"{:.0}\" rx=\"7\"><title>{title}</title></rect>",
        size.0, size.1
    )
}

fn text(x: f64, y: f64, text: &str, class: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.0}\" y=\"{y:.0}\">{text}</text>")
}

/// A connection from the lower edge of one node to the upper edge of another. One that skips rows
/// bends to the side, so that it does not cross the nodes between.
fn connection(from: (f64, f64), to: (f64, f64)) -> String {
    let rows = (to.1 - from.1) / STEP.1;
    let bend = if rows > 1.5 {
        // To the side that it starts from; in a straight column to the right.
        let side = if from.0 + 1.0 < to.0 { -1.0 } else { 1.0 };
        side * (36.0 + 7.0 * rows)
    } else {
        0.0
    };
    let half = NODE.1 / 2.0;
    edge((from.0, from.1 + half), (to.0, to.1 - half - 1.0), bend)
}

fn edge(from: (f64, f64), to: (f64, f64), bend: f64) -> String {
    let third = (to.1 - from.1) / 3.0;
    format!(
        "<path class=\"edge\" d=\"M{:.0} {:.0}C{:.0} {:.0} {:.0} {:.0} {:.0} {:.0}\"/>",
        from.0,
        from.1,
        from.0 + bend * 1.3,
        from.1 + third,
        to.0 + bend * 1.3,
        to.1 - third,
        to.0,
        to.1
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
    fn every_node_and_connection_is_drawn() {
        let svg = drawn("1010101-1101001");
        let space_nodes = svg.matches("class=\"node\"").count();
        // Nodes 1 to 4 of both phases.
        assert_eq!(space_nodes, 8, "{svg}");
        assert!(svg.contains("image 1x8x8") && svg.contains("linear, 10 classes"));
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
