//! Mean and standard deviation of the grey levels, by which images are normalised.

/// Mean and standard deviation of one colour plane, in the data set's own grey levels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of all pixels; 1 if all are equal, so that it is a valid divisor.
    pub deviation: f64,
    /// Whether all pixels are equal.
    pub constant: bool,
}

impl Moments {
    /// Moments of a plane with this histogram of pixel values.
    pub(super) fn new(counts: &[u64; 256]) -> Moments {
        // The sums are integers, so they are exact in any order.
        let moment = |power| -> f64 {
            let terms = counts.iter().zip(0u64..);
            terms
                .map(|(&count, value)| count * value.pow(power))
                .sum::<u64>() as f64
        };
        let count = moment(0).max(1.0);
        let mean = moment(1) / count;
        let deviation = (moment(2) / count - mean * mean).max(0.0).sqrt();
        Moments {
            mean,
            deviation: if deviation > 0.0 { deviation } else { 1.0 },
            constant: deviation <= 0.0,
        }
    }

    /// The normalised value of each of the 256 pixel values.
    pub(crate) fn table(&self) -> [f32; 256] {
        std::array::from_fn(|value| ((value as f64 - self.mean) / self.deviation) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_match_the_pixels() {
        let mut counts = [0; 256];
        (counts[10], counts[20]) = (3, 1);
        let moments = Moments::new(&counts);
        assert_eq!(moments.mean, 12.5);
        // (3 × 2.5² + 7.5²) / 4 = 18.75
        assert!((moments.deviation - 18.75f64.sqrt()).abs() < 1e-12 && !moments.constant);
        counts[20] = 0;
        let moments = Moments::new(&counts);
        assert_eq!((moments.deviation, moments.constant), (1.0, true));
        assert_eq!(Moments::new(&[0; 256]).mean, 0.0);
    }
}
