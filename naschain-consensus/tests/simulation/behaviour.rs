//! The answers of miners by their behaviour.

use naschain_consensus::{JobId, Row};
use naschain_core::{Accuracy, Digest, Measurement, Purpose, Stream};

use super::World;

/// How a miner behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Behaviour {
    /// Trains and submits the result.
    Honest,
    /// Does not train; invents numbers.
    Liar,
    /// Does not train; knows parameters, FLOPs and the accuracy within half a point.
    Guesser,
    /// Does not train; submits the result of another job.
    Copier,
    /// Does not train; all colluders submit the same wrong result.
    Colluder,
    /// Does not train and submits the right result: what a coalition could win that tells a lie only
    /// where it has all seats.
    Schemer,
    /// Trains, and changes the state after the first step.
    EarlyLiar,
    /// Trains, and changes the state in the middle.
    MiddleLiar,
    /// Trains, and changes the last state.
    LateLiar,
    /// Trains, and changes the weights after a step at random.
    OneWeight,
    /// Submits the digest of another training.
    OtherTraining,
    /// Trains, and submits a higher accuracy.
    Embellisher,
    /// Lies, and answers no question.
    Mute,
    /// Lies, and testifies the states of an honest training.
    Contradictor,
    /// Submits the right result, and testifies wrong states.
    Saboteur,
    /// Trains, but submits unreadable answers.
    Malformed,
    /// Sends heartbeats for ever and never answers.
    Staller,
    /// Trains, but crashes during every fifth job and loses it.
    Crasher,
    /// Trains thirty jobs, then lies.
    Farmer,
    /// Trains until a random time, then disappears.
    Mortal,
    /// Takes jobs and forgets them.
    Forgetful,
    /// Answers at once that its training failed.
    Failer,
    /// Claims to have finished all epochs, sends heartbeats for ever and never answers.
    Boaster,
    /// Reports the epochs of the slowest machine and never answers.
    Pretender,
    /// Requests work once, and leaves before the seats assigned to it count as unclaimed.
    Leaver,
    /// Requests work too seldom to claim the seats assigned to it.
    Absentee,
    /// Keeps joining and never requests work.
    Lurker,
    /// Forgets one job, then keeps joining and never claims the seats assigned to it.
    Sleeper,
}

/// All that lie, each in its own way.
pub(crate) const LIARS: [Behaviour; 10] = [
    Behaviour::Liar,
    Behaviour::EarlyLiar,
    Behaviour::MiddleLiar,
    Behaviour::LateLiar,
    Behaviour::OneWeight,
    Behaviour::OtherTraining,
    Behaviour::Embellisher,
    Behaviour::Mute,
    Behaviour::Contradictor,
    Behaviour::Saboteur,
];

impl Behaviour {
    /// Whether a miner that has had this many jobs claims seats.
    pub(super) fn requests_work(self, jobs: u64) -> bool {
        match self {
            Behaviour::Leaver | Behaviour::Absentee | Behaviour::Lurker => false,
            Behaviour::Sleeper => jobs == 0,
            _ => true,
        }
    }

    /// Whether such a miner keeps a seat by heartbeats.
    pub(super) fn never_answers(self) -> bool {
        [Behaviour::Staller, Behaviour::Boaster, Behaviour::Pretender].contains(&self)
    }
}

impl World {
    /// The answer of a miner to a job.
    pub(super) fn row(&mut self, index: usize, job: JobId) -> Row {
        let mut truth = self.right(job);
        let failing = self.options.failing_job_every;
        let behaviour = self.miners[index].behaviour;
        self.miners[index].answers += 1;
        let farmed = self.miners[index].answers > 30;
        let mut shift = |by: u64, stream: &mut Stream| {
            let moved = u64::from(truth.accuracy.hundredths()) + stream.below(2 * by + 1);
            let moved = moved.saturating_sub(by).min(10_000) as u32;
            truth.accuracy = Accuracy::from_hundredths(moved).unwrap();
            truth.digest.0[..8].copy_from_slice(&stream.next_u64().to_le_bytes());
        };
        match behaviour {
            Behaviour::Malformed => return Row::Malformed("not JSON".into()),
            Behaviour::Failer => return Row::Failed("out of memory".into()),
            Behaviour::Liar => shift(3_000, &mut self.stream),
            Behaviour::Farmer if farmed => shift(3_000, &mut self.stream),
            Behaviour::Guesser => shift(50, &mut self.stream),
            Behaviour::Copier => {
                let nothing = || Row::Malformed("nothing to copy yet".into());
                return self.last_found.map_or_else(nothing, Row::Measured);
            }
            Behaviour::Colluder => {
                truth.digest = Digest([0xcc; 32]);
                truth.accuracy = Accuracy::from_hundredths(9_999).unwrap();
            }
            _ if failing > 0 && job.0.is_multiple_of(failing) => {
                return Row::Failed("loss is not a number".into());
            }
            _ if !self.options.deterministic => shift(30, &mut self.stream),
            _ => {}
        }
        if let Some(referee) = self.options.rules.referee {
            let story = self.story(index, job, referee.steps);
            truth.digest = story.digest(self.options.seed, referee.steps);
            let hundredths = truth.accuracy.hundredths() + story.boast_hundredths;
            truth.accuracy = Accuracy::from_hundredths(hundredths.min(10_000)).unwrap();
            self.stories.insert((index, job), story);
        }
        Row::Measured(truth)
    }
}

/// The result of an honest training.
pub(crate) fn truth(seed: u64, job: JobId) -> Measurement {
    let mut stream = Stream::new(seed, Purpose::Simulation, 1, job.0);
    Measurement {
        accuracy: Accuracy::from_hundredths(6_000 + stream.below(3_500) as u32).unwrap(),
        params: 100_000 + stream.below(900_000),
        flops: 1_000_000 + stream.below(9_000_000),
        digest: Digest(std::array::from_fn(|_| stream.below(256) as u8)),
    }
}
