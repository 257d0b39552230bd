//! A genomaster, three miners and a validator in one program, from the libraries alone: no
//! server, no files, no clock. Real trainings, a real journal; one of the miners lies once.
//!
//!     cargo run --release -p naschain-bins --example embed

use std::error::Error;
use std::ops::ControlFlow;

use naschain_consensus::{Action, Event, LeaseId, Millis, MinerId, Row, Rules};
use naschain_core::{Accuracy, Digest, Genome, MacroSpace, Recipe};
use naschain_nsga::SearchConfig;
use naschain_run::{Auditor, DataSpec, Entry, JournalHead, RunSpec, RunState, Signers};
use naschain_run::{Terms, objectives, validate};
use naschain_train::{Dataset, Options, train};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Everything that determines the result: data, search space, training, search and rules.
fn spec(data: &Dataset) -> RunSpec {
    let (input, classes) = (data.shape, data.classes);
    let space = MacroSpace {
        phases: 1,
        nodes: 3,
        input,
        init_channels: 4,
        classes,
    };
    let (name, digest) = ("digits".to_owned(), data.digest());
    let mut recipe = Recipe::default();
    (recipe.epochs, recipe.train_images, recipe.validation_images) = (2, 256, 128);
    let mut search = SearchConfig::new(space.genome_len(), objectives());
    (search.population, search.generations) = (4, 2);
    let (versions, rules, data) = (
        Default::default(),
        Rules::default(),
        DataSpec { name, digest },
    );
    RunSpec {
        versions,
        space,
        recipe,
        data,
        search,
        rules,
    }
}

/// The state of the run, and the journal from which everybody can recompute it.
struct Genomaster {
    state: RunState,
    head: JournalHead,
    journal: Vec<Entry>,
}

impl Genomaster {
    /// Applies an event and, unless it was rejected, appends it to the journal.
    fn accept(&mut self, event: Event) -> Result<Vec<Action>> {
        // A program with a clock takes the time since the start of the run.
        let now = Millis(1_000 * (self.head.number + 1));
        let actions = self.state.apply(now, event.clone())?;
        let entry = self.head.entry(now, serde_json::to_string(&event)?, None);
        self.journal.push(entry);
        Ok(actions)
    }

    /// Requests a job for a miner; `None` if there is none for it now.
    fn request(&mut self, miner: &MinerId) -> Result<Option<(LeaseId, Genome)>> {
        let actions = self.accept(Event::Request {
            miner: miner.clone(),
        })?;
        Ok(actions.iter().find_map(|action| match action {
            Action::Leased { job, lease, .. } => Some((*lease, self.state.genome(*job)?.clone())),
            _ => None,
        }))
    }
}

/// The answer of an honest miner.
fn answer(spec: &RunSpec, data: &Dataset, genome: &Genome) -> Result<Row> {
    let architecture = spec.space.decode(genome)?;
    let mut on_epoch = |_: &_| ControlFlow::Continue(());
    let trained = train(
        &architecture,
        data,
        &spec.recipe,
        Options::default(),
        &mut on_epoch,
    )?;
    Ok(Row::Measured(trained.measurement))
}

fn main() -> Result<()> {
    let data = Dataset::digits();
    let spec = spec(&data);
    let (state, head) = (
        RunState::new(spec.clone())?,
        JournalHead::root(spec.digest()),
    );
    let mut genomaster = Genomaster {
        state,
        head,
        journal: Vec::new(),
    };
    let miners: Vec<MinerId> = ["ada", "ben", "eve"]
        .map(str::parse)
        .into_iter()
        .collect::<std::result::Result<_, _>>()?;
    for miner in &miners {
        genomaster.accept(Event::Join {
            miner: miner.clone(),
        })?;
    }
    let mut has_lied = false;
    while !genomaster.state.is_finished() {
        for miner in &miners {
            let Some((lease, genome)) = genomaster.request(miner)? else {
                continue;
            };
            let mut row = answer(&spec, &data, &genome)?;
            if miner.as_str() == "eve"
                && !std::mem::replace(&mut has_lied, true)
                && let Row::Measured(measurement) = &mut row
            {
                measurement.accuracy = Accuracy::from_hundredths(10_000)?;
                measurement.digest = Digest([0; 32]);
            }
            genomaster.accept(Event::Submit {
                miner: miner.clone(),
                lease,
                row,
            })?;
        }
    }
    // The validator has only the specification and the journal, and trusts nobody.
    let mut auditor = Auditor::new(spec.clone(), Signers::default())?;
    for entry in &genomaster.journal {
        auditor.take(entry, &[])?;
    }
    let (run, agreement, epoch_jobs) =
        (spec.digest(), &spec.rules.agreement, spec.search.population);
    let terms = Terms {
        run,
        agreement,
        genomaster: None,
        legacy: false,
        epoch_jobs,
        finished: true,
    };
    let (report, _) = validate(auditor.state().closed(), &terms);
    println!("{}\naccuracy   params    FLOPs  genome", report.table());
    for member in auditor.state().front() {
        let m = member.measurement;
        println!(
            "{:>7}% {:>8} {:>8}  {}",
            m.accuracy, m.params, m.flops, member.genome
        );
    }
    Ok(())
}
