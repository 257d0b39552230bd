//! Examines new hotkeys before they join; see [`Exam`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use naschain_consensus::MinerId;
use naschain_core::Digest;
use naschain_train::{Dataset, Options};
use tokio::sync::Semaphore;

use crate::clock;
use crate::random::random_bytes;
use crate::server::problem::Failure;
use naschain_run::{Exam, ProblemKind, RunSpec};

/// Maximum number of examinations and of passed hotkeys that have not joined yet; beyond it, the
/// oldest are forgotten, and their hotkeys are examined again.
const MAX_REMEMBERED: usize = 20_000;
/// Maximum number of results that wait to be judged, so that a miner has its answer within a minute.
const MAX_WAITING: usize = 16;
/// How long an address has to wait after a wrong result; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_secs(600);

/// The examinations of one genomaster. They are not in the journal: a
/// hotkey that has joined needs no record, since it has passed.
pub struct Exams {
    spec: RunSpec,
    dataset: Arc<Dataset>,
    options: Options,
    /// Makes examinations unpredictable.
    secret: [u8; 32],
    state: Mutex<State>,
    /// One examination is trained at a time, so that they take at most one core.
    turn: Semaphore,
    waiting: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    /// The number of the latest examination.
    latest: u64,
    /// The examination of each candidate; `None` once it is passed.
    candidates: BTreeMap<MinerId, (u64, Option<Exam>)>,
    /// Those whose result waits to be judged: one result each.
    judging: BTreeSet<MinerId>,
    /// The same candidates by number, the oldest first.
    by_number: BTreeMap<u64, MinerId>,
    /// Addresses that sent wrong results; `None` is this machine. Others share the pause of their
    /// address, because hotkeys cost nothing.
    paused: BTreeMap<Option<IpAddr>, Pause>,
}

struct Pause {
    until: Instant,
    length: Duration,
}

impl Exams {
    /// Examinations of this run, trained on this data.
    ///
    /// # Errors
    /// Where the system gives no random numbers.
    pub fn new(spec: RunSpec, dataset: Arc<Dataset>, options: Options) -> Result<Exams> {
        Ok(Exams {
            spec,
            dataset,
            options,
            secret: random_bytes()?,
            state: Mutex::default(),
            turn: Semaphore::new(1),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
        })
    }

    /// Whether a hotkey has passed and not joined yet.
    pub fn has_passed(&self, miner: &MinerId) -> bool {
        matches!(self.state().candidates.get(miner), Some((_, None)))
    }

    /// The examination of a hotkey: the one that it has already, or a new one.
    pub fn offer(&self, miner: &MinerId, from: Option<IpAddr>) -> Result<Exam, Failure> {
        let mut state = self.state();
        state.check_pause(from)?;
        if let Some((_, Some(exam))) = state.candidates.get(miner) {
            return Ok(exam.clone());
        }
        state.latest += 1;
        let number = state.latest;
        let exam = Exam::draw(&self.spec, number, &self.secret)
            .map_err(|error| Failure::new(ProblemKind::ExamFailed, error.to_string()))?;
        state.remember(miner, number, Some(exam.clone()));
        Ok(exam)
    }

    /// Judges the result of an examination by training it here.
    pub async fn judge(
        self: &Arc<Self>,
        miner: &MinerId,
        number: u64,
        digest: Digest,
        from: Option<IpAddr>,
    ) -> Result<(), Failure> {
        let waiting = self.waiting.clone().try_acquire_owned();
        let waiting = waiting.map_err(|_| busy())?;
        let Some(exam) = self.state().begin(miner, number, from)? else {
            return Ok(());
        };
        let (exams, miner) = (self.clone(), miner.clone());
        // In a task of its own: if the client hangs up, the training still keeps its turn, and a wrong
        // result still causes a pause.
        let judged = tokio::spawn(async move {
            let _waiting = waiting;
            let result = exams.judge_in_turn(&miner, exam, digest, from).await;
            exams.state().judging.remove(&miner);
            result
        });
        judged.await.unwrap_or_else(|_| Err(busy()))
    }

    async fn judge_in_turn(
        self: &Arc<Self>,
        miner: &MinerId,
        exam: Exam,
        digest: Digest,
        from: Option<IpAddr>,
    ) -> Result<(), Failure> {
        let _turn = self.turn.acquire().await.map_err(|_| busy())?;
        // Another result from this address may have been wrong meanwhile.
        self.state().check_pause(from)?;
        let (exams, number) = (self.clone(), exam.exam);
        let expected = tokio::task::spawn_blocking(move || exams.train(&exam)).await;
        let expected = expected.unwrap_or_else(|_| Err(anyhow!("the training panicked")));
        let expected = expected.map_err(|error| {
            tracing::error!("examination {number} cannot be judged: {error:#}");
            busy()
        })?;
        let mut state = self.state();
        if expected == digest {
            state.end_pause(from);
            state.remember(miner, number, None);
            tracing::info!("{miner} has passed its entrance examination");
            return Ok(());
        }
        state.forget(miner);
        state.pause(from);
        tracing::warn!("{miner} has failed its entrance examination");
        let detail = format!(
            "the digest of examination {number} is {digest}, which is wrong; `miner selftest` tells whether this machine computes the right bits"
        );
        Err(Failure::new(ProblemKind::ExamFailed, detail))
    }

    fn train(&self, exam: &Exam) -> Result<Digest> {
        let architecture = self.spec.space.decode(&exam.genome)?;
        let recipe = exam.recipe(&self.spec.recipe);
        let proceed = &mut |_: &naschain_train::Epoch| ControlFlow::Continue(());
        let trained =
            naschain_train::train(&architecture, &self.dataset, &recipe, self.options, proceed)?;
        Ok(trained.measurement.digest)
    }

    /// Ignores poisoning: no update can be left incomplete by a panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn busy() -> Failure {
    let detail = "too many examinations wait to be judged; send the result again";
    let mut failure = Failure::new(ProblemKind::TooManyRequests, detail);
    failure.retry_after_seconds = Some(5);
    failure
}

impl State {
    /// The examination whose result a candidate has sent; `None` if it has passed already, as where
    /// the first answer was lost.
    fn begin(
        &mut self,
        miner: &MinerId,
        number: u64,
        from: Option<IpAddr>,
    ) -> Result<Option<Exam>, Failure> {
        self.check_pause(from)?;
        let exam = match self.candidates.get(miner) {
            Some((passed, None)) if *passed == number => return Ok(None),
            Some((current, Some(exam))) if *current == number => exam.clone(),
            _ => {
                let detail = format!("{miner} has no examination {number}; join to get one");
                return Err(Failure::new(ProblemKind::ExamFailed, detail));
            }
        };
        if !self.judging.insert(miner.clone()) {
            return Err(busy());
        }
        Ok(Some(exam))
    }

    fn remember(&mut self, miner: &MinerId, number: u64, exam: Option<Exam>) {
        self.forget(miner);
        self.candidates.insert(miner.clone(), (number, exam));
        self.by_number.insert(number, miner.clone());
        if self.by_number.len() > MAX_REMEMBERED
            && let Some((_, oldest)) = self.by_number.pop_first()
        {
            self.candidates.remove(&oldest);
        }
    }

    fn forget(&mut self, miner: &MinerId) {
        if let Some((number, _)) = self.candidates.remove(miner) {
            self.by_number.remove(&number);
        }
    }

    fn check_pause(&self, from: Option<IpAddr>) -> Result<(), Failure> {
        let pause = self.paused.get(&from);
        let left = pause.map_or(Duration::ZERO, |pause| {
            pause.until.saturating_duration_since(clock::now())
        });
        if left.is_zero() {
            return Ok(());
        }
        let seconds = left.as_secs() + 1;
        let detail = format!(
            "an entrance examination from this address was failed; the next one is possible in {seconds} s"
        );
        let mut failure = Failure::new(ProblemKind::TooManyRequests, detail);
        failure.retry_after_seconds = Some(seconds);
        Err(failure)
    }

    /// Ends the pause of an address; a further wrong result is still followed by a longer one.
    fn end_pause(&mut self, from: Option<IpAddr>) {
        if let Some(pause) = self.paused.get_mut(&from) {
            pause.until = clock::now();
        }
    }

    fn pause(&mut self, from: Option<IpAddr>) {
        let now = clock::now();
        let before = self.paused.get(&from);
        let length = before.map_or(FIRST_PAUSE, |pause| (pause.length * 2).min(MAX_PAUSE));
        let until = now + length;
        self.paused.insert(from, Pause { until, length });
        if self.paused.len() > MAX_REMEMBERED {
            self.paused.retain(|_, pause| pause.until > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_run::DataSpec;

    fn exams() -> Arc<Exams> {
        let dataset = Dataset::digits();
        let space = naschain_core::MacroSpace {
            phases: 1,
            nodes: 3,
            input: dataset.shape,
            init_channels: 4,
            classes: dataset.classes,
        };
        let data = DataSpec::new("digits", dataset.digest());
        let mut spec = RunSpec::new(space, data);
        spec.recipe.train_images = 96;
        spec.recipe.validation_images = 64;
        let exams = Exams::new(spec, Arc::new(dataset), Options::default());
        Arc::new(exams.unwrap())
    }

    #[tokio::test]
    async fn a_correct_digest_passes_and_a_wrong_one_delays() {
        let exams = exams();
        let (ada, eve): (MinerId, MinerId) = ("ada".parse().unwrap(), "eve".parse().unwrap());
        let exam = exams.offer(&ada, None).unwrap();
        assert_eq!(exams.offer(&ada, None).unwrap(), exam);
        let other = exams.offer(&eve, None).unwrap();
        assert_ne!(other.training_seed, exam.training_seed);
        let digest = exams.train(&exam).unwrap();
        // Somebody else's result is worth nothing.
        let from = Some("192.0.2.1".parse().unwrap());
        let copied = exams.judge(&eve, other.exam, digest, from).await;
        assert!(copied.unwrap_err().detail().contains("is wrong"));
        assert!(
            exams
                .offer(&eve, from)
                .unwrap_err()
                .detail()
                .contains("possible in")
        );
        assert!(!exams.has_passed(&eve));
        let wrong_number = exams.judge(&ada, other.exam, digest, None).await;
        assert!(wrong_number.is_err() && !exams.has_passed(&ada));
        exams.judge(&ada, exam.exam, digest, None).await.unwrap();
        exams.judge(&ada, exam.exam, digest, None).await.unwrap();
        assert!(exams.has_passed(&ada));
    }

    #[test]
    fn memory_is_bounded() {
        let exams = exams();
        for number in 0..MAX_REMEMBERED + 50 {
            let miner: MinerId = format!("m{number}").parse().unwrap();
            exams.offer(&miner, None).unwrap();
        }
        let state = exams.state();
        assert_eq!(state.candidates.len(), MAX_REMEMBERED);
        assert_eq!(state.by_number.len(), MAX_REMEMBERED);
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_is_judged_and_paused() {
        let exams = exams();
        let eve: MinerId = "eve".parse().unwrap();
        let number = exams.offer(&eve, None).unwrap().exam;
        let wrong = Digest([7; 32]);
        let sent = exams.judge(&eve, number, wrong, None);
        // Dropped before it has an answer.
        assert!(tokio::time::timeout(Duration::ZERO, sent).await.is_err());
        // A second result of the candidate does not wait beside the first.
        let second = exams.judge(&eve, number, wrong, None).await;
        assert_eq!(second.unwrap_err().status().as_u16(), 429);
        while !exams.state().judging.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let refused = exams.offer(&eve, None).unwrap_err();
        assert_eq!(refused.status().as_u16(), 429);
        assert_eq!(exams.waiting.available_permits(), MAX_WAITING);
    }
}
