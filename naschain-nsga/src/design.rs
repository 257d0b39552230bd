use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use naschain_core::Stream;
use serde::{Deserialize, Serialize};

use crate::genes::check_gene_count;
use crate::reals::{cross_pair, mutated};
use crate::variables::{Variable, VariableKind, Variables};
use crate::{Error, Genes, Mutations, exact, permutation};

/// The value of one variable.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Value {
    /// A real number.
    Real(#[serde(with = "exact")] f64),
    /// A whole number.
    Integer(i64),
    /// The index of a label.
    Category(usize),
    /// An order of the numbers from 0.
    Permutation(Vec<u32>),
}

impl Value {
    /// The place of the kind in the order of values.
    fn kind(&self) -> u8 {
        match self {
            Value::Real(_) => 0,
            Value::Integer(_) => 1,
            Value::Category(_) => 2,
            Value::Permutation(_) => 3,
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Value::Real(a), Value::Real(b)) => a.total_cmp(b),
            (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
            (Value::Category(a), Value::Category(b)) => a.cmp(b),
            (Value::Permutation(a), Value::Permutation(b)) => a.cmp(b),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Value::Real(value) => value.to_bits().hash(state),
            Value::Integer(value) => value.hash(state),
            Value::Category(index) => index.hash(state),
            Value::Permutation(items) => items.hash(state),
        }
    }
}

/// A genome of [`Variables`]: a value for each, in their order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Design(Vec<Value>);

impl Design {
    /// Creates a design of these values.
    ///
    /// # Errors
    /// [`Error::GenomeLength`] if there is not one value for each variable; [`Error::Domain`] names
    /// the first variable that cannot take its value.
    pub fn new(variables: &Variables, values: Vec<Value>) -> Result<Self, Error> {
        // Adding 0 turns -0 into 0, so that equal numbers have equal bits.
        let normal = values.into_iter().map(|value| match value {
            Value::Real(value) => Value::Real(value + 0.0),
            other => other,
        });
        let design = Design(normal.collect());
        design.check(variables, variables.len())?;
        Ok(design)
    }

    /// The design of categories whose labels have these indices, which must be valid.
    #[cfg(feature = "macro-space")]
    pub(crate) fn of_categories(indices: &[u8]) -> Self {
        let values = indices
            .iter()
            .map(|index| Value::Category(usize::from(*index)));
        Design(values.collect())
    }

    /// The values, in the order of the variables.
    pub fn values(&self) -> &[Value] {
        &self.0
    }
}

/// See [`Variables`].
impl Genes for Design {
    type Domain = Variables;
    const DEFAULT_DOMAIN: &'static Variables = &Variables { all: Vec::new() };

    fn random(domain: &Variables, _len: usize, stream: &mut Stream) -> Self {
        let values = domain.all.iter().map(|variable| match &variable.kind {
            VariableKind::Integer {
                low,
                high,
                log: false,
            } => Value::Integer(low + stream.below(high.abs_diff(*low) + 1) as i64),
            VariableKind::Category { labels } => Value::Category(stream.index(labels.len())),
            VariableKind::Permutation { len } => {
                let order = stream.permutation(*len).into_iter();
                Value::Permutation(order.map(|item| item as u32).collect())
            }
            _ => at_unit(variable, stream.unit_f64()),
        });
        Design(values.collect())
    }

    fn nth(domain: &Variables, _len: usize, index: u64) -> Option<Self> {
        let counts: Option<Vec<u64>> = domain.all.iter().map(Variable::count).collect();
        let counts = counts?;
        // More genomes than fit are as good as infinitely many.
        let all = counts
            .iter()
            .try_fold(1u64, |all, count| all.checked_mul(*count));
        let mut rest = index;
        if all.is_some_and(|all| index >= all) {
            return None;
        }
        let mut values = Vec::with_capacity(counts.len());
        // The last variable changes fastest.
        for (variable, count) in domain.all.iter().zip(&counts).rev() {
            let place = rest % count;
            rest /= count;
            values.push(match &variable.kind {
                VariableKind::Integer { low, .. } => Value::Integer(low + place as i64),
                VariableKind::Permutation { len } => {
                    Value::Permutation(permutation::nth(*len, place))
                }
                _ => Value::Category(place as usize),
            });
        }
        values.reverse();
        Some(Design(values))
    }

    fn gene_count(&self) -> usize {
        self.0.len()
    }

    fn check(&self, domain: &Variables, len: usize) -> Result<(), Error> {
        check_gene_count(self.0.len(), len)?;
        check_gene_count(domain.len(), len)?;
        for (variable, value) in domain.all.iter().zip(&self.0) {
            if !variable.admits(value) {
                return Err(variable.invalid(format!("{value:?}"), "one of its values"));
            }
        }
        Ok(())
    }

    fn cross(&mut self, other: &mut Self, domain: &Variables, stream: &mut Stream) {
        let pairs = self.0.iter_mut().zip(&mut other.0);
        for ((one, other), variable) in pairs.zip(&domain.all) {
            match (&mut *one, &mut *other) {
                (Value::Permutation(one), Value::Permutation(other)) => {
                    permutation::order_crossover(one, other, stream);
                }
                (Value::Category(_), _) => {
                    if stream.chance(0.5) {
                        std::mem::swap(one, other);
                    }
                }
                (one, other) => {
                    let places = [unit(variable, one), unit(variable, other)];
                    let (first, second) = cross_pair(places[0], places[1], stream);
                    // A value that keeps its place keeps its bits.
                    let moved = |value: &Value, from: f64, to: f64| {
                        if from == to {
                            value.clone()
                        } else {
                            at_unit(variable, to)
                        }
                    };
                    *one = moved(one, places[0], first);
                    *other = moved(other, places[1], second);
                }
            }
        }
    }

    fn mutate(&mut self, domain: &Variables, mutations: &mut Mutations, stream: &mut Stream) {
        while let Some(index) = mutations.next(stream) {
            if let (Some(value), Some(variable)) = (self.0.get_mut(index), domain.all.get(index)) {
                mutate_value(value, variable, stream);
            }
        }
    }

    fn features(&self, domain: &Variables) -> Vec<f64> {
        let mut features = Vec::new();
        for (variable, value) in domain.all.iter().zip(&self.0) {
            match (value, &variable.kind) {
                (Value::Permutation(items), _) => permutation::features(items, &mut features),
                (Value::Category(index), VariableKind::Category { labels }) => {
                    let of_label = |label| f64::from(u8::from(label == *index));
                    features.extend((0..labels.len()).map(of_label));
                }
                _ => {
                    let place = unit(variable, value);
                    features.extend([place, place * place]);
                }
            }
        }
        features
    }
}

/// The place of a numerical value between 0 and 1.
fn unit(variable: &Variable, value: &Value) -> f64 {
    let number = match value {
        Value::Real(value) => *value,
        Value::Integer(value) => *value as f64,
        _ => 0.0,
    };
    let interval = variable.interval();
    interval.map_or(0.0, |interval| interval.to_unit(number))
}

/// The value of a numerical variable at a place between 0 and 1.
fn at_unit(variable: &Variable, unit: f64) -> Value {
    let value = variable
        .interval()
        .map_or(0.0, |interval| interval.value_at(unit));
    match variable.kind {
        VariableKind::Integer { low, high, .. } => {
            Value::Integer((value.round() as i64).clamp(low, high))
        }
        _ => Value::Real(value),
    }
}

fn mutate_value(value: &mut Value, variable: &Variable, stream: &mut Stream) {
    match (&mut *value, &variable.kind) {
        (Value::Category(index), VariableKind::Category { labels }) => {
            if labels.len() > 1 {
                let other = stream.index(labels.len() - 1);
                *index = other + usize::from(other >= *index);
            }
        }
        (Value::Permutation(items), _) => permutation::swap_or_invert(items, stream),
        _ => {
            let before = value.clone();
            let uniform = stream.unit_f64();
            let moved = at_unit(variable, mutated(unit(variable, value), uniform));
            *value = match (moved, &before, &variable.kind) {
                // A move that rounds to nothing becomes a step of 1.
                (
                    Value::Integer(after),
                    Value::Integer(at),
                    VariableKind::Integer { low, high, .. },
                ) if after == *at => {
                    let up = (uniform >= 0.5 && at < high) || at == low;
                    Value::Integer((if up { at + 1 } else { at - 1 }).clamp(*low, *high))
                }
                (moved, _, _) => moved,
            };
        }
    }
}
