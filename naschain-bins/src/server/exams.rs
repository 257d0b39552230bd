//! Examines new hotkeys before they join; see [`Exam`].
//!
//! An examination is a function of a secret, the hotkey, and how often the hotkey has joined after an
//! examination. So nothing is remembered of hotkeys that have not trained, however many ask.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow};
use naschain_consensus::MinerId;
use naschain_core::Digest;
use naschain_train::{Dataset, Options};
use tokio::sync::Semaphore;

use crate::miner::exam::train_exam;
use crate::miner::exercises::check_exactness;
use crate::miner::trainer::Trainer;
use crate::random::random_bytes;
use crate::server::limits::{NetworkLimit, NetworkPermit};
use crate::server::passes::Passes;
use crate::server::pauses::Pauses;
use crate::server::problem::ErrorResponse;
use naschain_run::{Exam, ProblemKind, RunSpec};

/// Maximum number of results that wait to be judged, so that a miner has its answer within a minute.
const MAX_WAITING: usize = 16;
/// Maximum number of them for each remote network, so that one client leaves room for others.
const MAX_WAITING_PER_NETWORK: usize = 2;

/// The examinations of one genomaster. They are not in the journal: a hotkey that has a place needs
/// no record, since it has passed.
pub struct Exams {
    spec: RunSpec,
    dataset: Arc<Dataset>,
    options: Options,
    /// Makes examinations unpredictable.
    secret: [u8; 32],
    state: Mutex<ExamState>,
    /// One examination is trained at a time, so that they take at most one core.
    turn: Semaphore,
    waiting: Arc<Semaphore>,
    waiting_by_network: Arc<NetworkLimit>,
}

#[derive(Default)]
struct ExamState {
    passes: Passes,
    /// Candidates whose result waits to be judged: one result each.
    judging: BTreeSet<MinerId>,
    pauses: Pauses,
}

impl Exams {
    /// Examinations of this run, trained on this data.
    ///
    /// # Errors
    /// If a network of the run needs more memory than `options` allow: this process trains one for each
    /// hotkey that wants to join. Also if the operating system provides no random numbers.
    pub fn new(spec: RunSpec, dataset: Arc<Dataset>, options: Options) -> Result<Exams> {
        let trainer = Trainer {
            options,
            checkpoints: None,
        };
        trainer.check_run(&spec).context(
            "the entrance examinations cannot be trained here; --no-exam admits miners without them",
        )?;
        check_exactness(options, spec.rules.agreement.rule)
            .context("the entrance examinations cannot be trained here")?;
        Ok(Exams {
            spec,
            dataset,
            options,
            secret: random_bytes()?,
            state: Mutex::default(),
            turn: Semaphore::new(1),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            waiting_by_network: Arc::new(NetworkLimit::new(MAX_WAITING_PER_NETWORK)),
        })
    }

    /// Whether a hotkey has passed and not joined yet.
    pub fn has_passed(&self, miner: &MinerId) -> bool {
        self.state().passes.has_unused(miner)
    }

    /// Uses up the pass of a hotkey that has joined: if it loses its place, it is examined again.
    pub fn use_pass(&self, miner: &MinerId) {
        self.state().passes.use_up(miner);
    }

    /// The examination of a hotkey, always the same until the hotkey has passed it and joined.
    pub fn offer(&self, miner: &MinerId, from: Option<IpAddr>) -> Result<Exam, ErrorResponse> {
        let state = self.state();
        state.pauses.check(from)?;
        let number = self.number(&state, miner);
        drop(state);
        self.draw(number)
    }

    /// The number of the examination of a hotkey, from which all of it follows. Unpredictable for
    /// those who do not know the secret.
    fn number(&self, state: &ExamState, miner: &MinerId) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        let joins = state.passes.joins(miner);
        hasher.update(&joins.to_le_bytes());
        hasher.update(miner.as_str().as_bytes());
        let mut first = [0; 8];
        hasher.finalize_xof().fill(&mut first);
        // Clients whose numbers are floats have 53 bits.
        u64::from_le_bytes(first) >> 11
    }

    fn draw(&self, number: u64) -> Result<Exam, ErrorResponse> {
        Exam::draw(&self.spec, number, &self.secret)
            .map_err(|error| ErrorResponse::new(ProblemKind::ExamFailed, error.to_string()))
    }

    /// Judges the result of an examination by training it here.
    pub async fn judge(
        self: &Arc<Self>,
        miner: &MinerId,
        number: u64,
        digest: Digest,
        from: Option<IpAddr>,
    ) -> Result<(), ErrorResponse> {
        let network = self.enter(from)?;
        let waiting = self.waiting.clone().try_acquire_owned();
        let waiting = waiting.map_err(|_| busy())?;
        let Some(exam) = self.begin(miner, number, from)? else {
            return Ok(());
        };
        let (exams, miner) = (self.clone(), miner.clone());
        // In a task of its own: if the client hangs up, the training still keeps its turn, and a wrong
        // result still causes a pause.
        let judged = tokio::spawn(async move {
            let _places = (network, waiting);
            let result = exams.judge_in_turn(&miner, exam, digest, from).await;
            exams.state().judging.remove(&miner);
            result
        });
        judged.await.unwrap_or_else(|_| Err(busy()))
    }

    /// A place for a result from this address among those that wait; none is needed on this
    /// machine.
    fn enter(&self, from: Option<IpAddr>) -> Result<Option<NetworkPermit>, ErrorResponse> {
        let Some(address) = from else {
            return Ok(None);
        };
        let place = self.waiting_by_network.enter(address);
        place.map(Some).ok_or_else(|| {
            too_many(format!(
                "{MAX_WAITING_PER_NETWORK} results from the IP network of {address} are waiting to be judged, the maximum; send this one again later"
            ))
        })
    }

    /// The examination whose result a candidate has sent; `None` if it has passed already, as where
    /// the first answer was lost.
    fn begin(
        &self,
        miner: &MinerId,
        number: u64,
        from: Option<IpAddr>,
    ) -> Result<Option<Exam>, ErrorResponse> {
        let mut state = self.state();
        state.pauses.check(from)?;
        if number != self.number(&state, miner) {
            let detail = format!("{miner} has no examination {number}; join to get one");
            return Err(ErrorResponse::new(ProblemKind::ExamFailed, detail));
        }
        if state.passes.has_unused(miner) {
            return Ok(None);
        }
        let exam = self.draw(number)?;
        if !state.judging.insert(miner.clone()) {
            return Err(busy());
        }
        Ok(Some(exam))
    }

    async fn judge_in_turn(
        self: &Arc<Self>,
        miner: &MinerId,
        exam: Exam,
        digest: Digest,
        from: Option<IpAddr>,
    ) -> Result<(), ErrorResponse> {
        let _turn = self.turn.acquire().await.map_err(|_| busy())?;
        // Another result from this address may have been wrong meanwhile.
        self.state().pauses.check(from)?;
        let (exams, number) = (self.clone(), exam.exam);
        let expected = tokio::task::spawn_blocking(move || exams.train(&exam)).await;
        let expected = expected.unwrap_or_else(|_| Err(anyhow!("the training panicked")));
        let expected = expected.map_err(|error| {
            tracing::error!("examination {number} cannot be judged: {error:#}");
            busy()
        })?;
        let mut state = self.state();
        if expected == digest {
            state.pauses.end(from);
            state.passes.add(miner.clone());
            tracing::info!("{miner} has passed its entrance examination");
            return Ok(());
        }
        state.pauses.begin(from);
        tracing::warn!("{miner} has failed its entrance examination");
        let detail = format!(
            "the digest of examination {number} is {digest}, which is wrong; run `miner selftest` to check this machine"
        );
        Err(ErrorResponse::new(ProblemKind::ExamFailed, detail))
    }

    fn train(&self, exam: &Exam) -> Result<Digest> {
        let trained = train_exam(exam, &self.spec, &self.dataset, self.options, || false)?;
        trained.context("the training ended early")
    }

    /// Ignores poisoning: no update can be left incomplete by a panic.
    fn state(&self) -> MutexGuard<'_, ExamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn busy() -> ErrorResponse {
    too_many("too many examinations are waiting; send the result again".to_owned())
}

fn too_many(detail: String) -> ErrorResponse {
    ErrorResponse::new(ProblemKind::TooManyRequests, detail).retry_after(5)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    #[test]
    fn networks_that_do_not_fit_are_refused_at_the_start() {
        let (spec, dataset) = (exams().spec.clone(), Arc::new(Dataset::digits()));
        let mut options = Options::default();
        options.memory_limit_bytes = Some(1 << 20);
        let error = Exams::new(spec, dataset, options).err().unwrap();
        let error = format!("{error:#}");
        assert!(
            error.contains("--no-exam") && error.contains("is 1 MiB"),
            "{error}"
        );
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

    /// A flood of joins with fresh keys once made the genomaster forget the examinations of others,
    /// also those that were passed.
    #[tokio::test]
    async fn nothing_is_remembered_of_those_that_only_ask() {
        let exams = exams();
        let ada: MinerId = "ada".parse().unwrap();
        let exam = exams.offer(&ada, None).unwrap();
        let digest = exams.train(&exam).unwrap();
        let mut numbers = BTreeSet::from([exam.exam]);
        for number in 0..2_000 {
            let miner: MinerId = format!("m{number}").parse().unwrap();
            assert!(numbers.insert(exams.offer(&miner, None).unwrap().exam));
        }
        assert_eq!(exams.offer(&ada, None).unwrap(), exam);
        exams.judge(&ada, exam.exam, digest, None).await.unwrap();
        assert!(exams.has_passed(&ada));
        // Others cannot know it before they ask: it depends on a secret of this process.
        let elsewhere = self::exams().offer(&ada, None).unwrap();
        assert_ne!(elsewhere.training_seed, exam.training_seed);
    }

    #[tokio::test]
    async fn a_pass_is_used_up_by_joining_and_its_result_too() {
        let exams = exams();
        let ada: MinerId = "ada".parse().unwrap();
        let exam = exams.offer(&ada, None).unwrap();
        let digest = exams.train(&exam).unwrap();
        exams.judge(&ada, exam.exam, digest, None).await.unwrap();
        exams.use_pass(&ada);
        assert!(!exams.has_passed(&ada));
        let repeated = exams.judge(&ada, exam.exam, digest, None).await;
        assert!(repeated.unwrap_err().detail().contains("join to get one"));
        let next = exams.offer(&ada, None).unwrap();
        assert_ne!(next.training_seed, exam.training_seed);
    }

    /// One network once kept all places, so that nobody else was judged.
    #[tokio::test]
    async fn a_network_has_few_waiting_results() {
        let exams = exams();
        let turn = exams.turn.acquire().await.unwrap();
        let judge = |name: String, address: &str| {
            let (exams, miner) = (exams.clone(), name.parse::<MinerId>().unwrap());
            let from = Some(address.parse().unwrap());
            tokio::spawn(async move {
                let number = exams.offer(&miner, from)?.exam;
                exams.judge(&miner, number, Digest([7; 32]), from).await
            })
        };
        let many: Vec<_> = (1..=6)
            .map(|host| judge(format!("m{host}"), &format!("2001:db8:1:2::{host}")))
            .collect();
        let other = judge("other".to_owned(), "2001:db8:1:3::1");
        let refused = 6 - MAX_WAITING_PER_NETWORK;
        let is_finished = |result: &&tokio::task::JoinHandle<_>| result.is_finished();
        while exams.state().judging.len() <= MAX_WAITING_PER_NETWORK
            || many.iter().filter(is_finished).count() < refused
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(many.iter().filter(is_finished).count(), refused);
        drop(turn);
        let mut found = 0;
        for result in many {
            let failure = result.await.unwrap().unwrap_err();
            found += usize::from(
                failure
                    .detail()
                    .contains("2 results from the IP network of 2001"),
            );
        }
        assert_eq!(found, refused);
        // The result of another network was judged.
        let judged = other.await.unwrap().unwrap_err();
        assert!(judged.detail().contains("is wrong"), "{judged:?}");
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
