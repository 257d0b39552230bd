//! `genomaster audit`: a run's journal verified, and what is claimed of the run held against it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use naschain_core::Digest;
use serde::Serialize;

use crate::cli::caller_args::CallerArgs;
use crate::client::Client;
use crate::journal::run_folder::read_spec;
use crate::journal::store::{Place, PlaceParser, Snapshot, Store};
use naschain_run::{Auditor, ClosedJob, Entry, FrontEntry, Signers, Unsigned};

/// Flags of the command.
#[derive(Args, Debug)]
pub struct AuditArgs {
    /// Folder of a run whose genomaster is stopped, or the address of one that serves
    #[arg(value_name = "RUN|URL")]
    target: String,
    /// Where the run's journal is, if not in its folder: a file or postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "PLACE", value_parser = PlaceParser)]
    store: Option<Place>,
    /// Number and link of an event that an earlier audit printed as the last one: it has to be
    /// there still, so that events dropped from the end are found
    #[arg(long, value_name = "NUMBER:LINK", value_parser = known)]
    known: Option<(u64, Digest)>,
    /// The run's genomaster takes requests that are not signed, or once did (`serve --unsigned`):
    /// nobody need have signed. Without this, everybody must have where the genomaster's address
    /// is known, from it, from --genomaster-hotkey or from a proof, and else those who are known
    /// by a hotkey's address
    #[arg(long)]
    unsigned: bool,
    /// Miners of the old network (`uid-N`), which cannot sign, need not have; for a genomaster
    /// that runs with --legacy
    #[arg(long)]
    legacy: bool,
    #[command(flatten)]
    caller: CallerArgs,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

fn known(text: &str) -> Result<(u64, Digest), String> {
    let wrong = || format!("{text:?} is not NUMBER:LINK as an audit prints it");
    let (number, link) = text.split_once(':').ok_or_else(wrong)?;
    let number = number.parse().map_err(|_| wrong())?;
    Ok((number, link.parse().map_err(|_| wrong())?))
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// The run.
    pub run: Digest,
    /// Events that were verified.
    pub events: u64,
    /// Number and link of the last of them, for `--known`.
    pub head: String,
    /// Jobs that have ended, whose verdicts were reached again.
    #[serde(rename = "batches")]
    pub jobs: usize,
    /// Of those, the ones in which miners agreed.
    pub accepted: usize,
    /// Networks on the Pareto front.
    pub front: usize,
    /// Whether the search is finished.
    pub finished: bool,
    /// Events that name a sender without a proof.
    pub unsigned: u64,
    /// Events whose sender signed the request for them.
    pub signed: u64,
    /// What is wrong; nothing after the first broken event was looked at.
    pub faults: Vec<String>,
}

/// Verifies a run.
///
/// # Errors
/// Where the journal cannot be read. Where it is wrong, the report says so.
pub async fn audit(args: &AuditArgs) -> Result<AuditReport> {
    let is_url = args.target.starts_with("http://") || args.target.starts_with("https://");
    let mut signers = Signers {
        genomaster: args.caller.genomaster_hotkey()?,
        unsigned: match args.unsigned {
            true => Unsigned::All,
            false => Unsigned::NamesOnly,
        },
        legacy: args.legacy,
    };
    let (spec, mut source) = match is_url {
        true => {
            ensure!(
                args.store.is_none(),
                "--store goes with a run's folder, not with a URL"
            );
            let client = Client::with(&args.target, args.caller.credentials(None)?)?;
            signers.genomaster = client.genomaster().await?.map(str::to_owned);
            (client.run().await?, Source::Remote(client))
        }
        false => {
            let dir = PathBuf::from(&args.target);
            let spec = read_spec(&dir.join("run.json"))?;
            let place = args.store.clone().unwrap_or_else(|| Place::of_run(&dir));
            let store = place.read(spec.digest()).await?;
            (spec, Source::Local(store, dir))
        }
    };
    let mut auditor = Auditor::new(spec, signers)?;
    let mut faults = Vec::new();
    let mut marks = Marks {
        known: args.known,
        snapshot: source.snapshot().await,
    };
    let whole = follow(&mut auditor, &mut source, &mut marks, &mut faults).await?;
    if whole {
        marks.left(&mut faults);
        source.hold_claims(&auditor, &mut faults).await?;
    }
    source.close().await?;
    let state = auditor.state();
    let accepted = state
        .closed()
        .iter()
        .filter(|closed| closed.failure.is_none());
    Ok(AuditReport {
        run: state.spec().digest(),
        events: auditor.head().number,
        head: format!("{}:{}", auditor.head().number, auditor.head().hash),
        jobs: state.closed().len(),
        accepted: accepted.count(),
        front: state.front().len(),
        finished: state.is_finished(),
        unsigned: auditor.unsigned,
        signed: auditor.signed,
        faults,
    })
}

/// Prints a report; faults end the command with an error.
pub fn conclusion(report: &AuditReport, json: bool) -> Result<String> {
    match json {
        true => Ok(serde_json::to_string(report)? + "\n"),
        false => Ok(report.text()),
    }
}

/// Runs the command.
pub async fn run_audit(args: AuditArgs) -> Result<()> {
    let report = audit(&args).await?;
    crate::cli::run::say(&conclusion(&report, args.json)?)?;
    match report.faults.first() {
        Some(fault) => bail!("the audit failed: {fault}"),
        None => Ok(()),
    }
}

impl AuditReport {
    fn text(&self) -> String {
        let mut text = format!(
            "run {}\n{} events verified, the last one is {}\n{} jobs, {} accepted, {} networks on the front{}\n",
            self.run,
            self.events,
            self.head,
            self.jobs,
            self.accepted,
            self.front,
            if self.finished { ", finished" } else { "" }
        );
        text += &format!(
            "{} events signed by their senders, {} by senders that did not sign\n",
            self.signed, self.unsigned
        );
        for fault in &self.faults {
            text += &format!("FAULT: {fault}\n");
        }
        if self.faults.is_empty() {
            text += "nothing is wrong\n";
        }
        text
    }
}

/// Where the journal comes from.
enum Source {
    Local(Store, PathBuf),
    Remote(Client),
}

/// So many entries are looked at together.
const PAGE: usize = 1_000;

impl Source {
    async fn entries(&mut self, after: u64) -> Result<Vec<Entry>> {
        match self {
            Source::Local(store, _) => store.entries(after, PAGE).await,
            Source::Remote(client) => Ok(client.journal(after).await?.entries),
        }
    }

    async fn snapshot(&mut self) -> Option<Snapshot> {
        match self {
            Source::Local(store, _) => store.snapshot().await.ok().flatten(),
            Source::Remote(_) => None,
        }
    }

    /// Holds what the genomaster says of ended jobs and of the front against the journal.
    async fn hold_claims(&mut self, auditor: &Auditor, faults: &mut Vec<String>) -> Result<()> {
        let closed = auditor.state().closed();
        match self {
            Source::Local(_, dir) => hold_history(dir, closed, faults),
            Source::Remote(client) => {
                let mut claimed = Vec::new();
                loop {
                    let page = client.jobs(claimed.len()).await?;
                    claimed.extend(page.jobs);
                    // Jobs end while this reads, and the public journal ends before them.
                    if claimed.len() >= closed.len() || claimed.len() >= page.total {
                        break;
                    }
                }
                hold(&claimed, closed, "the genomaster's list of jobs", faults);
                if auditor.state().is_finished() {
                    let front = client.front().await?;
                    let own = auditor.state().front();
                    let entry = |member: &naschain_run::FrontMember| FrontEntry {
                        genome: member.genome.clone(),
                        measurement: member.measurement,
                    };
                    if front != own.iter().map(entry).collect::<Vec<_>>() {
                        faults.push("the genomaster's front does not follow".to_owned());
                    }
                }
                Ok(())
            }
        }
    }

    async fn close(self) -> Result<()> {
        match self {
            Source::Local(store, _) => store.close().await,
            Source::Remote(_) => Ok(()),
        }
    }
}

/// What has to be met on the way.
struct Marks {
    known: Option<(u64, Digest)>,
    snapshot: Option<Snapshot>,
}

impl Marks {
    fn meet(&mut self, auditor: &Auditor, faults: &mut Vec<String>) -> Result<()> {
        let head = auditor.head();
        if let Some((_, link)) = self.known.take_if(|(number, _)| *number == head.number)
            && link != head.hash
        {
            faults.push(format!(
                "event {} is another one than was known",
                head.number
            ));
        }
        let reached = |snapshot: &mut Snapshot| snapshot.number == head.number;
        if let Some(snapshot) = self.snapshot.take_if(reached)
            && (snapshot.hash != head.hash || snapshot.bytes != auditor.state().stored()?)
        {
            let number = head.number;
            faults.push(format!(
                "the snapshot of event {number} is not the state that follows from the journal"
            ));
        }
        Ok(())
    }

    fn left(&self, faults: &mut Vec<String>) {
        let missing = |number| format!("event {number} is missing: the journal ends before it");
        let known = self.known.map(|(number, _)| number);
        let snapshot = self.snapshot.as_ref().map(|snapshot| snapshot.number);
        faults.extend(known.into_iter().chain(snapshot).map(missing));
    }
}

/// Takes all entries; says whether the chain is whole.
async fn follow(
    auditor: &mut Auditor,
    source: &mut Source,
    marks: &mut Marks,
    faults: &mut Vec<String>,
) -> Result<bool> {
    let mut page = source.entries(0).await?;
    while !page.is_empty() {
        for (at, entry) in page.iter().enumerate() {
            let taken = auditor.verify_next(entry, &page[at + 1..]);
            if let Err(fault) = taken {
                faults.push(fault.to_string());
                return Ok(false);
            }
            marks.meet(auditor, faults)?;
        }
        page = source.entries(auditor.head().number).await?;
    }
    Ok(true)
}

/// `history.jsonl` is written after the journal, so that it may be shorter.
fn hold_history(dir: &Path, closed: &[ClosedJob], faults: &mut Vec<String>) -> Result<()> {
    let path = dir.join("history.jsonl");
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Ok(());
    };
    let job = |line: &str| -> Result<ClosedJob> {
        serde_json::from_str(line).with_context(|| format!("{} is damaged", path.display()))
    };
    let claimed: Vec<_> = text.lines().map(job).collect::<Result<_>>()?;
    hold(&claimed, closed, "history.jsonl", faults);
    if claimed.len() > closed.len() {
        faults.push(format!(
            "history.jsonl has {} jobs, the journal only {}: events are missing at its end",
            claimed.len(),
            closed.len()
        ));
    }
    Ok(())
}

fn hold(claimed: &[ClosedJob], closed: &[ClosedJob], whose: &str, faults: &mut Vec<String>) {
    for (claimed, own) in claimed.iter().zip(closed) {
        if claimed != own {
            faults.push(format!("{whose}: {} does not follow", own.job));
        }
    }
}
