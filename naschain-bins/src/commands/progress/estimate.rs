//! How much of a run's work is done, and the time that is left.

use std::time::{Duration, Instant};

use naschain_run::RunState;

use crate::artifacts::workload::{LATER_SIZE, Workload};
use crate::clock;

/// For this long the expected speed still counts, because the first networks may be unusually small or
/// large.
const TRUSTED_AFTER_S: f64 = 10.0;
/// How many networks of later generations have to be known until they count as much as this
/// expectation.
const EXPECTED_COUNTS: f64 = 4.0;

/// Some networks and the FLOPs of their trainings.
#[derive(Clone, Copy, Debug, Default)]
struct Trainings {
    count: f64,
    flops: f64,
}

impl Trainings {
    fn add(&mut self, flops: f64) {
        self.count += 1.0;
        self.flops += flops;
    }
}

/// Estimates how much of a run's work is done, in FLOPs: those of trainings are known exactly, and
/// running trainings report their epochs.
pub(super) struct Estimate {
    load: Workload,
    /// Number of ended jobs that `of_ended` and `of_front` count.
    ended: usize,
    /// Of the first generation, and of later ones.
    of_ended: [Trainings; 2],
    /// Of the front so far.
    of_front: f64,
    started: Instant,
    /// At the first look.
    done_before: Option<f64>,
    /// FLOPs per second that this machine can do, where the miners run on it.
    expected_rate: Option<f64>,
    /// FLOPs per second, at the latest look.
    rate: Option<f64>,
}

/// What is left of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Left {
    /// The share that is done, 0 to 1.
    pub(super) done: f64,
    /// `None` until it can be estimated.
    pub(super) time: Option<Duration>,
}

impl Estimate {
    pub(super) fn new(load: Workload, expected_rate: Option<f64>) -> Estimate {
        Estimate {
            load,
            ended: 0,
            of_ended: [Trainings::default(); 2],
            of_front: 0.0,
            started: clock::now(),
            done_before: None,
            expected_rate,
            rate: expected_rate,
        }
    }

    /// FLOPs per second as far as known.
    pub(super) fn rate(&self) -> Option<f64> {
        self.rate
    }

    pub(super) fn update(&mut self, state: &RunState) -> Left {
        let (counted, total, running) = self.work(state);
        let before = *self.done_before.get_or_insert(counted);
        let elapsed_s = clock::now().duration_since(self.started).as_secs_f64();
        let done = plausible(counted - before, running, elapsed_s, self.expected_rate);
        self.rate = rate(done, elapsed_s, self.expected_rate);
        let all_done = (before + done).min(total);
        Left {
            done: if total > 0.0 { all_done / total } else { 0.0 },
            time: self.rate.and_then(|rate| time_left(total - all_done, rate)),
        }
    }

    /// FLOPs that are done, of the whole search with the models of its front, and of the epochs that are
    /// running.
    fn work(&mut self, state: &RunState) -> (f64, f64, f64) {
        self.load.networks = state.max_jobs();
        self.count_ended(state);
        let mut known = self.of_ended;
        let mut trained: f64 = known.iter().map(|trainings| trainings.flops).sum();
        for (job, flops, seats_done) in state.board().work() {
            let flops = flops as f64;
            known[self.generation(job.0)].add(flops);
            trained += flops * seats_done.min(self.load.seats) / self.load.seats;
        }
        let of_jobs = self.load.seats * self.load.validated;
        let done = trained * of_jobs;
        let total = self.all_networks(known) * of_jobs + self.front(known);
        let [first, later] = known;
        let average = (first.flops + later.flops) / (first.count + later.count).max(1.0);
        let epochs = f64::from(state.spec().recipe.epochs.max(1));
        let running = state.board().leases().count() as f64 * average / epochs;
        (done, total.max(done), running * self.load.validated)
    }

    /// Counts jobs that have ended since the last look.
    fn count_ended(&mut self, state: &RunState) {
        let (spec, ended) = (state.spec(), state.ended_jobs());
        if ended.len() == self.ended {
            return;
        }
        for job in ended.iter().skip(self.ended) {
            let generation = self.generation(job.job.0);
            let epochs = state
                .part(job.job)
                .map(|part| part.until_epoch - part.from_epoch);
            let epochs = epochs.unwrap_or(spec.recipe.epochs);
            self.of_ended[generation].add(spec.flops_of_epochs(&job.genome, epochs) as f64);
        }
        self.ended = ended.len();
        let front = state.front().into_iter();
        let flops = front.map(|member| spec.training_flops(&member.genome) as f64);
        self.of_front = flops.sum();
    }

    /// 0 for a network of the first generation, 1 for others.
    fn generation(&self, job: u64) -> usize {
        usize::from(job >= self.load.population as u64)
    }

    /// FLOPs of the trainings of all networks, one each, with those that are not known yet.
    fn all_networks(&self, known: [Trainings; 2]) -> f64 {
        let [first, later] = known;
        let of_first = first.flops / first.count.max(1.0);
        let of_later = (EXPECTED_COUNTS * LATER_SIZE * of_first + later.flops)
            / (EXPECTED_COUNTS + later.count);
        let population = self.load.population.min(self.load.networks) as f64;
        let unknown_first = (population - first.count).max(0.0);
        let unknown = self.load.networks as f64 - first.count - later.count;
        let unknown_later = (unknown - unknown_first).max(0.0);
        first.flops + later.flops + unknown_first * of_first + unknown_later * of_later
    }

    /// FLOPs of the models of the front: at first as expected, at the end those of the front.
    fn front(&self, known: [Trainings; 2]) -> f64 {
        let of_first = known[0].flops / known[0].count.max(1.0);
        let share = (self.ended as f64 / self.load.networks.max(1) as f64).min(1.0);
        let expected = self.load.expected_front() * of_first;
        share * self.load.of_model(self.of_front, self.load.trains_front) + (1.0 - share) * expected
    }
}

/// FLOPs that are done in `elapsed_s` seconds: at least those of the epochs that are `counted`, and at
/// most those of the `running` ones too; within these limits as many as are expected.
pub(super) fn plausible(counted: f64, running: f64, elapsed_s: f64, expected: Option<f64>) -> f64 {
    match expected {
        Some(expected) => (expected * elapsed_s).max(counted).min(counted + running),
        None => counted,
    }
}

/// FLOPs per second, if `done` FLOPs took `elapsed_s` seconds; `None` as long as nothing is known.
pub(super) fn rate(done: f64, elapsed_s: f64, expected: Option<f64>) -> Option<f64> {
    match expected {
        Some(expected) => Some((done + expected * TRUSTED_AFTER_S) / (elapsed_s + TRUSTED_AFTER_S)),
        None => (done > 0.0 && elapsed_s > 0.0).then(|| done / elapsed_s),
    }
}

/// The time that `rest` FLOPs take.
pub(crate) fn time_left(rest: f64, rate: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(rest / rate).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_moves_from_the_expected_to_the_measured_speed() {
        let seconds = |done, elapsed_s, expected| {
            let rate = rate(done, elapsed_s, expected)?;
            time_left(1_000.0, rate).map(|time| time.as_secs_f64())
        };
        assert_eq!(seconds(0.0, 0.0, None), None);
        assert_eq!(seconds(0.0, 5.0, None), None);
        assert_eq!(seconds(50.0, 5.0, None), Some(100.0));
        assert_eq!(seconds(0.0, 0.0, Some(20.0)), Some(50.0));
        // After ten minutes at half of the expected speed.
        let late = seconds(6_000.0, 600.0, Some(20.0)).unwrap();
        assert!((95.0..100.0).contains(&late), "{late}");
    }

    #[test]
    fn running_epochs_are_done_as_far_as_is_expected() {
        assert!((plausible(0.0, 50.0, 3.0, Some(10.0)) - 30.0).abs() < 1e-9);
        assert!((plausible(40.0, 50.0, 3.0, Some(10.0)) - 40.0).abs() < 1e-9);
        assert!((plausible(40.0, 50.0, 30.0, Some(10.0)) - 90.0).abs() < 1e-9);
        assert!((plausible(40.0, 50.0, 30.0, None) - 40.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_known_replaces_what_is_expected() {
        let load = Workload {
            validated: 1.0,
            tested: 0.0,
            trains_front: true,
            seats: 1.0,
            population: 2,
            networks: 4,
        };
        let mut estimate = Estimate::new(load, None);
        let trainings = |count, flops| Trainings { count, flops };
        let first = [trainings(2.0, 20.0), Trainings::default()];
        assert!((estimate.all_networks(first) - 20.0 - 20.0 * LATER_SIZE).abs() < 1e-9);
        assert!((estimate.front(first) - 30.0 * LATER_SIZE).abs() < 1e-9);
        let all = [trainings(2.0, 20.0), trainings(2.0, 5.0)];
        assert!((estimate.all_networks(all) - 25.0).abs() < 1e-9);
        (estimate.ended, estimate.of_front) = (4, 17.0);
        assert!((estimate.front(all) - 17.0).abs() < 1e-9);
    }
}
