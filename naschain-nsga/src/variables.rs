use serde::{Deserialize, Serialize};

use crate::interval::Interval;
use crate::{Design, Error, Space, Value, exact, permutation};

/// A named variable and the values that it can take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Variable {
    /// The name, unique among the variables of a space.
    pub name: String,
    /// The values.
    pub kind: VariableKind,
}

/// The values that a variable can take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
#[non_exhaustive]
pub enum VariableKind {
    /// Real numbers.
    Real {
        /// The smallest value.
        #[serde(with = "exact")]
        low: f64,
        /// The largest value.
        #[serde(with = "exact")]
        high: f64,
        /// Whether the scale is logarithmic, for values above 0.
        log: bool,
    },
    /// Whole numbers.
    Integer {
        /// The smallest value.
        low: i64,
        /// The largest value.
        high: i64,
        /// Whether the scale is logarithmic, for values above 0.
        log: bool,
    },
    /// One of several labels, which have no order.
    Category {
        /// The labels.
        labels: Vec<String>,
    },
    /// An order of the numbers from 0 to `len` - 1.
    Permutation {
        /// The number of items.
        len: usize,
    },
}

impl Variable {
    fn new(name: impl Into<String>, kind: VariableKind) -> Self {
        let name = name.into();
        Variable { name, kind }
    }

    /// A real variable between two bounds, both included.
    pub fn real(name: impl Into<String>, low: f64, high: f64) -> Self {
        let log = false;
        Variable::new(name, VariableKind::Real { low, high, log })
    }

    /// A real variable on a logarithmic scale, such as a learning rate; the bounds are above 0.
    pub fn log_real(name: impl Into<String>, low: f64, high: f64) -> Self {
        let log = true;
        Variable::new(name, VariableKind::Real { low, high, log })
    }

    /// An integer variable between two bounds, both included.
    pub fn integer(name: impl Into<String>, low: i64, high: i64) -> Self {
        let log = false;
        Variable::new(name, VariableKind::Integer { low, high, log })
    }

    /// An integer variable on a logarithmic scale, such as a width; the bounds are above 0.
    pub fn log_integer(name: impl Into<String>, low: i64, high: i64) -> Self {
        let log = true;
        Variable::new(name, VariableKind::Integer { low, high, log })
    }

    /// A variable that takes one of several labels.
    pub fn category<L: Into<String>>(
        name: impl Into<String>,
        labels: impl IntoIterator<Item = L>,
    ) -> Self {
        let labels = labels.into_iter().map(L::into).collect();
        Variable::new(name, VariableKind::Category { labels })
    }

    /// An order of `len` items.
    pub fn permutation(name: impl Into<String>, len: usize) -> Self {
        Variable::new(name, VariableKind::Permutation { len })
    }

    pub(crate) fn invalid(&self, found: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::Domain {
            variable: self.name.clone(),
            found: found.into(),
            expected: expected.into(),
        }
    }

    fn validate(&self) -> Result<(), Error> {
        match &self.kind {
            VariableKind::Real { low, high, log } => {
                let holds = low <= high && (high - low).is_finite() && (!log || *low > 0.0);
                let expected = "finite, in order and, if logarithmic, above 0";
                holds
                    .then_some(())
                    .ok_or_else(|| self.invalid(format!("bounds {low:?} and {high:?}"), expected))
            }
            VariableKind::Integer { low, high, log } => {
                let most = MAX_INTEGER;
                let within = -most <= *low && *high <= most;
                let holds = low <= high && within && (!log || *low > 0);
                let expected = "in order, within ±2^51 and, if logarithmic, above 0";
                holds
                    .then_some(())
                    .ok_or_else(|| self.invalid(format!("bounds {low} and {high}"), expected))
            }
            VariableKind::Category { labels } => {
                let mut sorted = labels.clone();
                sorted.sort();
                sorted.dedup();
                let holds = (1..=MAX_ITEMS).contains(&labels.len()) && sorted.len() == labels.len();
                holds.then_some(()).ok_or_else(|| {
                    self.invalid(format!("labels {labels:?}"), "1 to 4,096 different labels")
                })
            }
            VariableKind::Permutation { len } => {
                let holds = (1..=MAX_ITEMS).contains(len);
                holds
                    .then_some(())
                    .ok_or_else(|| self.invalid(format!("{len} items"), "1 to 4,096 items"))
            }
        }
    }

    /// The interval of a numerical variable. That of integers reaches half a unit beyond the bounds,
    /// so that each of them has the same share on a linear scale.
    pub(crate) fn interval(&self) -> Option<Interval> {
        match self.kind {
            VariableKind::Real { low, high, log } => Some(Interval { low, high, log }),
            VariableKind::Integer { low, high, log } => Some(Interval {
                low: low as f64 - 0.5,
                high: high as f64 + 0.5,
                log,
            }),
            _ => None,
        }
    }

    /// The number of values, if it is finite and fits.
    pub(crate) fn count(&self) -> Option<u64> {
        match &self.kind {
            VariableKind::Real { .. } => None,
            VariableKind::Integer { low, high, .. } => Some(high.abs_diff(*low) + 1),
            VariableKind::Category { labels } => Some(labels.len() as u64),
            VariableKind::Permutation { len } => permutation::count(*len),
        }
    }

    /// Whether a value is one of this variable.
    pub(crate) fn admits(&self, value: &Value) -> bool {
        match (&self.kind, value) {
            (VariableKind::Real { low, high, .. }, Value::Real(value)) => {
                (low..=high).contains(&value)
            }
            (VariableKind::Integer { low, high, .. }, Value::Integer(value)) => {
                (low..=high).contains(&value)
            }
            (VariableKind::Category { labels }, Value::Category(index)) => *index < labels.len(),
            (VariableKind::Permutation { len }, Value::Permutation(items)) => {
                items.len() == *len && permutation::is_permutation(items)
            }
            _ => false,
        }
    }
}

/// A space of named variables of several kinds, whose genomes are [`Design`]s. Each variable is one
/// gene, so that the configuration's `genome_len` is [`Variables::len`].
///
/// Crossover and mutation suit the kinds: simulated binary crossover and polynomial mutation of real
/// and, rounded, of integer variables (Deb and Agrawal 1995; Deb 2001), on their scale; uniform
/// crossover (Syswerda 1989) and a random other label of categories; order crossover (Davis 1985) and
/// swaps or inversions of permutations. The surrogate learns from places on the scale, from one input
/// for each label, and from positions and neighbours in permutations.
///
/// ```
/// use naschain_nsga::{Mode, Objective, Outcome, Search, SearchConfig, Variable, Variables};
///
/// let variables = Variables::new([
///     Variable::log_real("rate", 1e-4, 1.0),
///     Variable::integer("layers", 1, 8),
///     Variable::category("activation", ["relu", "tanh"]),
///     Variable::permutation("order", 4),
/// ])?;
/// let objectives = vec![Objective::minimize("loss"), Objective::minimize("layers")];
/// let mut config = SearchConfig::new(variables.len(), objectives);
/// config.mode = Mode::Nsga2;
/// let mut search = Search::in_space(config, variables.clone())?;
/// search.run(2, |candidate| {
///     let design = &candidate.genome;
///     let (rate, layers) = (variables.real(design, "rate"), variables.integer(design, "layers"));
///     let tanh = variables.category(design, "activation").map(|label| label == "tanh");
///     let first = variables.permutation(design, "order").map(|order| order[0]);
///     match (rate, layers, tanh, first) {
///         (Ok(rate), Ok(layers), Ok(tanh), Ok(first)) => {
///             let layers = layers as f64;
///             let loss = (rate - 0.01).abs() + f64::from(tanh) + f64::from(first) + 1.0 / layers;
///             Outcome::objectives([loss, layers])
///         }
///         _ => Outcome::Failed("a variable has another name".to_owned()),
///     }
/// })?;
/// let best = search.front()[0];
/// assert_eq!(variables.category(&best.genome, "activation")?, "relu");
/// # Ok::<(), naschain_nsga::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Variable>", into = "Vec<Variable>")]
pub struct Variables {
    pub(crate) all: Vec<Variable>,
}

impl TryFrom<Vec<Variable>> for Variables {
    type Error = Error;

    fn try_from(all: Vec<Variable>) -> Result<Self, Error> {
        Variables::new(all)
    }
}

impl From<Variables> for Vec<Variable> {
    fn from(variables: Variables) -> Self {
        variables.all
    }
}

impl Variables {
    /// Creates a space of these variables.
    ///
    /// # Errors
    /// [`Error::Domain`] names a variable with invalid bounds, labels or length, or a name that occurs
    /// twice.
    pub fn new(variables: impl IntoIterator<Item = Variable>) -> Result<Self, Error> {
        let all: Vec<Variable> = variables.into_iter().collect();
        let mut names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        names.sort_unstable();
        for variable in &all {
            variable.validate()?;
            let name = variable.name.as_str();
            let first = names.partition_point(|other| *other < name);
            if names.get(first + 1) == Some(&name) {
                return Err(variable.invalid("two variables have this name", "unique"));
            }
        }
        Ok(Variables { all })
    }

    /// The number of variables.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are no variables.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The variables, in the order of a design's values.
    pub fn iter(&self) -> std::slice::Iter<'_, Variable> {
        self.all.iter()
    }

    fn value<'a>(&self, design: &'a Design, name: &str) -> Result<(&Variable, &'a Value), Error> {
        let at = self.all.iter().position(|variable| variable.name == name);
        let found = at.and_then(|at| Some((&self.all[at], design.values().get(at)?)));
        found.ok_or_else(|| {
            let names: Vec<&str> = self.all.iter().map(|one| one.name.as_str()).collect();
            Error::Domain {
                variable: name.to_owned(),
                found: "no such variable".to_owned(),
                expected: format!("one of {}", names.join(", ")),
            }
        })
    }

    /// The value of a real variable.
    ///
    /// # Errors
    /// [`Error::Domain`] if no variable has this name, or if it has another kind.
    pub fn real(&self, design: &Design, name: &str) -> Result<f64, Error> {
        match self.value(design, name)? {
            (_, Value::Real(value)) => Ok(*value),
            (variable, other) => Err(variable.invalid(format!("{other:?}"), "a real variable")),
        }
    }

    /// The value of an integer variable.
    ///
    /// # Errors
    /// As [`Variables::real`].
    pub fn integer(&self, design: &Design, name: &str) -> Result<i64, Error> {
        match self.value(design, name)? {
            (_, Value::Integer(value)) => Ok(*value),
            (variable, other) => Err(variable.invalid(format!("{other:?}"), "an integer variable")),
        }
    }

    /// The label of a categorical variable.
    ///
    /// # Errors
    /// As [`Variables::real`].
    pub fn category(&self, design: &Design, name: &str) -> Result<&str, Error> {
        let (variable, value) = self.value(design, name)?;
        let label = match (&variable.kind, value) {
            (VariableKind::Category { labels }, Value::Category(index)) => labels.get(*index),
            _ => None,
        };
        let wrong = || variable.invalid(format!("{value:?}"), "a category");
        label.map(String::as_str).ok_or_else(wrong)
    }

    /// The order of a permutation.
    ///
    /// # Errors
    /// As [`Variables::real`].
    pub fn permutation<'a>(&self, design: &'a Design, name: &str) -> Result<&'a [u32], Error> {
        match self.value(design, name)? {
            (_, Value::Permutation(items)) => Ok(items),
            (variable, other) => Err(variable.invalid(format!("{other:?}"), "a permutation")),
        }
    }
}

impl Space for Variables {
    type Genome = Design;

    fn domain(&self) -> &Variables {
        self
    }
}

/// Maximum number of labels of a category, and of items of a permutation.
const MAX_ITEMS: usize = 4096;

/// Maximum size of an integer, so that halves around it are exact.
const MAX_INTEGER: i64 = 1 << 51;
