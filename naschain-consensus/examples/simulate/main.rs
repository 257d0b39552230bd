//! Runs job boards in simulated worlds and prints figures.
//!
//!     cargo run --release -p naschain-consensus --example simulate -- [options]
//!
//!     --seed S          seed of the simulation (default 1)
//!     --json            figures as one JSON object
//!     --part NAME       makespan, rewards, collusion, refereed, strangers or scale; all of them by
//!                       default
//!     --rule NAME=VALUE changes a rule of the refereed part, as in `seats=2` or
//!                       `referee.spot_check_every=20`; may be repeated
//!     --jobs N          number of jobs, except in the scale part (default 10000)
//!     --loss P          probability that a message is lost (default 0)
//!     --duplication P   probability that it arrives twice (default 0)
//!     --reordering P    probability that later ones may overtake it (default 0)
//!     --delay-ms MS     maximum delay of a message (default 0)
//!     --scale-miners N  miners of the scale part (default 100000)
//!     --scale-jobs N    jobs of the scale part (default 1000000)

#[path = "../../tests/simulation/checker.rs"]
#[allow(dead_code, reason = "shared with the test, which reads other figures")]
mod checker;
mod collusion;
mod figures;
mod makespan;
mod refereed;
mod rewards;
mod scale;
mod strangers;
#[path = "../../tests/simulation/world.rs"]
#[allow(dead_code, reason = "shared with the test, which reads other figures")]
mod world;

use std::process::ExitCode;

use figures::Figure;
use world::Faults;

const PARTS: [&str; 6] = [
    "makespan",
    "rewards",
    "collusion",
    "refereed",
    "strangers",
    "scale",
];

struct Arguments {
    seed: u64,
    json: bool,
    part: Option<String>,
    jobs: u64,
    faults: Faults,
    rules: Vec<(String, String)>,
    scale_miners: u64,
    scale_jobs: u64,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("simulate: {problem}");
            return ExitCode::from(2);
        }
    };
    let (seed, jobs, faults) = (arguments.seed, arguments.jobs, arguments.faults);
    // Printed first, so that any failure can be reproduced.
    if arguments.json {
        eprintln!("seed {seed}");
    } else {
        println!("seed {seed}");
    }
    let wants = |part: &str| arguments.part.as_deref().is_none_or(|only| only == part);
    let mut found: Vec<Figure> = Vec::new();
    let mut scale = Vec::new();
    if wants("scale") {
        // Before the others, while the process has no freed memory to reuse.
        scale = scale::run(arguments.scale_miners, arguments.scale_jobs);
    }
    if wants("makespan") {
        found.extend(makespan::makespan(seed, jobs, faults));
    }
    if wants("rewards") {
        found.extend(rewards::rewards(seed, jobs, faults));
    }
    if wants("collusion") {
        found.extend(collusion::collusion(seed, jobs, faults));
    }
    if wants("refereed") {
        match refereed::refereed(seed, jobs, faults, &arguments.rules) {
            Ok(figures) => found.extend(figures),
            Err(problem) => {
                eprintln!("simulate: {problem}");
                return ExitCode::from(2);
            }
        }
    }
    if wants("strangers") {
        found.extend(strangers::strangers(seed, jobs, faults));
    }
    found.extend(scale);
    print(&found, seed, arguments.json);
    ExitCode::SUCCESS
}

fn print(found: &[Figure], seed: u64, json: bool) {
    if json {
        let mut object = serde_json::Map::new();
        object.insert("seed".into(), seed.into());
        for figure in found {
            object.insert(figure.name.clone(), figure.value.into());
        }
        println!("{}", serde_json::Value::Object(object));
        return;
    }
    for figure in found {
        println!(
            "{:<52} {:>14.4}  {}",
            figure.name, figure.value, figure.meaning
        );
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        seed: 1,
        json: false,
        part: None,
        jobs: 10_000,
        faults: Faults::default(),
        rules: Vec::new(),
        scale_miners: 100_000,
        scale_jobs: 1_000_000,
    };
    while let Some(flag) = words.next() {
        if flag == "--json" {
            arguments.json = true;
            continue;
        }
        let value = words
            .next()
            .ok_or(format!("{flag} is unknown or lacks its value"))?;
        let wrong = |expected: &str| format!("{flag} is {value:?}; it must be {expected}");
        let whole = || value.parse::<u64>().map_err(|_| wrong("a whole number"));
        let share = || match value.parse::<f64>() {
            Ok(share) if (0.0..=0.9).contains(&share) => Ok(share),
            _ => Err(wrong("between 0 and 0.9")),
        };
        match flag.as_str() {
            "--seed" => arguments.seed = whole()?,
            "--jobs" => arguments.jobs = whole()?.max(1),
            "--loss" => arguments.faults.loss = share()?,
            "--duplication" => arguments.faults.duplication = share()?,
            "--reordering" => arguments.faults.reordering = share()?,
            "--delay-ms" => arguments.faults.max_delay_ms = whole()?,
            "--scale-miners" => arguments.scale_miners = whole()?.max(3),
            "--scale-jobs" => arguments.scale_jobs = whole()?.max(1),
            "--part" if PARTS.contains(&value.as_str()) => arguments.part = Some(value),
            "--part" => return Err(wrong(&PARTS.join(", "))),
            "--rule" => {
                let rule = value.split_once('=').ok_or(wrong("NAME=VALUE"))?;
                arguments.rules.push((rule.0.to_owned(), rule.1.to_owned()));
            }
            _ => {
                return Err(format!(
                    "{flag} is unknown; the options are listed at the top of the example"
                ));
            }
        }
    }
    Ok(arguments)
}
