use crate::math;

/// Softmax cross-entropy of one batch, computed on the host so that exp and ln are ours.
pub(crate) struct Loss {
    /// The sum of the images' losses.
    pub(crate) sum: f64,
    /// Images whose largest logit is that of their label; the first largest counts.
    pub(crate) correct: u64,
    /// The mean loss's gradient by each logit, images × classes.
    pub(crate) gradient: Vec<f32>,
}

impl Loss {
    /// `logits` holds images × classes numbers, `labels` one label an image. A target is 1 at
    /// the label and 0 elsewhere; of that, the part `smoothing` is shared out evenly among all
    /// classes (Szegedy et al. 2016).
    pub(crate) fn new(logits: &[f32], labels: &[u16], smoothing: f64) -> Loss {
        let classes = logits.len() / labels.len();
        let share = smoothing / classes as f64;
        let mut loss = Loss {
            sum: 0.0,
            correct: 0,
            gradient: Vec::with_capacity(logits.len()),
        };
        for (row, &label) in logits.chunks_exact(classes).zip(labels) {
            let label = usize::from(label);
            let (best, largest) = first_maximum(row);
            let (powers, total) = powers(row, largest);
            let own = f64::from(row[label]) - largest;
            let all = row
                .iter()
                .fold(0.0, |sum, &logit| sum + (f64::from(logit) - largest));
            loss.sum += math::ln(total) - share.mul_add(all, (1.0 - smoothing) * own);
            loss.correct += u64::from(best == label);
            for (class, power) in powers.iter().enumerate() {
                let hit = if class == label { 1.0 - smoothing } else { 0.0 };
                let target = hit + share;
                let gradient = (power / total - target) / labels.len() as f64;
                loss.gradient.push(gradient as f32);
            }
        }
        loss
    }
}

/// The probabilities that one image's logits stand for (softmax).
///
/// ```
/// let even = naschain_train::probabilities(&[1.5, 1.5]);
/// assert_eq!(even, [0.5, 0.5]);
/// ```
pub fn probabilities(logits: &[f32]) -> Vec<f64> {
    if logits.is_empty() {
        return Vec::new();
    }
    let (powers, total) = powers(logits, first_maximum(logits).1);
    powers.iter().map(|power| power / total).collect()
}

/// e to each logit, relative to the largest, and their sum.
fn powers(row: &[f32], largest: f64) -> (Vec<f64>, f64) {
    let power = |&logit: &f32| math::exp(f64::from(logit) - largest);
    let powers: Vec<f64> = row.iter().map(power).collect();
    let total = powers.iter().fold(0.0, |sum, power| sum + power);
    (powers, total)
}

/// How many images have their largest logit at their label; the first largest counts.
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

    #[test]
    fn equal_logits_cost_the_logarithm_of_the_classes() {
        let loss = Loss::new(&[3.0; 8], &[0, 1], 0.0);
        assert!((loss.sum - 2.0 * 4f64.ln()).abs() < 1e-15);
        assert_eq!(loss.correct, 1, "the first of equal logits counts");
        assert_eq!(loss.gradient[..2], [-0.375, 0.125]);
    }

    #[test]
    fn the_gradient_is_the_difference_quotient() {
        let logits = [0.3f32, -1.0, 2.0, 0.7, 0.1, -0.4];
        let labels = [2, 0];
        for smoothing in [0.0, 0.1] {
            let loss = Loss::new(&logits, &labels, smoothing);
            for index in 0..logits.len() {
                let shifted = |by: f32| {
                    let mut logits = logits;
                    logits[index] += by;
                    Loss::new(&logits, &labels, smoothing).sum / 2.0
                };
                let quotient = (shifted(1e-3) - shifted(-1e-3)) / 2e-3;
                assert!((quotient - f64::from(loss.gradient[index])).abs() < 1e-4);
            }
        }
    }

    // The value is that of torch.nn.functional.cross_entropy with label_smoothing=0.1 in doubles,
    // PyTorch 2.15; the logits here are floats.
    #[test]
    fn smoothing_is_that_of_pytorch() {
        let loss = Loss::new(&[0.3, -1.0, 2.0, 0.7, 0.1, -0.4], &[2, 0], 0.1);
        let mean = loss.sum / 2.0;
        assert!((mean - 0.527_260_270_054_394_6).abs() < 1e-7, "{mean}");
    }

    #[test]
    fn far_logits_stay_finite_and_infinite_ones_do_not() {
        assert!(Loss::new(&[1e4, -1e4], &[1], 0.1).sum.is_finite());
        assert!(!Loss::new(&[f32::NAN, 0.0], &[0], 0.0).sum.is_finite());
    }
}
