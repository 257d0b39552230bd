//! Runs whose miners train nothing: what they answer follows from the genome.

use std::time::Duration;

use naschain_bins::coordinator::Coordinator;
use naschain_bins::coordinator::call_error::CallError;
use naschain_bins::journal::run_folder::versions;
use naschain_consensus::{MinerId, Row, Rules};
use naschain_core::{Accuracy, Digest, MacroSpace, Measurement, Recipe};
use naschain_nsga::{Mode, SearchConfig};
use naschain_run::{DataSpec, Job, JobReply, RunSpec, objectives};
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
    RunSpec {
        versions: versions(),
        search: SearchConfig {
            population,
            generations,
            seed,
            mode: Mode::Nsga2,
            ..SearchConfig::new(space.genome_len(), objectives())
        },
        rules: Rules {
            epochs: 2,
            ..Rules::default()
        },
        space,
        recipe: Recipe {
            epochs: 2,
            train_images: 192,
            validation_images: 200,
            ..Recipe::default()
        },
        data: DataSpec {
            name: DataName::Digits.to_string(),
            digest: digits.digest(),
        },
    }
}

/// Right costs, and an accuracy that follows from the genome.
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

/// Lets miners join, ask, beat and answer in turn until `batches` batches have ended or the run
/// is finished.
pub(crate) async fn mine(
    coordinator: &Coordinator,
    miners: usize,
    batches: usize,
) -> Result<(), CallError> {
    for number in 0..miners {
        let miner = miner(number);
        let join = naschain_consensus::Event::Join { miner };
        coordinator.handle(join).await?;
    }
    loop {
        for number in 0..miners {
            if coordinator.look(|state| state.closed().len()).await >= batches {
                return Ok(());
            }
            let miner = miner(number);
            match coordinator.request(&miner, Duration::ZERO).await? {
                JobReply::Job(job) => {
                    coordinator.heartbeat(&miner, job.lease, 1).await?;
                    let row = answer(coordinator.spec(), &job);
                    coordinator.submit(&miner, job.lease, row).await?;
                }
                JobReply::Wait => {}
                JobReply::Finished => return Ok(()),
            }
        }
    }
}
