//! A column of a variable.

use naschain_nsga::{OperationGraph, Value, Variable};

pub(crate) struct Column {
    kind: Kind,
    name: String,
    /// Number of values.
    count: usize,
}

enum Kind {
    Category,
    Integer,
    /// The operation on an edge from one node to another; 0 is no edge.
    Edge(usize, usize),
    /// The operation of a node.
    Node(usize),
    /// The node whose value a node reads.
    Input(usize),
}

impl Column {
    pub(crate) fn parse(kind: &str, name: &str, count: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let number = text.parse::<usize>();
            number.map_err(|_| format!("{text:?} is not a number, in the column {kind}:{name}"))
        };
        let whole_kind = match kind {
            "category" => Kind::Category,
            "integer" => Kind::Integer,
            "edge" => {
                let (from, to) = name
                    .split_once('-')
                    .ok_or(format!("edge:{name} must be FROM-TO"))?;
                Kind::Edge(number(from)?, number(to)?)
            }
            "node" => Kind::Node(number(name)?),
            "input" => Kind::Input(number(name)?),
            _ => return Err(format!("unknown kind of column: {kind}")),
        };
        Ok(Column {
            kind: whole_kind,
            name: format!("{kind} {name}"),
            count: number(count)?,
        })
    }

    pub(crate) fn variable(&self) -> Variable {
        match self.kind {
            Kind::Integer => Variable::integer(&self.name, 0, self.count as i64 - 1),
            _ => {
                let labels = (0..self.count).map(|label| label.to_string());
                Variable::category(&self.name, labels)
            }
        }
    }

    /// The value with this number.
    pub(crate) fn value(&self, number: u32) -> Value {
        match self.kind {
            Kind::Integer => Value::Integer(i64::from(number)),
            _ => Value::Category(number as usize),
        }
    }

    /// The graph of a design, if there are columns of edges or nodes. `indices` are its values.
    pub(crate) fn graph(columns: &[Column], indices: &[usize]) -> Option<OperationGraph> {
        let last = columns.iter().filter_map(|column| match column.kind {
            Kind::Edge(_, to) => Some(to),
            Kind::Node(node) | Kind::Input(node) => Some(node),
            Kind::Category | Kind::Integer => None,
        });
        let last = last.max()?;
        let kinds = columns.iter().map(|column| match column.kind {
            Kind::Edge(..) => column.count.saturating_sub(1),
            Kind::Node(_) => column.count,
            _ => 0,
        });
        let has_inputs = columns
            .iter()
            .any(|column| matches!(column.kind, Kind::Input(_)));
        let output = last + usize::from(has_inputs);
        let mut graph = OperationGraph::new(output + 1, kinds.max().unwrap_or(0));
        let mut is_read = vec![false; output + 1];
        for (column, index) in columns.iter().zip(indices) {
            match column.kind {
                Kind::Edge(from, to) if *index > 0 => graph.add_edge(from, to, Some(index - 1)),
                Kind::Node(node) => graph.set_operation(node, *index),
                Kind::Input(node) => {
                    graph.add_edge(*index, node, None);
                    is_read[*index] = true;
                }
                _ => {}
            }
        }
        if has_inputs {
            let unread = (1..output).filter(|node| !is_read[*node]);
            unread.for_each(|node| graph.add_edge(node, output, None));
        }
        Some(graph)
    }
}
