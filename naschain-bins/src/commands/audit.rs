//! `genomaster audit`: verifies a run's journal, and compares the genomaster's claims with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use clap::Args;
use naschain_core::Digest;
use serde::Serialize;

use crate::artifacts::history::{HISTORY_FILE, read_history};
use crate::cli::caller_args::CallerArgs;
use crate::cli::program::print;
use crate::client::Client;
use crate::journal::SNAPSHOT_FORMAT;
use crate::journal::run_folder::read_run;
use crate::journal::store::{JournalPlace, PlaceParser, Snapshot, Store};
use crate::printable::counted;
use naschain_run::{Auditor, EndedJob, Entry, FrontEntry, Signers, Unsigned};

/// Flags of the command.
#[derive(Args, Debug)]
pub struct AuditArgs {
    /// Folder of a run whose genomaster is stopped, or URL of a running genomaster
    #[arg(value_name = "RUN|URL")]
    target: String,
    /// Location of the run's journal, if not in its folder: a file or
    /// postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "PLACE", value_parser = PlaceParser)]
    store: Option<JournalPlace>,
    /// Number and hash of the last event of an earlier audit, as it printed them; it is a fault if
    /// this event is missing or different, so that removal of later events is detected
    #[arg(long, value_name = "NUMBER:HASH", value_parser = known)]
    known: Option<(u64, Digest)>,
    /// Accept unsigned events from any miner, for a run that was served with `serve --unsigned`.
    /// By default every event must be signed if the genomaster's hotkey is known (from itself,
    /// --genomaster-hotkey or a proof), otherwise those of miners named by a hotkey's address
    #[arg(long)]
    unsigned: bool,
    /// Accept unsigned events from miners of the reference network (`uid-N`), which cannot sign;
    /// for a genomaster with --legacy
    #[arg(long)]
    legacy: bool,
    #[command(flatten)]
    caller: CallerArgs,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

fn known(text: &str) -> Result<(u64, Digest), String> {
    let wrong = || format!("{text:?} is not NUMBER:HASH as printed by an audit");
    let (number, hash) = text.split_once(':').ok_or_else(wrong)?;
    let number = number.parse().map_err(|_| wrong())?;
    Ok((number, hash.parse().map_err(|_| wrong())?))
}

/// Result of an audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct AuditReport {
    /// The run.
    pub run: Digest,
    /// Number of verified events.
    pub events: u64,
    /// Number and hash of the last one, for `--known`.
    pub head: String,
    /// Number of ended jobs, whose verdicts were recomputed.
    #[serde(rename = "batches")]
    pub jobs: usize,
    /// Number of those in which miners agreed.
    pub accepted: usize,
    /// Number of networks on the Pareto front.
    pub front: usize,
    /// Whether the search is finished.
    pub finished: bool,
    /// Number of events that name a sender without a proof.
    pub unsigned: u64,
    /// Number of events whose sender signed the request for them.
    pub signed: u64,
    /// What is wrong. Events after the first broken one are not verified.
    pub faults: Vec<String>,
}

/// Verifies a run.
///
/// # Errors
/// If the journal cannot be read. What is wrong in it is in the report.
pub(crate) async fn audit(args: &AuditArgs) -> Result<AuditReport> {
    let is_url = args.target.starts_with("http://") || args.target.starts_with("https://");
    let mut signers = Signers::default();
    signers.genomaster = args.caller.genomaster_hotkey()?;
    if args.unsigned {
        signers.unsigned = Unsigned::All;
    }
    signers.legacy = args.legacy;
    let (spec, mut source) = if is_url {
        ensure!(
            args.store.is_none(),
            "--store is for a run's folder, not for a URL"
        );
        let client = Client::at_run(&args.target, args.caller.credentials(None)?)?;
        // The client has already refused a genomaster whose address is not that of
        // --genomaster-hotkey.
        signers.genomaster = client.genomaster().await?.map(str::to_owned);
        (client.run().await?, Source::Remote(client))
    } else {
        let dir = PathBuf::from(&args.target);
        let spec = read_run(&dir)?;
        let place = args
            .store
            .clone()
            .unwrap_or_else(|| JournalPlace::of_run(&dir));
        let store = place.read(spec.digest()).await?;
        (spec, Source::Local(Box::new(store), dir))
    };
    let mut auditor = Auditor::new(spec, signers)?;
    let mut faults = Vec::new();
    let mut checkpoints = Checkpoints {
        known: args.known,
        snapshot: source.snapshot().await,
    };
    let intact = follow(&mut auditor, &mut source, &mut checkpoints, &mut faults).await?;
    // After a fault the recomputed state is incomplete, so every claim would differ from it.
    if intact {
        checkpoints.report_missing(&mut faults);
        faults.extend(auditor.missing_secret());
        source.check_claims(&auditor, &mut faults).await?;
    }
    source.close().await?;
    let state = auditor.state();
    let accepted = state
        .ended_jobs()
        .iter()
        .filter(|ended| ended.failure.is_none());
    Ok(AuditReport {
        run: state.spec().digest(),
        events: auditor.head().number,
        head: format!("{}:{}", auditor.head().number, auditor.head().hash),
        jobs: state.ended_jobs().len(),
        accepted: accepted.count(),
        front: state.front().len(),
        finished: state.is_finished(),
        unsigned: auditor.unsigned,
        signed: auditor.signed,
        faults,
    })
}

/// Formats a report as the command prints it.
pub(crate) fn format_report(report: &AuditReport, json: bool) -> Result<String> {
    if json {
        Ok(serde_json::to_string(report)? + "\n")
    } else {
        Ok(report.text())
    }
}

/// Runs the command. Faults are an error, so that scripts notice them.
pub async fn run_audit(args: AuditArgs) -> Result<()> {
    let report = audit(&args).await?;
    print(&format_report(&report, args.json)?)?;
    match report.faults.first() {
        Some(fault) => bail!("the audit failed: {fault}"),
        None => Ok(()),
    }
}

impl AuditReport {
    fn text(&self) -> String {
        let mut text = format!(
            "run {}\n{} verified, the last one is {}\n{}, {} accepted, {} on the front{}\n",
            self.run,
            counted(self.events, "event"),
            self.head,
            counted(self.jobs, "job"),
            self.accepted,
            counted(self.front, "network"),
            if self.finished { ", finished" } else { "" }
        );
        text += &format!(
            "{} signed by their senders, {} unsigned\n",
            counted(self.signed, "event"),
            self.unsigned
        );
        for fault in &self.faults {
            text += &format!("FAULT: {fault}\n");
        }
        if self.faults.is_empty() {
            text += "no faults found\n";
        }
        text
    }
}

/// Source of the journal.
enum Source {
    Local(Box<Store>, PathBuf),
    Remote(Client),
}

/// Number of entries that are read at a time.
const PAGE_ENTRIES: usize = 1_000;

impl Source {
    async fn entries(&mut self, after: u64) -> Result<Vec<Entry>> {
        match self {
            Source::Local(store, _) => store.entries(after, PAGE_ENTRIES).await,
            Source::Remote(client) => Ok(client.journal(after).await?.entries),
        }
    }

    async fn snapshot(&mut self) -> Option<Snapshot> {
        match self {
            // A snapshot with another layout is ignored at a start too, so it cannot do harm.
            Source::Local(store, _) => {
                let snapshot = store.snapshot().await.ok().flatten();
                snapshot.filter(|snapshot| snapshot.format == SNAPSHOT_FORMAT)
            }
            Source::Remote(_) => None,
        }
    }

    /// Compares the genomaster's list of jobs and its front with the journal.
    async fn check_claims(&mut self, auditor: &Auditor, faults: &mut Vec<String>) -> Result<()> {
        let ended = auditor.state().ended_jobs();
        match self {
            Source::Local(_, dir) => check_history(dir, ended, faults),
            Source::Remote(client) => {
                let claimed = claimed_jobs(client, ended, faults).await?;
                compare(&claimed, ended, "the genomaster's list of jobs", faults);
                // Until then the front may change between the requests for the journal and for the
                // front.
                if auditor.state().is_finished() {
                    let front = client.front().await?;
                    let members = auditor.state().front();
                    let entry = |member: &naschain_run::FrontMember| FrontEntry {
                        genome: member.genome.clone(),
                        measurement: member.measurement,
                    };
                    if front != members.iter().map(entry).collect::<Vec<_>>() {
                        faults.push(
                            "the genomaster's front does not follow from the journal".to_owned(),
                        );
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

/// Reads the genomaster's list up to the number of jobs that the journal contains, or up to the first
/// page that differs: the rest may be any length.
async fn claimed_jobs(
    client: &Client,
    ended: &[EndedJob],
    faults: &mut Vec<String>,
) -> Result<Vec<EndedJob>> {
    let mut claimed = Vec::new();
    loop {
        let page = client.jobs(claimed.len()).await?;
        let (is_empty, total) = (page.jobs.is_empty(), page.total);
        let mut pairs = page.jobs.iter().zip(ended.iter().skip(claimed.len()));
        let differs = pairs.any(|(job, ended)| job != ended);
        claimed.extend(page.jobs);
        let length = claimed.len();
        // More jobs may have ended since the journal was read; those are not compared.
        if differs || length >= ended.len() || length >= total {
            return Ok(claimed);
        }
        if is_empty {
            faults.push(format!(
                "the genomaster's list of jobs ends after {length} jobs, but has {total} by its own count"
            ));
            return Ok(claimed);
        }
    }
}

/// States of the journal that are known from elsewhere and must occur in it.
struct Checkpoints {
    known: Option<(u64, Digest)>,
    snapshot: Option<Snapshot>,
}

impl Checkpoints {
    fn check(&mut self, auditor: &Auditor, faults: &mut Vec<String>) -> Result<()> {
        let head = auditor.head();
        if let Some((_, hash)) = self.known.take_if(|(number, _)| *number == head.number)
            && hash != head.hash
        {
            faults.push(format!(
                "event {} has hash {}, not {hash} as given by --known",
                head.number, head.hash
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

    fn report_missing(&self, faults: &mut Vec<String>) {
        let missing = |number| format!("event {number} is missing: the journal ends before it");
        let known = self.known.map(|(number, _)| number);
        let snapshot = self.snapshot.as_ref().map(|snapshot| snapshot.number);
        faults.extend(known.into_iter().chain(snapshot).map(missing));
    }
}

/// Verifies all entries; returns whether they are intact.
async fn follow(
    auditor: &mut Auditor,
    source: &mut Source,
    checkpoints: &mut Checkpoints,
    faults: &mut Vec<String>,
) -> Result<bool> {
    let mut page = source.entries(0).await?;
    while !page.is_empty() {
        for (at, entry) in page.iter().enumerate() {
            // The rest of the page tells the auditor whether a faulty entry was moved or changed.
            let taken = auditor.verify_next(entry, &page[at + 1..]);
            if let Err(fault) = taken {
                faults.push(fault.to_string());
                return Ok(false);
            }
            checkpoints.check(auditor, faults)?;
        }
        page = source.entries(auditor.head().number).await?;
    }
    Ok(true)
}

/// Compares `history.jsonl` with the journal. It is written after the journal, so it may have fewer
/// jobs, but not more.
fn check_history(dir: &Path, ended: &[EndedJob], faults: &mut Vec<String>) -> Result<()> {
    let Some(claimed) = read_history(dir)? else {
        return Ok(());
    };
    compare(&claimed, ended, HISTORY_FILE, faults);
    if claimed.len() > ended.len() {
        faults.push(format!(
            "{HISTORY_FILE} has {} jobs, the journal only {}: events are missing at its end",
            claimed.len(),
            ended.len()
        ));
    }
    Ok(())
}

/// Compares jobs by their ids, so that one missing line is one fault and not one for each later line.
fn compare(claimed: &[EndedJob], ended: &[EndedJob], source: &str, faults: &mut Vec<String>) {
    let by_job: BTreeMap<_, _> = claimed.iter().map(|job| (job.job, job)).collect();
    let known = |job: &&EndedJob| by_job.contains_key(&job.job);
    let count = ended
        .iter()
        .rposition(|job| known(&job))
        .map_or(0, |at| at + 1);
    let mut missing = Vec::new();
    for verified in &ended[..count] {
        match by_job.get(&verified.job) {
            Some(claimed) if *claimed == verified => {}
            Some(_) => faults.push(format!(
                "{source}: {} does not follow from the journal",
                verified.job
            )),
            None => missing.push(verified.job),
        }
    }
    if let [first, others @ ..] = &missing[..] {
        faults.push(match others.len() {
            0 => format!("{source}: {first} is missing"),
            more => format!("{source}: {first} and {more} more jobs are missing"),
        });
    }
    let order = ended.iter().filter(known).map(|job| job.job);
    let in_journal: BTreeSet<_> = ended.iter().map(|job| job.job).collect();
    let listed = claimed.iter().map(|job| job.job);
    let listed = listed.filter(|job| in_journal.contains(job));
    if missing.is_empty() && !order.eq(listed) {
        faults.push(format!(
            "{source}: the jobs are not in the journal's order, or one is listed twice"
        ));
    }
}
