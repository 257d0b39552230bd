//! Attacks a genomaster over HTTP as strangers can, all ways at once, and prints what it answered as
//! one JSON object. `scripts/attack.sh` measures honest miners meanwhile.
//!
//!     cargo run --release -p naschain-bins --example attack -- http://127.0.0.1:5000 --seconds 60
//!     cargo run --release -p naschain-bins --example attack -- http://127.0.0.1:5000 \
//!         --attack forget=400 --attack squat=12
//!
//! Run it only against a genomaster of your own. The end-to-end tests in `tests/end_to_end/attacks`
//! carry out each attack of docs/threats.md once; this program repeats those that are a matter of
//! quantity.

mod load;
mod places;
mod target;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tokio::task::JoinSet;

use target::Target;

/// Name, default number of clients, and what each of them does.
const ATTACKS: [(&str, u64, &str); 10] = [
    ("pad", 8, "pads the bodies of joins and answers to 60 KiB"),
    ("join", 8, "joins with a new hotkey each time"),
    (
        "alternate",
        8,
        "joins with another number of jobs each time",
    ),
    ("idle", 8, "requests work without waiting for it"),
    (
        "read",
        200,
        "reads journal, jobs, events or metrics a byte per second",
    ),
    ("forget", 8, "takes jobs and never answers"),
    (
        "fail",
        8,
        "takes jobs and answers that their training failed",
    ),
    ("squat", 8, "takes jobs and sends heartbeats without an end"),
    (
        "lie",
        8,
        "answers with a perfect network, and 40 other answers to the same lease",
    ),
    (
        "respell",
        2,
        "sends signed requests to other spellings of their paths",
    ),
];

/// Attacks a genomaster over HTTP as strangers can, and prints what it answered as JSON.
#[derive(Parser)]
#[command(after_help = attacks_help())]
struct Args {
    /// The genomaster, such as http://127.0.0.1:5000
    genomaster: String,
    /// Duration
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// An attack and its number of clients, such as forget=400; without this flag, all attacks with
    /// their default numbers
    #[arg(long = "attack", value_name = "NAME=CLIENTS", value_parser = parse_attack)]
    attacks: Vec<(String, u64)>,
}

fn attacks_help() -> String {
    let lines = ATTACKS.map(|(name, clients, what)| format!("  {name:<10}{what} ({clients})\n"));
    format!("Attacks:\n{}", lines.concat())
}

fn parse_attack(text: &str) -> Result<(String, u64)> {
    let (name, clients) = text.split_once('=').context("expected NAME=CLIENTS")?;
    let known = ATTACKS.map(|(name, ..)| name);
    ensure!(
        known.contains(&name),
        "expected one of {}",
        known.join(", ")
    );
    Ok((name.to_owned(), clients.parse()?))
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = Args::parse();
    if args.attacks.is_empty() {
        args.attacks = ATTACKS
            .map(|(name, clients, _)| (name.to_owned(), clients))
            .to_vec();
    }
    let target = Arc::new(Target::new(&args.genomaster).await?);
    let mut attacks = JoinSet::new();
    for (name, clients) in &args.attacks {
        for number in 0..*clients {
            let target = target.clone();
            match name.as_str() {
                "pad" => attacks.spawn(load::pad(target, number)),
                "join" => attacks.spawn(load::join_forever(target, number)),
                "alternate" => attacks.spawn(load::alternate(target, number)),
                "idle" => attacks.spawn(load::idle(target, number)),
                "read" => attacks.spawn(load::read_slowly(target, number)),
                "forget" => attacks.spawn(places::forget(target, number)),
                "fail" => attacks.spawn(places::fail(target, number)),
                "squat" => attacks.spawn(places::squat(target, number)),
                "lie" => attacks.spawn(places::lie(target, number)),
                "respell" => attacks.spawn(places::respell(target, number)),
                _ => unreachable!("names are checked when they are parsed"),
            };
        }
    }
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    attacks.shutdown().await;
    println!("{}", target.report().await);
    Ok(())
}
