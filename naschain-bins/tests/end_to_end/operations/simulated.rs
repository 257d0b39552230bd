//! Runs with simulated miners, whose answers are a function of the genome.

use std::time::Duration;

use naschain_bins::{CallError, Coordinator, versions};
use naschain_consensus::{MinerId, Row};
use naschain_core::{Accuracy, Digest, MacroSpace, Measurement};
use naschain_nsga::Mode;
use naschain_run::{DataSpec, Job, JobReply, RunSpec};
use naschain_train::{DataName, Dataset};

pub(crate) fn spec(population: usize, generations: usize, seed: u64) -> RunSpec {
    let digits = Dataset::digits();
    let space = MacroSpace {
        phases: 2,
        nodes: 4,
        input: digits.shape,
        init_channels: 4,
        classes: digits.classes,
    };
    let data = DataSpec::new(DataName::Digits.to_string(), digits.digest());
    let mut spec = RunSpec::new(space, data);
    spec.versions = versions();
    spec.search.population = population;
    spec.search.generations = generations;
    spec.search.seed = seed;
    spec.search.mode = Mode::Nsga2;
    spec.rules.epochs = 2;
    spec.recipe.epochs = 2;
    spec.recipe.train_images = 192;
    spec.recipe.validation_images = 200;
    spec
}

/// The right costs, with an accuracy derived from the genome.
pub(crate) fn answer(spec: &RunSpec, job: &Job) -> Row {
    let costs = spec.space.decode(&job.genome).unwrap().costs().unwrap();
    let digest = *blake3::hash(job.genome.to_string().as_bytes()).as_bytes();
    Row::Measured(Measurement {
        accuracy: Accuracy::from_hundredths(5_000 + u32::from(digest[0])).unwrap(),
        params: costs.params,
        flops: costs.flops,
        digest: Digest(digest),
    })
}

pub(crate) fn miner(number: usize) -> MinerId {
    format!("miner-{number}").parse().unwrap()
}

/// Lets miners join, request jobs, send heartbeats and answer in turn until `jobs` jobs have ended or
/// the run is finished.
pub(crate) async fn mine(
    coordinator: &Coordinator,
    miners: usize,
    jobs: usize,
) -> Result<(), CallError> {
    for number in 0..miners {
        let miner = miner(number);
        let join = naschain_consensus::Event::Join { miner };
        coordinator.handle(join, None).await?;
    }
    loop {
        for number in 0..miners {
            if coordinator
                .with_state(|state| state.ended_jobs().len())
                .await
                >= jobs
            {
                return Ok(());
            }
            let miner = miner(number);
            match coordinator.request(&miner, Duration::ZERO, None).await? {
                JobReply::Job(job) => {
                    coordinator.heartbeat(&miner, job.lease, 1, None).await?;
                    let row = answer(coordinator.spec(), &job);
                    coordinator.submit(&miner, job.lease, row, None).await?;
                }
                JobReply::Wait => {}
                JobReply::Finished => return Ok(()),
            }
        }
    }
}
