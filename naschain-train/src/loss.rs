//! Softmax cross-entropy and its gradient.

use crate::math;

/// The softmax cross-entropy of one batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Loss {
    /// The sum of the images' losses.
    pub(crate) sum: f64,
    /// Number of images whose largest logit is that of their label. Of equal logits the first
    /// counts.
    pub(crate) correct: u64,
}

/// Computes [`Loss`] and its gradient. It runs on the host in doubles, also for GPUs, so that exp
/// and ln are those of [`math`]. The buffers are reused from step to step.
#[derive(Debug, Default)]
pub(crate) struct CrossEntropy {
    /// Gradient of the batch's mean loss with respect to each logit, images × classes.
    pub(crate) gradient: Vec<f32>,
    powers: Vec<f64>,
}

impl CrossEntropy {
    /// `logits` holds images × classes values, `labels` one label per image. The target is 1 at
    /// the label and 0 elsewhere; the fraction `smoothing` of it is spread evenly over all
    /// classes (Szegedy et al. 2016).
    pub(crate) fn compute(&mut self, logits: &[f32], labels: &[u16], smoothing: f64) -> Loss {
        let classes = logits.len() / labels.len();
        let share = smoothing / classes as f64;
        let mut loss = Loss {
            sum: 0.0,
            correct: 0,
        };
        self.gradient.clear();
        for (row, &label) in logits.chunks_exact(classes).zip(labels) {
            let label = usize::from(label);
            let (best, largest) = first_maximum(row);
            let total = fill_powers(row, largest, &mut self.powers);
            let own = f64::from(row[label]) - largest;
            let all = row
                .iter()
                .fold(0.0, |sum, &logit| sum + (f64::from(logit) - largest));
            loss.sum += math::ln(total) - share.mul_add(all, (1.0 - smoothing) * own);
            loss.correct += u64::from(best == label);
            for (class, power) in self.powers.iter().enumerate() {
                let hit = if class == label { 1.0 - smoothing } else { 0.0 };
                let target = hit + share;
                let gradient = (power / total - target) / labels.len() as f64;
                self.gradient.push(gradient as f32);
            }
        }
        loss
    }
}

/// Softmax: the class probabilities of one image's logits.
///
/// ```
/// let even = naschain_train::probabilities(&[1.5, 1.5]);
/// assert_eq!(even, [0.5, 0.5]);
/// ```
pub fn probabilities(logits: &[f32]) -> Vec<f64> {
    if logits.is_empty() {
        return Vec::new();
    }
    let mut powers = Vec::new();
    let total = fill_powers(logits, first_maximum(logits).1, &mut powers);
    powers.iter().map(|power| power / total).collect()
}

/// Sets `powers` to e^(logit − largest) for each logit and returns their sum.
fn fill_powers(row: &[f32], largest: f64, powers: &mut Vec<f64>) -> f64 {
    let power = |&logit: &f32| math::exp(f64::from(logit) - largest);
    powers.clear();
    powers.extend(row.iter().map(power));
    powers.iter().fold(0.0, |sum, power| sum + power)
}

/// Number of images whose largest logit is that of their label. Of equal logits the first counts.
pub(crate) fn correct(logits: &[f32], labels: &[u16]) -> u64 {
    let classes = logits.len() / labels.len();
    let rows = logits.chunks_exact(classes).zip(labels);
    rows.filter(|(row, label)| first_maximum(row).0 == usize::from(**label))
        .count() as u64
}

fn first_maximum(row: &[f32]) -> (usize, f64) {
    let mut best = 0;
    for (class, logit) in row.iter().enumerate() {
        if *logit > row[best] {
            best = class;
        }
    }
    (best, f64::from(row[best]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss_and_gradient(logits: &[f32], labels: &[u16], smoothing: f64) -> (Loss, Vec<f32>) {
        let mut computed = CrossEntropy::default();
        let loss = computed.compute(logits, labels, smoothing);
        (loss, computed.gradient)
    }

    #[test]
    fn equal_logits_give_the_logarithm_of_the_number_of_classes() {
        let (loss, gradient) = loss_and_gradient(&[3.0; 8], &[0, 1], 0.0);
        assert!((loss.sum - 2.0 * 4f64.ln()).abs() < 1e-15);
        assert_eq!(loss.correct, 1, "the first of equal logits counts");
        assert_eq!(gradient[..2], [-0.375, 0.125]);
    }

    #[test]
    fn gradient_matches_finite_differences() {
        let logits = [0.3f32, -1.0, 2.0, 0.7, 0.1, -0.4];
        let labels = [2, 0];
        for smoothing in [0.0, 0.1] {
            let (_, gradient) = loss_and_gradient(&logits, &labels, smoothing);
            for index in 0..logits.len() {
                let shifted = |by: f32| {
                    let mut logits = logits;
                    logits[index] += by;
                    loss_and_gradient(&logits, &labels, smoothing).0.sum / 2.0
                };
                let quotient = (shifted(1e-3) - shifted(-1e-3)) / 2e-3;
                assert!((quotient - f64::from(gradient[index])).abs() < 1e-4);
            }
        }
    }

    // Reference: torch.nn.functional.cross_entropy(label_smoothing=0.1), PyTorch 2.15, in double
    // precision; the logits here are single precision.
    #[test]
    fn label_smoothing_matches_pytorch() {
        let (loss, _) = loss_and_gradient(&[0.3, -1.0, 2.0, 0.7, 0.1, -0.4], &[2, 0], 0.1);
        let mean = loss.sum / 2.0;
        assert!((mean - 0.527_260_270_054_394_6).abs() < 1e-7, "{mean}");
    }

    #[test]
    fn large_logits_give_a_finite_loss_and_nan_does_not() {
        assert!(loss_and_gradient(&[1e4, -1e4], &[1], 0.1).0.sum.is_finite());
        assert!(
            !loss_and_gradient(&[f32::NAN, 0.0], &[0], 0.0)
                .0
                .sum
                .is_finite()
        );
    }
}
