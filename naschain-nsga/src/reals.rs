use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use naschain_core::Stream;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::genes::check_gene_count;
use crate::{Error, Genes, Mutations, Space, exact};

/// A genome of real variables, each between 0 and 1.
///
/// The caller maps them to the ranges that it searches, for example `low + x * (high - low)`, or a power
/// for a learning rate. Vectors are ordered lexicographically. In JSON the variables are written as
/// strings, so that every reader reads them exactly; plain numbers are accepted on reading.
#[derive(Clone, Debug, PartialEq)]
pub struct RealVector(Vec<f64>);

impl RealVector {
    /// Creates a vector of these variables.
    ///
    /// # Errors
    /// [`Error::Variable`] names the first variable that is not between 0 and 1.
    pub fn new(values: Vec<f64>) -> Result<Self, Error> {
        match values.iter().position(|value| !(0.0..=1.0).contains(value)) {
            Some(index) => Err(Error::Variable {
                index,
                found: values[index],
            }),
            // Adding 0 turns -0 into 0, so that equal vectors have equal bits.
            None => Ok(RealVector(
                values.into_iter().map(|value| value + 0.0).collect(),
            )),
        }
    }

    /// The variables.
    pub fn values(&self) -> &[f64] {
        &self.0
    }
}

impl TryFrom<Vec<f64>> for RealVector {
    type Error = Error;

    fn try_from(values: Vec<f64>) -> Result<Self, Error> {
        RealVector::new(values)
    }
}

impl From<RealVector> for Vec<f64> {
    fn from(vector: RealVector) -> Self {
        vector.0
    }
}

impl Serialize for RealVector {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        exact::list::serialize(&self.0, to)
    }
}

impl<'de> Deserialize<'de> for RealVector {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let values: Vec<f64> = exact::list::deserialize(from)?;
        RealVector::new(values).map_err(serde::de::Error::custom)
    }
}

impl Eq for RealVector {}

impl Hash for RealVector {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Equal variables have equal bits, since none is NaN or -0.
        self.0.iter().for_each(|value| value.to_bits().hash(state));
    }
}

impl Ord for RealVector {
    fn cmp(&self, other: &Self) -> Ordering {
        // No variable is NaN.
        self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for RealVector {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The space of all vectors of variables between 0 and 1, in which all vectors differ and nothing is
/// known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reals;

impl Space for Reals {
    type Genome = RealVector;
}

/// Simulated binary crossover (Deb and Agrawal 1995) with index 15 and polynomial mutation with
/// index 20, both within the bounds (Deb 2001).
impl Genes for RealVector {
    type Domain = ();
    const DEFAULT_DOMAIN: &'static () = &();

    fn random(_domain: &(), len: usize, stream: &mut Stream) -> Self {
        RealVector((0..len).map(|_| stream.unit_f64()).collect())
    }

    fn nth(_domain: &(), _len: usize, _index: u64) -> Option<Self> {
        None
    }

    fn gene_count(&self) -> usize {
        self.0.len()
    }

    fn check(&self, _domain: &(), len: usize) -> Result<(), Error> {
        check_gene_count(self.0.len(), len)
    }

    fn cross(&mut self, other: &mut Self, _domain: &(), stream: &mut Stream) {
        for (one, other) in self.0.iter_mut().zip(&mut other.0) {
            (*one, *other) = cross_pair(*one, *other, stream);
        }
    }

    fn mutate(&mut self, _domain: &(), mutations: &mut Mutations, stream: &mut Stream) {
        while let Some(index) = mutations.next(stream) {
            self.0[index] = mutated(self.0[index], stream.unit_f64());
        }
    }

    /// Each variable and its square.
    fn features(&self, _domain: &()) -> Vec<f64> {
        let values = self.0.iter();
        values.flat_map(|value| [*value, value * value]).collect()
    }
}

/// The children of one variable of two parents.
pub(crate) fn cross_pair(one: f64, other: f64, stream: &mut Stream) -> (f64, f64) {
    // Half of the variables are crossed, and half of those are swapped. Without swaps, each child would
    // be near the same parent in all variables.
    let choice = stream.below(4);
    if choice >= 2 || one == other {
        return (one, other);
    }
    let (low, high) = crossed(one.min(other), one.max(other), stream.unit_f64());
    if (one < other) == (choice == 0) {
        (low, high)
    } else {
        (high, low)
    }
}

/// Simulated binary crossover of one variable with parents `low` < `high` and a uniform number.
fn crossed(low: f64, high: f64, uniform: f64) -> (f64, f64) {
    let gap = high - low;
    // `margin` is the distance to the bound on that side, which no child exceeds.
    let spread = |margin: f64| {
        let alpha = 2.0 - 1.0 / power(1.0 + 2.0 * margin / gap, 16);
        let share = uniform * alpha;
        root16(if share <= 1.0 {
            share
        } else {
            1.0 / (2.0 - share)
        })
    };
    let middle = 0.5 * (low + high);
    let one = middle - 0.5 * gap * spread(low);
    let other = middle + 0.5 * gap * spread(1.0 - high);
    (one.clamp(0.0, 1.0) + 0.0, other.clamp(0.0, 1.0) + 0.0)
}

/// Polynomial mutation of one variable with a uniform number.
pub(crate) fn mutated(value: f64, uniform: f64) -> f64 {
    let moved = if uniform < 0.5 {
        let rest = power(1.0 - value, 21);
        value + root21(2.0 * uniform + (1.0 - 2.0 * uniform) * rest) - 1.0
    } else {
        let rest = power(value, 21);
        value + 1.0 - root21(2.0 * (1.0 - uniform) + (2.0 * uniform - 1.0) * rest)
    };
    moved.clamp(0.0, 1.0) + 0.0
}

// Powers and roots are computed by +, ×, ÷ and √ alone, which give the same bits on every machine.

fn power(base: f64, exponent: u32) -> f64 {
    (0..exponent).fold(1.0, |product, _| product * base)
}

fn root16(value: f64) -> f64 {
    value.sqrt().sqrt().sqrt().sqrt()
}

/// The 21st root of a number in [0, 1] by Newton's method. It starts above the root, from where it
/// decreases monotonically.
fn root21(value: f64) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    let mut root = root16(value).sqrt();
    loop {
        let next = (20.0 * root + value / power(root, 20)) / 21.0;
        if next >= root {
            return root;
        }
        root = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::Purpose;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn roots_invert_powers(value in 0.0..=1.0f64) {
            prop_assert!((power(root21(value), 21) - value).abs() <= 1e-13 * value);
            prop_assert!((power(root16(value), 16) - value).abs() <= 1e-13 * value);
        }

        #[test]
        fn children_stay_in_bounds_and_keep_their_mean(a in 0.0..=1.0f64, b in 0.0..=1.0f64, u in 0.0..1.0f64) {
            prop_assume!(a != b);
            let (low, high) = crossed(a.min(b), a.max(b), u);
            prop_assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high));
            // Children of parents at equal distances from the bounds are symmetric.
            let (low, high) = crossed(0.5 - a / 2.0, 0.5 + a / 2.0, u);
            prop_assert!((low + high - 1.0).abs() < 1e-12, "{} {}", low, high);
        }

        #[test]
        fn mutation_stays_in_bounds_and_is_monotonic(value in 0.0..=1.0f64, u in 0.0..1.0f64) {
            let moved = mutated(value, u);
            prop_assert!((0.0..=1.0).contains(&moved));
            prop_assert!((moved - value) * (u - 0.5) >= -1e-15);
        }
    }

    /// Deb's formulas, computed with the standard library's power function.
    #[test]
    fn variation_matches_the_published_formulas() {
        let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
        for _ in 0..1000 {
            let (a, b, u) = (stream.unit_f64(), stream.unit_f64(), stream.unit_f64());
            let (low, high) = (a.min(b), a.max(b));
            let beta = 1.0 + 2.0 * low / (high - low);
            let alpha = 2.0 - beta.powf(-16.0);
            let spread = if u <= 1.0 / alpha {
                (u * alpha).powf(1.0 / 16.0)
            } else {
                (1.0 / (2.0 - u * alpha)).powf(1.0 / 16.0)
            };
            let expected = 0.5 * ((low + high) - spread * (high - low));
            assert!((crossed(low, high, u).0 - expected.max(0.0)).abs() < 1e-12);
            let expected = if u < 0.5 {
                (2.0 * u + (1.0 - 2.0 * u) * (1.0 - a).powf(21.0)).powf(1.0 / 21.0) - 1.0
            } else {
                1.0 - (2.0 * (1.0 - u) + 2.0 * (u - 0.5) * a.powf(21.0)).powf(1.0 / 21.0)
            };
            assert!((mutated(a, u) - (a + expected).clamp(0.0, 1.0)).abs() < 1e-12);
        }
    }
}
