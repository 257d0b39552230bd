//! How much of the work on the front's models is done: tests, and the trainings of those that no miner
//! has delivered.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::estimate::{Left, plausible, rate, time_left};
use crate::artifacts::workload::Workload;
use crate::clock;
use naschain_run::{FrontMember, RunSpec};

/// The work on the front's models: threads count what they have done, and the progress shows it.
pub(crate) struct FrontWork {
    /// Number of models.
    pub(super) models: usize,
    /// Number of them that are trained again.
    pub(super) trainings: usize,
    /// FLOPs of all trainings, with validation and test.
    total: f64,
    /// FLOPs of the epochs that run at a time, about.
    running: f64,
    /// `None` until the first training starts.
    started: OnceLock<Instant>,
    trained: AtomicUsize,
    /// FLOPs of epochs that are done.
    done: AtomicU64,
}

impl FrontWork {
    /// The work for these networks, each of which is tested on `test_images` images, and trained again
    /// unless it was delivered.
    pub(crate) fn new(
        spec: &RunSpec,
        front: &[FrontMember],
        is_delivered: impl Fn(&FrontMember) -> bool,
        test_images: usize,
    ) -> FrontWork {
        let load = Workload::new(spec, test_images);
        let of_member = |member: &FrontMember| {
            let training = spec.training_flops(&member.genome) as f64;
            load.of_model(training, !is_delivered(member))
        };
        let total: f64 = front.iter().map(of_member).sum();
        let trainings = front.iter().filter(|member| !is_delivered(member)).count();
        let epochs = front.len() as f64 * f64::from(spec.recipe.epochs);
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        FrontWork {
            models: front.len(),
            trainings,
            total,
            running: total / epochs.max(1.0) * at_once.min(front.len()) as f64,
            started: OnceLock::new(),
            trained: AtomicUsize::new(0),
            done: AtomicU64::new(0),
        }
    }

    /// Notes that the first training starts.
    pub(crate) fn begin(&self) {
        self.started.get_or_init(clock::now);
    }

    /// Whether trainings have started.
    pub(super) fn has_begun(&self) -> bool {
        self.started.get().is_some()
    }

    /// Notes an epoch of a model.
    pub(crate) fn epoch(&self, flops: u64) {
        self.done.fetch_add(flops, Ordering::Relaxed);
    }

    /// Notes that a model is finished.
    pub(crate) fn finished(&self) {
        self.trained.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of finished models.
    pub(super) fn trained(&self) -> usize {
        self.trained.load(Ordering::Relaxed)
    }

    /// The work and the time that are left. `expected` is the speed of this machine in FLOPs per second.
    pub(super) fn left(&self, expected: Option<f64>) -> Left {
        let started = self.started.get().copied();
        let elapsed = started.map_or(Duration::ZERO, |at| clock::now().duration_since(at));
        let elapsed_s = elapsed.as_secs_f64();
        let counted = self.done.load(Ordering::Relaxed) as f64;
        let done = plausible(counted, self.running, elapsed_s, expected).min(self.total);
        let rate = rate(done, elapsed_s, expected);
        Left {
            done: if self.total > 0.0 {
                done / self.total
            } else {
                0.0
            },
            time: rate.and_then(|rate| time_left(self.total - done, rate)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_counted_from_the_first_training_on() {
        let work = FrontWork {
            models: 2,
            trainings: 2,
            total: 100.0,
            running: 0.0,
            started: OnceLock::new(),
            trained: AtomicUsize::new(0),
            done: AtomicU64::new(0),
        };
        assert!(!work.has_begun());
        work.begin();
        let seconds = |work: &FrontWork| work.left(Some(10.0)).time.unwrap().as_secs_f64();
        assert!(seconds(&work) >= 9.9);
        work.epoch(60);
        work.finished();
        assert!((work.left(None).done - 0.6).abs() < 1e-9);
        assert_eq!(work.trained(), 1);
        assert!(seconds(&work) < 4.0);
        // Rounding must not lead to more than everything.
        work.epoch(60);
        assert!(work.left(None).done <= 1.0);
    }
}
