use crate::log_scale::piecewise_log2;

/// The graph that a genome stands for, of which the surrogate learns: operations on nodes, on edges, or on
/// both.
///
/// Nodes are numbered so that edges lead from lower to higher numbers; the first node is the input and the
/// last one the output. The library derives features itself, all of them counts: of the operations, paths
/// and lengths between input and output, as in GRAF (Kadlecová et al., ICML 2024).
///
/// ```
/// use naschain_nsga::OperationGraph;
///
/// // A convolution (0) followed by a pooling (1), and a path around both.
/// let mut graph = OperationGraph::new(4, 2);
/// graph.set_operation(1, 0);
/// graph.set_operation(2, 1);
/// for (from, to) in [(0, 1), (1, 2), (2, 3), (0, 3)] {
///     graph.add_edge(from, to, None);
/// }
/// assert_eq!(graph.longest_path(), Some(3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationGraph {
    /// Number of kinds of operations.
    kinds: usize,
    /// The operation of each node.
    operations: Vec<Option<usize>>,
    edges: Vec<Edge>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    from: usize,
    to: usize,
    operation: Option<usize>,
}

impl OperationGraph {
    /// A graph of `nodes` nodes without edges and operations, of which there are `kinds`. All graphs at the
    /// same place of a space must have as many kinds.
    pub fn new(nodes: usize, kinds: usize) -> Self {
        OperationGraph {
            kinds,
            operations: vec![None; nodes],
            edges: Vec::new(),
        }
    }

    /// Gives a node an operation, a number below the number of kinds. Others are ignored, as are nodes that
    /// do not exist.
    pub fn set_operation(&mut self, node: usize, operation: usize) {
        if let Some(place) = self.operations.get_mut(node)
            && operation < self.kinds
        {
            *place = Some(operation);
        }
    }

    /// Adds an edge, which has an operation or merely passes values on. An edge that does not lead from a
    /// node to a later one is ignored.
    pub fn add_edge(&mut self, from: usize, to: usize, operation: Option<usize>) {
        if from < to && to < self.operations.len() {
            let operation = operation.filter(|operation| *operation < self.kinds);
            self.edges.push(Edge {
                from,
                to,
                operation,
            });
        }
    }

    /// The number of edges on the longest path from input to output, if there is a path.
    pub fn longest_path(&self) -> Option<usize> {
        let live = self.live();
        let longest = longest(&live, self.operations.len(), |_| 1.0);
        longest.map(|length| length as usize)
    }

    /// The edges on paths from input to output, in the order of their ends.
    fn live(&self) -> Vec<Edge> {
        let count = self.operations.len();
        let mut edges = self.edges.clone();
        edges.sort_unstable();
        let (mut from_input, mut to_output) = (vec![false; count], vec![false; count]);
        if let (Some(first), Some(last)) = (from_input.first_mut(), to_output.last_mut()) {
            (*first, *last) = (true, true);
        }
        for edge in &edges {
            from_input[edge.to] |= from_input[edge.from];
        }
        for edge in edges.iter().rev() {
            to_output[edge.from] |= to_output[edge.to];
        }
        edges.retain(|edge| from_input[edge.from] && to_output[edge.to]);
        edges
    }

    /// The operations that a value passes on an edge: that of the edge, and that of the node to which it
    /// leads.
    fn passed(&self, edge: &Edge) -> impl Iterator<Item = usize> {
        [edge.operation, self.operations[edge.to]]
            .into_iter()
            .flatten()
    }

    /// Features for a model, as many for each graph with as many kinds.
    pub(crate) fn features(&self) -> Vec<f64> {
        let (live, count) = (self.live(), self.operations.len());
        let mut nodes = vec![false; count];
        for edge in &live {
            (nodes[edge.from], nodes[edge.to]) = (true, true);
        }
        let number = |flags: &[bool]| flags.iter().filter(|flag| **flag).count() as f64;
        let at = |end: fn(&Edge) -> usize, node: usize| {
            live.iter().filter(|edge| end(edge) == node).count() as f64
        };
        let mut features = vec![
            f64::from(u8::from(!live.is_empty())),
            number(&nodes),
            live.len() as f64,
            longest(&live, count, |_| 1.0).unwrap_or(0.0),
            -longest(&live, count, |_| -1.0).unwrap_or(0.0),
            piecewise_log2(1.0 + paths(&live, count)),
            at(|edge| edge.from, 0),
            at(|edge| edge.to, count.saturating_sub(1)),
        ];
        // Each live operation once: those of edges, and those of live nodes.
        let mut counts = vec![0.0; self.kinds];
        live.iter()
            .filter_map(|edge| edge.operation)
            .for_each(|kind| counts[kind] += 1.0);
        let of_nodes = self
            .operations
            .iter()
            .zip(&nodes)
            .filter(|(_, live)| **live);
        of_nodes
            .filter_map(|(operation, _)| *operation)
            .for_each(|kind| counts[kind] += 1.0);
        features.append(&mut counts);
        for kind in 0..self.kinds {
            let weight =
                |edge: &Edge| self.passed(edge).filter(|other| *other == kind).count() as f64;
            features.push(longest(&live, count, weight).unwrap_or(0.0));
            features.push(-longest(&live, count, |edge| -weight(edge)).unwrap_or(0.0));
            let first = live.iter().filter(|edge| edge.from == 0);
            features.push(
                first
                    .filter(|edge| self.passed(edge).any(|other| other == kind))
                    .count() as f64,
            );
            let last = live.iter().filter(|edge| edge.to + 1 == count);
            features.push(
                last.filter(|edge| edge.operation.or(self.operations[edge.from]) == Some(kind))
                    .count() as f64,
            );
        }
        if self.kinds <= MAX_PAIRED_KINDS {
            features.extend(self.pairs(&live));
        }
        features
    }

    /// How often each kind follows each other one directly.
    fn pairs(&self, live: &[Edge]) -> Vec<f64> {
        let mut pairs = vec![0.0; self.kinds * self.kinds];
        let mut count = |one: Option<usize>, next: Option<usize>| {
            if let (Some(one), Some(next)) = (one, next) {
                pairs[one * self.kinds + next] += 1.0;
            }
        };
        for edge in live {
            let (start, end) = (self.operations[edge.from], self.operations[edge.to]);
            match edge.operation {
                None => count(start, end),
                operation => {
                    count(start, operation);
                    count(operation, end);
                    if end.is_none() {
                        live.iter()
                            .filter(|next| next.from == edge.to)
                            .for_each(|next| count(operation, next.operation));
                    }
                }
            }
        }
        pairs
    }
}

/// The largest sum of weights on a path from the first to the last node.
fn longest(live: &[Edge], nodes: usize, weight: impl Fn(&Edge) -> f64) -> Option<f64> {
    let mut best: Vec<Option<f64>> = vec![None; nodes];
    *best.first_mut()? = Some(0.0);
    for edge in live {
        if let Some(so_far) = best[edge.from] {
            let length = so_far + weight(edge);
            if best[edge.to].is_none_or(|other| other < length) {
                best[edge.to] = Some(length);
            }
        }
    }
    // A single node has no path.
    best.last().copied().flatten().filter(|_| !live.is_empty())
}

/// The number of paths from the first to the last node.
fn paths(live: &[Edge], nodes: usize) -> f64 {
    let mut paths = vec![0.0; nodes];
    if let Some(first) = paths.first_mut() {
        *first = 1.0;
    }
    for edge in live {
        paths[edge.to] += paths[edge.from];
    }
    if live.is_empty() {
        0.0
    } else {
        paths.last().copied().unwrap_or(0.0)
    }
}

/// Maximum number of kinds of which pairs are features.
const MAX_PAIRED_KINDS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// Two kinds on the edges of a diamond, and an edge that leads nowhere.
    fn diamond() -> OperationGraph {
        let mut graph = OperationGraph::new(5, 2);
        graph.add_edge(0, 1, Some(0));
        graph.add_edge(1, 4, Some(1));
        graph.add_edge(0, 2, Some(1));
        graph.add_edge(2, 4, Some(1));
        graph.add_edge(0, 3, Some(0));
        graph
    }

    #[test]
    fn only_what_is_between_input_and_output_counts() {
        let features = diamond().features();
        // Connected; 4 nodes, 4 edges; paths of 2 edges; 2 paths, whose logarithm is linear between 2
        // and 4; 2 edges from the input and 2 to the output.
        assert_eq!(features[..8], [1.0, 4.0, 4.0, 2.0, 2.0, 1.5, 2.0, 2.0]);
        // One edge of kind 0 and three of kind 1.
        assert_eq!(features[8..10], [1.0, 3.0]);
        // Of each kind: at most and at least on a path, at the input, at the output.
        assert_eq!(features[10..18], [1.0, 0.0, 1.0, 0.0, 2.0, 1.0, 1.0, 2.0]);
        // Kind 1 follows kind 0, and kind 1.
        assert_eq!(features[18..], [0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn operations_on_nodes_count_as_those_on_edges() {
        // The diamond with its operations on nodes, two for each path.
        let mut graph = OperationGraph::new(6, 2);
        for (node, operation) in [(1, 0), (2, 1), (3, 1), (4, 1)] {
            graph.set_operation(node, operation);
        }
        for (from, to) in [(0, 1), (1, 2), (2, 5), (0, 3), (3, 4), (4, 5)] {
            graph.add_edge(from, to, None);
        }
        assert_eq!(graph.features()[8..], diamond().features()[8..]);
        assert_eq!(graph.longest_path(), Some(3));
    }

    #[test]
    fn a_graph_without_a_path_has_as_many_features() {
        let mut graph = OperationGraph::new(5, 2);
        graph.add_edge(0, 3, Some(1));
        let features = graph.features();
        assert_eq!(features.len(), diamond().features().len());
        assert!(features.iter().all(|value| *value == 0.0), "{features:?}");
        for empty in [OperationGraph::new(0, 2), OperationGraph::new(1, 2)] {
            assert_eq!(empty.features(), features);
            assert_eq!(empty.longest_path(), None);
        }
    }

    #[test]
    fn what_does_not_exist_is_ignored() {
        let mut graph = diamond();
        graph.set_operation(9, 0);
        graph.set_operation(1, 7);
        graph.add_edge(2, 2, None);
        graph.add_edge(4, 0, Some(0));
        graph.add_edge(0, 9, Some(0));
        assert_eq!(graph, diamond());
    }
}
