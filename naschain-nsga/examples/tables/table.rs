//! A table of evaluated designs.

use std::collections::BTreeMap;
use std::error::Error;

use naschain_nsga::{Design, Graph, Space, Value, Variable, Variables, hypervolume};

/// Lines of values separated by commas, after a first line that names the columns:
/// `category:NAME:COUNT` and `integer:NAME:COUNT` are variables with the values 0 to COUNT - 1,
/// `NAME` is an objective to minimise, and `known:NAME` one that is known without an evaluation.
/// A design without a line fails.
pub(crate) struct Table {
    variables: Variables,
    names: Vec<String>,
    is_known: Vec<bool>,
    parts: Vec<Part>,
    sizes: Vec<usize>,
    rows: BTreeMap<Design, Vec<f64>>,
    front: Vec<Vec<f64>>,
}

enum Part {
    Edge(usize, usize),
    Node(usize),
    Input(usize),
    None,
}

/// The best and the worst value of each objective.
pub(crate) type Scale = Vec<(f64, f64)>;

impl Table {
    pub(crate) fn parse(text: &str) -> Result<Self, Box<dyn Error>> {
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        let (mut variables, mut names, mut is_known) = (Vec::new(), Vec::new(), Vec::new());
        let mut categories = Vec::new();
        let mut parts = Vec::new();
        let mut sizes = Vec::new();
        for column in header.split(',') {
            match column.split(':').collect::<Vec<_>>()[..] {
                [
                    kind @ ("category" | "integer" | "edge" | "node" | "input"),
                    name,
                    count,
                ] => {
                    let n = |t: &str| t.parse::<usize>().unwrap_or(0);
                    parts.push(match kind {
                        "edge" => {
                            let (a, b) = name.split_once('-').unwrap_or(("0", "0"));
                            Part::Edge(n(a), n(b))
                        }
                        "node" => Part::Node(n(name)),
                        "input" => Part::Input(n(name)),
                        _ => Part::None,
                    });
                    let count: i64 = count.parse().map_err(|_| {
                        format!("the column {column} must end with a number of values")
                    })?;
                    sizes.push(count as usize);
                    categories.push(kind != "integer");
                    variables.push(match kind {
                        "integer" => Variable::integer(name, 0, count - 1),
                        kind => Variable::category(
                            format!("{kind} {name}"),
                            (0..count).map(|value| value.to_string()),
                        ),
                    });
                }
                ["known", name] => {
                    names.push(name.to_owned());
                    is_known.push(true);
                }
                [name] => {
                    names.push(name.to_owned());
                    is_known.push(false);
                }
                _ => return Err(format!("unknown kind of column: {column}").into()),
            }
        }
        let variables = Variables::new(variables)?;
        let mut rows = BTreeMap::new();
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            if cells.len() != categories.len() + names.len() {
                return Err(
                    format!("expected {} values: {line}", categories.len() + names.len()).into(),
                );
            }
            let wrong = |cell: &str| format!("{cell:?} is not a number, in the line {line}");
            let (genes, values) = cells.split_at(categories.len());
            let genes = genes.iter().zip(&categories).map(|(cell, is_category)| {
                let value: i64 = cell.parse().map_err(|_| wrong(cell))?;
                Ok(match is_category {
                    true => Value::Category(value as usize),
                    false => Value::Integer(value),
                })
            });
            let design = Design::new(&variables, genes.collect::<Result<_, String>>()?)?;
            let values = values
                .iter()
                .map(|cell| cell.parse().map_err(|_| wrong(cell)));
            rows.insert(design, values.collect::<Result<Vec<f64>, String>>()?);
        }
        let front = front(rows.values());
        if front.is_empty() {
            return Err("the table has no rows".into());
        }
        Ok(Table {
            variables,
            names,
            is_known,
            parts,
            sizes,
            rows,
            front,
        })
    }

    pub(crate) fn genome_len(&self) -> usize {
        self.variables.len()
    }

    pub(crate) fn objectives(&self) -> &[String] {
        &self.names
    }

    /// The graph of a design, if columns say which edges and nodes there are.
    fn graph(&self, design: &Design) -> Option<Graph> {
        let nodes = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Edge(_, to) => *to,
                Part::Node(node) | Part::Input(node) => node + 1,
                Part::None => 0,
            })
            .max()?;
        if nodes == 0 {
            return None;
        }
        let kinds = self
            .sizes
            .iter()
            .zip(&self.parts)
            .map(|(n, part)| match part {
                Part::Edge(..) => n - 1,
                Part::Node(_) => *n,
                _ => 0,
            })
            .max()?;
        let mut graph = Graph::new(nodes + 1, kinds);
        let mut read = vec![false; nodes + 1];
        let index = |value: &Value| match value {
            Value::Category(index) => *index,
            Value::Integer(value) => *value as usize,
            _ => 0,
        };
        for (value, part) in design.values().iter().zip(&self.parts) {
            match *part {
                Part::Edge(from, to) => {
                    if index(value) > 0 {
                        graph.add_edge(from, to, Some(index(value) - 1));
                        read[from] = true;
                    }
                }
                Part::Node(node) => graph.set_operation(node, index(value)),
                Part::Input(node) => {
                    graph.add_edge(index(value), node, None);
                    read[index(value)] = true;
                }
                Part::None => {}
            }
        }
        if self.parts.iter().any(|part| matches!(part, Part::Input(_))) {
            for node in 1..nodes {
                if !read[node] {
                    graph.add_edge(node, nodes, None);
                }
            }
        }
        Some(graph)
    }

    pub(crate) fn row(&self, design: &Design) -> Option<&[f64]> {
        self.rows.get(design).map(|row| &row[..])
    }

    pub(crate) fn best(&self) -> f64 {
        self.front
            .iter()
            .map(|row| row[0])
            .fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn front(&self) -> &[Vec<f64>] {
        &self.front
    }

    pub(crate) fn ranges(&self) -> Scale {
        ranges(self.rows.values(), self.names.len())
    }

    pub(crate) fn front_ranges(&self) -> Scale {
        ranges(self.front.iter(), self.names.len())
    }

    /// The hypervolume of some rows on a scale, with its worst point as the reference point.
    pub(crate) fn volume<'a>(
        &self,
        rows: impl Iterator<Item = &'a Vec<f64>>,
        scale: &Scale,
    ) -> Result<f64, naschain_nsga::Error> {
        let scaled = |row: &'a Vec<f64>| {
            row.iter()
                .zip(scale)
                .map(|(value, (low, high))| (value - low) / (high - low))
        };
        let points: Vec<f64> = rows
            .filter(|row| row[0].is_finite())
            .flat_map(scaled)
            .collect();
        hypervolume(&points, &vec![1.0; self.names.len()])
    }
}

fn ranges<'a>(rows: impl Iterator<Item = &'a Vec<f64>> + Clone, width: usize) -> Scale {
    let range = |at: usize| {
        let column = rows.clone().map(|row| row[at]);
        let low = column.clone().fold(f64::INFINITY, f64::min);
        (low, column.fold(f64::NEG_INFINITY, f64::max))
    };
    (0..width).map(range).collect()
}

/// The rows that no other row dominates.
fn front<'a>(rows: impl Iterator<Item = &'a Vec<f64>>) -> Vec<Vec<f64>> {
    let mut sorted: Vec<&Vec<f64>> = rows.collect();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let mut front: Vec<Vec<f64>> = Vec::new();
    for row in sorted {
        let dominates =
            |other: &Vec<f64>| other.iter().zip(row).all(|(other, value)| other <= value);
        if !front.iter().any(dominates) {
            front.push(row.clone());
        }
    }
    front
}

impl Space for &Table {
    type Genome = Design;

    fn domain(&self) -> &Variables {
        &self.variables
    }

    fn known_objectives(&self, design: &Design) -> Vec<Option<f64>> {
        let row = self.rows.get(design);
        let known = |(at, is_known): (usize, &bool)| row.map(|row| row[at]).filter(|_| *is_known);
        self.is_known.iter().enumerate().map(known).collect()
    }

    fn graphs(&self, design: &Design) -> Vec<Graph> {
        if std::env::var("NOGRAPH").is_ok() {
            return Vec::new();
        }
        self.graph(design).into_iter().collect()
    }
}
