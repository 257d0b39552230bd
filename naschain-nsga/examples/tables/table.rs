//! A table of evaluated designs.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::error::Error;

use naschain_nsga::{Design, OperationGraph, Space, Value, Variable, Variables, hypervolume};

use crate::column::Column;

/// Lines of numbers separated by commas, after a first line that names the columns: those of the
/// variables, whose values are whole numbers from 0, and those of the objectives, all to minimise.
/// A design without a line fails.
///
/// | column | |
/// | --- | --- |
/// | `category:NAME:COUNT` | a variable with values without an order |
/// | `integer:NAME:COUNT` | a variable with values in order |
/// | `edge:FROM-TO:COUNT` | the operation on an edge of a graph; 0 is no edge |
/// | `node:NODE:COUNT` | the operation of a node |
/// | `input:NODE:COUNT` | the node whose value a node reads |
/// | `NAME` | an objective that is evaluated |
/// | `known:NAME` | an objective that is known without an evaluation |
///
/// Node 0 is the input of a graph. Its output is the node with the highest number or, where nodes have
/// inputs, a further node that reads all those that no other reads.
pub(crate) struct Table {
    variables: Variables,
    columns: Vec<Column>,
    names: Vec<String>,
    is_known: Vec<bool>,
    rows: BTreeMap<Design, Vec<f64>>,
    front: Vec<Vec<f64>>,
}

/// The best and the worst value of each objective.
pub(crate) type Scale = Vec<(f64, f64)>;

impl Table {
    /// Reads a table with at most this number of objectives, the first ones.
    pub(crate) fn parse(text: &str, objectives: usize) -> Result<Self, Box<dyn Error>> {
        let mut lines = text.lines();
        let (mut columns, mut names, mut is_known) = (Vec::new(), Vec::new(), Vec::new());
        for name in lines.next().unwrap_or_default().split(',') {
            match name.split(':').collect::<Vec<_>>()[..] {
                [kind, name, count] => columns.push(Column::parse(kind, name, count)?),
                ["known", name] => {
                    names.push(name.to_owned());
                    is_known.push(true);
                }
                [name] => {
                    names.push(name.to_owned());
                    is_known.push(false);
                }
                _ => return Err(format!("unknown kind of column: {name}").into()),
            }
        }
        let variables = columns.iter().map(Column::variable);
        let variables = Variables::new(variables.collect::<Vec<Variable>>())?;
        let mut rows = BTreeMap::new();
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            let expected = columns.len() + names.len();
            if cells.len() != expected {
                return Err(format!("expected {expected} numbers: {line}").into());
            }
            let (genes, values) = cells.split_at(columns.len());
            let genes = genes.iter().zip(&columns);
            let genes = genes.map(|(cell, column)| Ok(column.value(number(cell, line)?)));
            let design = Design::new(&variables, genes.collect::<Result<_, String>>()?)?;
            let values = values.iter().take(objectives);
            let values = values.map(|cell| number(cell, line));
            rows.insert(design, values.collect::<Result<Vec<f64>, String>>()?);
        }
        names.truncate(objectives);
        is_known.truncate(objectives);
        let front = non_dominated(rows.values().cloned(), Vec::clone);
        if front.is_empty() {
            return Err("the table has no rows".into());
        }
        Ok(Table {
            variables,
            columns,
            names,
            is_known,
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

    pub(crate) fn row(&self, design: &Design) -> Option<&[f64]> {
        self.rows.get(design).map(|row| &row[..])
    }

    /// The best value of the first objective.
    pub(crate) fn best(&self) -> f64 {
        let values = self.front.iter().map(|row| row[0]);
        values.fold(f64::INFINITY, f64::min)
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

    /// The interquartile range of each objective that has to be evaluated; 0 for the others.
    pub(crate) fn spreads(&self) -> Vec<f64> {
        let spread = |at: usize| {
            let mut column: Vec<f64> = self.rows.values().map(|row| row[at]).collect();
            column.sort_by(f64::total_cmp);
            column[(column.len() - 1) * 3 / 4] - column[(column.len() - 1) / 4]
        };
        let objectives = self.is_known.iter().enumerate();
        objectives
            .map(|(at, is_known)| if *is_known { 0.0 } else { spread(at) })
            .collect()
    }

    /// The hypervolume of some rows on a scale, with its worst point as the reference point.
    pub(crate) fn volume<'a>(
        &self,
        rows: impl Iterator<Item = &'a Vec<f64>>,
        scale: &Scale,
    ) -> Result<f64, naschain_nsga::Error> {
        let scaled = |row: &'a Vec<f64>| {
            let cells = row.iter().zip(scale);
            cells.map(|(value, (low, high))| (value - low) / (high - low))
        };
        let points: Vec<f64> = rows.flat_map(scaled).collect();
        hypervolume(&points, &vec![1.0; self.names.len()])
    }
}

fn number<T: std::str::FromStr>(cell: &str, line: &str) -> Result<T, String> {
    let number = cell.trim().parse();
    number.map_err(|_| format!("{cell:?} is not a number of this column, in the line {line}"))
}

fn ranges<'a>(rows: impl Iterator<Item = &'a Vec<f64>> + Clone, width: usize) -> Scale {
    let range = |at: usize| {
        let column = rows.clone().map(|row| row[at]);
        let low = column.clone().fold(f64::INFINITY, f64::min);
        (low, column.fold(f64::NEG_INFINITY, f64::max))
    };
    (0..width).map(range).collect()
}

/// The items whose values no other item's dominate; of several with equal values, the first.
pub(crate) fn non_dominated<T>(
    items: impl Iterator<Item = T>,
    values: impl Fn(&T) -> Vec<f64>,
) -> Vec<T> {
    let mut sorted: Vec<(Vec<f64>, T)> = items.map(|item| (values(&item), item)).collect();
    sorted.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal));
    let mut front: Vec<(Vec<f64>, T)> = Vec::new();
    for (row, item) in sorted {
        let is_better = |other: &(Vec<f64>, T)| other.0.iter().zip(&row).all(|(a, b)| a <= b);
        if !front.iter().any(is_better) {
            front.push((row, item));
        }
    }
    front.into_iter().map(|(_, item)| item).collect()
}

impl Space for &Table {
    type Genome = Design;

    fn domain(&self) -> &Variables {
        &self.variables
    }

    fn known_objectives(&self, design: &Design) -> Vec<Option<f64>> {
        let row = self.rows.get(design);
        let objectives = self.is_known.iter().enumerate();
        objectives
            .map(|(at, is_known)| row.map(|row| row[at]).filter(|_| *is_known))
            .collect()
    }

    fn graphs(&self, design: &Design) -> Vec<OperationGraph> {
        let indices = design.values().iter().map(|value| match value {
            Value::Category(index) => *index,
            _ => 0,
        });
        let indices: Vec<usize> = indices.collect();
        Column::graph(&self.columns, &indices).into_iter().collect()
    }
}
