//! Where the boxes of a phase are and how its connections run around them.
//!
//! The boxes are in one column, in the order of their numbers. A connection to the next box is a
//! straight line. The others run beside the column: each box has at most one lane, which leaves it
//! at one side, runs down, and has a branch to each box that reads it. Lanes that pass the same row
//! are distinct, and so are the places where lines enter and leave a box, so that no two lines
//! overlap except in the lane that they share.

use naschain_core::Phase;

/// Width and smallest height of a box.
pub(super) const BOX: (f64, f64) = (64.0, 28.0);
/// Free space below a box.
const BELOW: f64 = 30.0;
/// Distance from a box to its first lane, in which an arrow head fits, and between lanes.
const FIRST_LANE: f64 = 20.0;
const BETWEEN_LANES: f64 = 11.0;
/// Distance between lines at a side of a box.
const BETWEEN_ENDS: f64 = 10.0;

/// The boxes and connections of a phase. Coordinates count from the middle of the column and from the
/// upper edge of the first box.
pub(super) struct PhaseWiring {
    /// The input of the phase, its nodes, and its output.
    pub(super) boxes: Vec<Placed>,
    /// The connections.
    pub(super) wires: Vec<Wire>,
    /// How far boxes and lanes reach to the left and to the right.
    pub(super) reach: [f64; 2],
}

/// The height of a box and where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) top: f64,
    pub(super) height: f64,
}

impl Placed {
    pub(super) fn bottom(self) -> f64 {
        self.top + self.height
    }

    pub(super) fn middle(self) -> f64 {
        self.top + self.height / 2.0
    }
}

/// A connection between two boxes, given by their rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wire {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Its ends and corners; each part is horizontal or vertical.
    pub(super) points: Vec<(f64, f64)>,
}

/// A side of the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Right,
    Left,
}

/// The line beside the column that starts at a box.
struct Lane {
    from: usize,
    /// The rows of the boxes to which it has a branch, from the top.
    to: Vec<usize>,
    side: Side,
    /// Its distance from the column, counted in lanes.
    place: usize,
}

impl Lane {
    fn last(&self) -> usize {
        self.to.last().copied().unwrap_or(self.from)
    }

    fn x(&self) -> f64 {
        let distance = BOX.0 / 2.0 + FIRST_LANE + self.place as f64 * BETWEEN_LANES;
        self.side.sign() * distance
    }
}

impl Side {
    fn sign(self) -> f64 {
        match self {
            Side::Right => 1.0,
            Side::Left => -1.0,
        }
    }
}

impl PhaseWiring {
    pub(super) fn new(phase: &Phase) -> PhaseWiring {
        let readers = readers(phase);
        let lanes = lanes(&readers);
        let mut top = 0.0;
        let mut boxes = Vec::new();
        for row in 0..readers.len() {
            let ends = [Side::Right, Side::Left].map(|side| ends(&lanes, row, side).len());
            let height = (ends[0].max(ends[1]) as f64 * BETWEEN_ENDS).max(BOX.1);
            boxes.push(Placed { top, height });
            top += height + BELOW;
        }
        let mut wires = Vec::new();
        for (from, to) in (0..readers.len()).zip(1..readers.len()) {
            if readers[from].contains(&to) {
                let points = vec![(0.0, boxes[from].bottom()), (0.0, boxes[to].top)];
                wires.push(Wire { from, to, points });
            }
        }
        for lane in &lanes {
            let side = lane.side.sign() * BOX.0 / 2.0;
            let (x, start) = (lane.x(), end_height(&lanes, &boxes, lane.from, lane));
            for &to in &lane.to {
                let end = end_height(&lanes, &boxes, to, lane);
                wires.push(Wire {
                    from: lane.from,
                    to,
                    points: vec![(side, start), (x, start), (x, end), (side, end)],
                });
            }
        }
        let reach = [Side::Left, Side::Right].map(|side| {
            let own = lanes.iter().filter(|lane| lane.side == side);
            own.map(|lane| lane.x().abs()).fold(BOX.0 / 2.0, f64::max)
        });
        PhaseWiring {
            boxes,
            wires,
            reach,
        }
    }

    /// The height of the column.
    pub(super) fn height(&self) -> f64 {
        self.boxes.last().map_or(0.0, |last| last.bottom())
    }
}

/// For each row, the rows of the boxes that read it, from the top.
fn readers(phase: &Phase) -> Vec<Vec<usize>> {
    let row_of = |number: usize| {
        let at = phase.nodes.iter().position(|node| node.number == number);
        // 0 is the input of the phase.
        at.map_or(0, |at| at + 1)
    };
    let output = phase.nodes.len() + 1;
    let mut readers = vec![Vec::new(); output + 1];
    for (at, node) in phase.nodes.iter().enumerate() {
        for &input in &node.inputs {
            readers[row_of(input)].push(at + 1);
        }
    }
    for &input in &phase.output {
        readers[row_of(input)].push(output);
    }
    readers
}

/// A lane for each box that is read by another than the next. Short lanes come first and so are next
/// to the column.
fn lanes(readers: &[Vec<usize>]) -> Vec<Lane> {
    let mut wanted: Vec<(usize, Vec<usize>)> = Vec::new();
    for (from, readers) in readers.iter().enumerate() {
        let to: Vec<usize> = readers
            .iter()
            .copied()
            .filter(|to| *to > from + 1)
            .collect();
        if !to.is_empty() {
            wanted.push((from, to));
        }
    }
    wanted.sort_by_key(|(from, to)| (to.last().map(|last| last - from), *from));
    let mut lanes: Vec<Lane> = Vec::new();
    for (from, to) in wanted {
        let last = to.last().copied().unwrap_or(from);
        let passes = |lane: &Lane| lane.from <= last && from <= lane.last();
        let free = |side: Side| {
            let taken = lanes
                .iter()
                .filter(|lane| lane.side == side && passes(lane));
            let taken: Vec<usize> = taken.map(|lane| lane.place).collect();
            let place = (0..).find(|place| !taken.contains(place));
            (place.unwrap_or(taken.len()), side)
        };
        let (right, left) = (free(Side::Right), free(Side::Left));
        let (place, side) = if left.0 < right.0 { left } else { right };
        lanes.push(Lane {
            from,
            to,
            side,
            place,
        });
    }
    lanes
}

/// The lines at one side of a box, from the top, as the boxes where their lanes start: those that
/// end here, the nearest lane first, so that none crosses another one; then its own lane.
fn ends(lanes: &[Lane], row: usize, side: Side) -> Vec<usize> {
    let here = lanes.iter().filter(|lane| lane.side == side);
    let mut ending: Vec<&Lane> = here.clone().filter(|lane| lane.to.contains(&row)).collect();
    ending.sort_by_key(|lane| lane.place);
    let starting = here.filter(|lane| lane.from == row);
    let all = ending.into_iter().chain(starting);
    all.map(|lane| lane.from).collect()
}

/// Where a lane leaves or enters the box of a row.
fn end_height(lanes: &[Lane], boxes: &[Placed], row: usize, lane: &Lane) -> f64 {
    let ends = ends(lanes, row, lane.side);
    let at = ends.iter().position(|from| *from == lane.from);
    let from_middle = at.unwrap_or(0) as f64 - (ends.len() as f64 - 1.0) / 2.0;
    boxes[row].middle() + from_middle * BETWEEN_ENDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::{Genome, MacroSpace, Purpose, Stream};

    type Line = ((f64, f64), (f64, f64));

    fn wirings(nodes: usize, genome: &Genome) -> Vec<PhaseWiring> {
        let space = MacroSpace {
            phases: 1,
            nodes,
            input: "1x8x8".parse().unwrap(),
            init_channels: 8,
            classes: 10,
        };
        let architecture = space.decode(genome).unwrap();
        architecture.phases.iter().map(PhaseWiring::new).collect()
    }

    fn written(bits: impl Iterator<Item = bool>) -> Genome {
        let bits = bits.map(|bit| if bit { '1' } else { '0' });
        bits.collect::<String>().parse().unwrap()
    }

    fn lines(wire: &Wire) -> Vec<Line> {
        let ends = wire.points.iter().zip(&wire.points[1..]);
        ends.map(|(a, b)| (*a, *b)).collect()
    }

    /// Whether two intervals share more than a point.
    fn overlap(a: (f64, f64), b: (f64, f64)) -> bool {
        a.0.max(a.1).min(b.0.max(b.1)) - a.0.min(a.1).max(b.0.min(b.1)) > 1e-6
    }

    fn overlapping(a: &Line, b: &Line) -> bool {
        let is_vertical = |line: &Line| line.0.0 == line.1.0;
        let x = |line: &Line| (line.0.0, line.1.0);
        let y = |line: &Line| (line.0.1, line.1.1);
        match (is_vertical(a), is_vertical(b)) {
            // Closer than this, two lines cannot be told apart.
            (true, true) => (a.0.0 - b.0.0).abs() < 5.0 && overlap(y(a), y(b)),
            (false, false) => (a.0.1 - b.0.1).abs() < 5.0 && overlap(x(a), x(b)),
            _ => false,
        }
    }

    fn check(wiring: &PhaseWiring, genome: &Genome) {
        for wire in &wiring.wires {
            for (start, end) in lines(wire) {
                assert!(start.0 == end.0 || start.1 == end.1, "{genome} {wire:?}");
                for place in &wiring.boxes {
                    // Lines end at the edges of their boxes, and so do not pass through them either.
                    let through = overlap(
                        (start.0 - 0.1, end.0 + 0.1),
                        (-BOX.0 / 2.0 + 0.2, BOX.0 / 2.0 - 0.2),
                    ) && overlap(
                        (start.1 - 0.1, end.1 + 0.1),
                        (place.top + 0.2, place.bottom() - 0.2),
                    );
                    assert!(!through, "{genome} {wire:?} {place:?}");
                }
            }
            let ends = [wire.points[0], wire.points[wire.points.len() - 1]];
            for (end, row) in ends.into_iter().zip([wire.from, wire.to]) {
                let place = wiring.boxes[row];
                let on_edge =
                    end.0.abs() == BOX.0 / 2.0 && end.1 > place.top && end.1 < place.bottom()
                        || end.0 == 0.0 && (end.1 == place.top || end.1 == place.bottom());
                assert!(on_edge, "{genome} {wire:?}");
            }
        }
        for (at, a) in wiring.wires.iter().enumerate() {
            for b in wiring.wires[..at].iter().filter(|b| b.from != a.from) {
                for (line, other) in lines(a)
                    .iter()
                    .flat_map(|a| lines(b).into_iter().map(move |b| (*a, b)))
                {
                    assert!(!overlapping(&line, &other), "{genome} {a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn every_connection_runs_in_free_space_and_in_a_lane_of_its_own() {
        // All genomes of four nodes.
        for bits in 0..128_u32 {
            let genome = written((0..7).map(|at| bits >> at & 1 == 1));
            for wiring in wirings(4, &genome) {
                check(&wiring, &genome);
            }
        }
        let mut random = Stream::new(1, Purpose::Simulation, 0, 0);
        for nodes in [5, 6, 8, 12] {
            for _ in 0..60 {
                let length = nodes * (nodes - 1) / 2 + 1;
                let genome = written((0..length).map(|_| random.chance(0.35)));
                for wiring in wirings(nodes, &genome) {
                    check(&wiring, &genome);
                }
            }
        }
    }

    #[test]
    fn every_connection_of_the_network_has_a_wire() {
        // Node 2 reads 1, node 3 reads 1, node 4 reads 2, and the output also reads the phase's input.
        let wirings = wirings(4, &"1100101".parse().unwrap());
        let wires = wirings[0].wires.iter().map(|wire| (wire.from, wire.to));
        let mut wires: Vec<(usize, usize)> = wires.collect();
        wires.sort();
        let expected = [(0, 1), (0, 5), (1, 2), (1, 3), (2, 4), (3, 5), (4, 5)];
        assert_eq!(wires, expected);
    }
}
