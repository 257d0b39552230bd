//! One honest miner is enough: two others that tell the same lie lose against it, and the miners
//! deliver the models of the front. Real processes over HTTP, with liars of this file.

use std::ops::ControlFlow;
use std::path::Path;

use naschain_bins::Client;
use naschain_consensus::{Finding, MinerId, Question, Row};
use naschain_core::{Digest, Network, Recipe, StepState};
use naschain_run::{EndedJob, Job, JobReply, MinerQuestion, RunSpec};
use naschain_train::{Dataset, LinkedWeights, Options, state_at, step_states, steps, train};
use serde_json::Value;

use crate::programs::{Server, folder, genomaster, read, succeeded, validator};

/// How a liar deviates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lie {
    /// From this share of the steps on, in percent.
    From(u64),
    /// Only in the accuracy.
    Accuracy,
    /// It answers no questions.
    Silence,
}

pub(crate) struct Liar {
    name: MinerId,
    client: Client,
    spec: RunSpec,
    dataset: Dataset,
    lie: Lie,
}

/// The digest that liars agree on instead of this one.
fn false_digest(digest: Digest) -> Digest {
    Digest(*blake3::hash(&digest.0).as_bytes())
}

impl Liar {
    pub(crate) async fn join(server: &Server, name: &str, lie: Lie) -> Liar {
        let client = Client::new(&server.url).unwrap();
        let spec = client.run().await.unwrap();
        let name: MinerId = name.parse().unwrap();
        client.join(&name, spec.digest()).await.unwrap();
        Liar {
            name,
            client,
            spec,
            dataset: Dataset::digits(),
            lie,
        }
    }

    /// Works until the run is over.
    pub(crate) async fn work(self) {
        let run = self.spec.digest();
        loop {
            let asked = self.client.questions(&self.name, run, 0).await.unwrap();
            for question in &asked.questions {
                self.answer(question).await;
            }
            match self.client.request(&self.name, run, 200).await.unwrap() {
                JobReply::Job(job) => self.lie_about(&job).await,
                JobReply::Wait => {}
                JobReply::Finished => return,
            }
        }
    }

    fn training(&self, genome: &naschain_core::Genome) -> (Network, Recipe) {
        let architecture = self.spec.space.decode(genome).unwrap();
        (architecture, self.spec.recipe.clone())
    }

    async fn lie_about(&self, job: &Job) {
        let (architecture, recipe) = self.training(&job.genome);
        let mut proceed = |_: &_| ControlFlow::Continue(());
        let options = Options::default();
        let trained = train(&architecture, &self.dataset, &recipe, options, &mut proceed);
        let mut found = trained.unwrap().measurement;
        if self.lie == Lie::Accuracy {
            let hundredths = (found.accuracy.hundredths() + 50) % 10_000;
            found.accuracy = naschain_core::Accuracy::from_hundredths(hundredths).unwrap();
        } else {
            found.digest = false_digest(found.digest);
        }
        let row = Row::Measured(found);
        let run = self.spec.digest();
        let sent = self.client.submit(&self.name, run, job.lease, &row).await;
        // The job may have ended without it.
        if let Err(error) = sent {
            println!("{}: {error}", self.name);
        }
    }

    async fn answer(&self, asked: &MinerQuestion) {
        if self.lie == Lie::Silence {
            return;
        }
        let run = self.spec.digest();
        let (architecture, recipe) = self.training(&asked.genome);
        let (options, all) = (Options::default(), steps(&recipe));
        let mut proceed = |_: u64| ControlFlow::Continue(());
        let (dataset, proceed) = (&self.dataset, &mut proceed);
        let question = asked.question;
        match &asked.what {
            Question::States { steps: wanted } => {
                let states = step_states(
                    &architecture,
                    dataset,
                    &recipe,
                    options,
                    None,
                    wanted,
                    proceed,
                );
                let states = states.unwrap().into_iter().zip(wanted);
                let states = states.map(|(state, step)| self.told(state, *step, all));
                let sent = self
                    .client
                    .testify(&self.name, run, question, states.collect());
                sent.await.unwrap();
            }
            Question::Checkpoint { step, .. } => {
                let found = state_at(
                    &architecture,
                    dataset,
                    &recipe,
                    options,
                    None,
                    *step,
                    proceed,
                );
                let file = found.unwrap().to_bytes().unwrap();
                self.send(asked, &file).await;
            }
            // Only one that lies about the accuracy has weights for its digest.
            _ if self.lie == Lie::Accuracy => {
                let mut proceed = |_: &_| ControlFlow::Continue(());
                let trained = train(&architecture, dataset, &recipe, options, &mut proceed);
                let weights = LinkedWeights::from(trained.unwrap());
                self.send(asked, &weights.to_bytes().unwrap()).await;
            }
            _ => self.send(asked, b"no weights").await,
        }
    }

    async fn send(&self, asked: &MinerQuestion, file: &[u8]) {
        for (at, part) in file.chunks(50_000).enumerate() {
            let (offset, size) = (at as u64 * 50_000, file.len() as u64);
            let (client, part) = (&self.client, part.to_vec());
            let sent = client.put_part(&self.name, asked.question, offset, size, part);
            if let Err(error) = sent.await {
                println!("{}: {error}", self.name);
            }
        }
    }

    /// What it says about a state.
    fn told(&self, honest: StepState, step: u64, all: u64) -> StepState {
        let Lie::From(percent) = self.lie else {
            return honest;
        };
        let mut told = honest;
        if step >= all * percent / 100 {
            told.state = false_digest(honest.state);
        }
        if step == all {
            told.chain = false_digest(honest.chain);
        }
        told
    }
}

fn ended_jobs(run: &Path) -> Vec<EndedJob> {
    let history = read(run.join("history.jsonl"));
    let jobs = history.lines().map(serde_json::from_str);
    jobs.collect::<Result<_, _>>().unwrap()
}

/// Runs a search with one honest miner and two liars; returns its ended jobs.
async fn search_among_liars(dir: &Path, lie: Lie, more: &[&str]) -> Vec<EndedJob> {
    let run = dir.join("run");
    let mut flags = vec!["--rule=referee.answer_ms=3000"];
    flags.extend(more);
    let server = Server::start_with(&run, 0, &flags);
    let mut liars = Vec::new();
    for name in ["eve", "mallory"] {
        liars.push(tokio::spawn(Liar::join(&server, name, lie).await.work()));
    }
    let honest = server.miner("ada");
    for liar in liars {
        liar.await.unwrap();
    }
    crate::programs::wait_until("the front is written", || run.join("front.json").exists());
    // Everything follows from the journal, and the validator repeats the rulings.
    let report = succeeded(
        validator()
            .args(["--genomaster", &server.url, "--json"])
            .output()
            .unwrap(),
    );
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["disputed"].as_array().unwrap().len(), 0, "{report}");
    let (eve, ada) = (&report["miners"]["eve"], &report["miners"]["ada"]);
    assert_eq!(eve["points"], 0, "{report}");
    assert!(ada["points"].as_u64().unwrap() > 0, "{report}");
    // Silence loses without one.
    let rulings = report["rulings"].as_u64().unwrap();
    assert_eq!(rulings > 0, lie != Lie::Silence, "{report}");
    assert_eq!(report["repeated_rulings"], rulings, "{report}");
    drop(server);
    drop(honest);
    succeeded(genomaster().arg("audit").arg(&run).output().unwrap());
    ended_jobs(&run)
}

fn assert_honest_wins(jobs: &[EndedJob], lie: Lie, finding: Finding) {
    assert!(!jobs.is_empty());
    for job in jobs {
        for ((miner, _), (agreed, found)) in job
            .rows
            .iter()
            .zip(job.verdict.agreed.iter().zip(&job.verdict.findings))
        {
            let is_honest = miner.as_str() == "ada";
            assert_eq!(*agreed, is_honest, "{lie:?}: {job:?}");
            let expected = if is_honest { Finding::Agreed } else { finding };
            assert_eq!(*found, expected, "{lie:?}: {job:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_liars_lose_against_one_honest_miner() {
    let dir = folder("referee");
    let jobs = search_among_liars(&dir, Lie::From(40), &[]).await;
    assert_honest_wins(&jobs, Lie::From(40), Finding::Refuted);
    // The models are those that the honest miner delivered.
    let front: Value = serde_json::from_str(&read(dir.join("run/front.json"))).unwrap();
    for model in front.as_array().unwrap() {
        assert_eq!(model["digest"], model["model_digest"]);
        assert!(!model["curve"].as_array().unwrap().is_empty());
    }
    let delivered = std::fs::read_dir(dir.join("run/delivered")).unwrap();
    assert!(delivered.count() >= front.as_array().unwrap().len());
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_at_the_start_at_the_end_about_the_accuracy_and_silence_lose_too() {
    let small = ["--generations=1", "--population=2"];
    for (lie, finding) in [
        (Lie::From(0), Finding::Refuted),
        (Lie::From(100), Finding::Refuted),
        (Lie::Accuracy, Finding::Refuted),
        (Lie::Silence, Finding::Silent),
    ] {
        let dir = folder("referee-lies");
        let jobs = search_among_liars(&dir, lie, &small).await;
        assert_honest_wins(&jobs, lie, finding);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
