//! A genomaster, three miners and a validator in one program, from the libraries alone: no server,
//! no files, no clock. The trainings and the journal are real; one of the miners lies once.
//!
//!     cargo run --release -p naschain-bins --example embed

use std::error::Error;
use std::ops::ControlFlow;

use naschain_consensus::{Action, Agreement, Event, Millis, MinerId, Row, Rule};
use naschain_core::{Digest, Genome, MacroSpace};
use naschain_run::{
    Auditor, DataSpec, JournalHead, RunSpec, RunState, ScoringTerms, Signers, validate,
};
use naschain_train::{Dataset, Options, train};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The answer of an honest miner.
fn train_genome(spec: &RunSpec, data: &Dataset, genome: &Genome) -> Result<Row> {
    let network = spec.space.decode(genome)?;
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    let trained = train(&network, data, &spec.recipe, Options::default(), go_on)?;
    Ok(Row::Measured(trained.measurement))
}

fn main() -> Result<()> {
    let data = Dataset::digits();
    let space = MacroSpace {
        phases: 1,
        nodes: 3,
        input: data.shape,
        init_channels: 4,
        classes: data.classes,
    };
    let mut spec = RunSpec::new(space, DataSpec::new("digits", data.digest()));
    (spec.recipe.epochs, spec.recipe.train_images) = (2, 256);
    spec.recipe.validation_images = 200;
    spec.rules.agreement = Agreement::new(Rule::Exact);
    (spec.search.population, spec.search.generations) = (4, 2);

    // The genomaster: it applies events and appends them to a journal, from which anybody can
    // recompute the run. A program with a clock takes the milliseconds since the run's start.
    let mut state = RunState::new(spec.clone())?;
    let (mut head, mut journal) = (JournalHead::root(spec.digest()), Vec::new());
    let mut accept = |state: &mut RunState, event: Event| -> Result<Vec<Action>> {
        let now = Millis(1_000 * (head.number + 1));
        let actions = state.apply(now, event.clone(), None)?;
        journal.push(head.entry(now, serde_json::to_string(&event)?, None));
        Ok(actions)
    };

    // The miners: each joins, and then requests jobs, trains and answers.
    let miners = ["ada", "ben", "eve"].map(|name| MinerId::new(name).unwrap());
    for miner in miners.clone() {
        accept(&mut state, Event::Join { miner })?;
    }
    let mut lies = 1;
    while !state.is_finished() {
        for miner in miners.clone() {
            let asks = miner.clone();
            let actions = accept(&mut state, Event::Request { miner: asks })?;
            let Some(&Action::Leased { job, lease, .. }) = actions.first() else {
                continue;
            };
            let genome = state.genome(job).ok_or("a job without a genome")?;
            let mut row = train_genome(&spec, &data, genome)?;
            if let Row::Measured(measurement) = &mut row
                && miner.as_str() == "eve"
                && lies > 0
            {
                measurement.digest = Digest([0; 32]);
                lies -= 1;
            }
            accept(&mut state, Event::Submit { miner, lease, row })?;
        }
    }

    // The validator: it has the specification and the journal, and needs to trust nobody.
    let mut auditor = Auditor::new(spec.clone(), Signers::default())?;
    for entry in &journal {
        auditor.verify_next(entry, &[])?;
    }
    let mut terms = ScoringTerms::new(spec.digest(), &spec.rules.agreement);
    terms.spec = Some(&spec);
    let (report, _) = validate(auditor.state().ended_jobs(), &terms);
    println!("{}", report.table());
    for member in auditor.state().front() {
        let (m, genome) = (member.measurement, member.genome);
        println!("{genome}: {} %, {} parameters", m.accuracy, m.params);
    }
    Ok(())
}
