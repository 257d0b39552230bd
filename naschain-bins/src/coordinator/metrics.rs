//! Counts and durations of a genomaster, in the text format of Prometheus.

pub(crate) mod route_times;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use naschain_consensus::{Action, JobId, MinerId, Tally};

use naschain_run::RunState;

/// Upper bounds of the histograms' buckets, in seconds. The last is the longest wait for work.
const BOUNDS_S: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// Maximum number of miners with their own time series; the help texts name it.
const MAX_LISTED_MINERS: usize = 50;

/// A histogram of durations.
#[derive(Default)]
struct Histogram {
    /// Per bucket; the last one counts everything above the bounds.
    counts: [u64; BOUNDS_S.len() + 1],
    sum_s: f64,
}

impl Histogram {
    fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS_S.iter().position(|bound| seconds <= *bound);
        self.counts[bucket.unwrap_or(BOUNDS_S.len())] += 1;
        self.sum_s += seconds;
    }

    /// `labels` is empty or ends with a comma.
    fn write(&self, text: &mut String, name: &str, labels: &str) {
        // Prometheus expects cumulative counts: each bucket includes the smaller ones.
        let mut below = 0;
        for (count, bound) in self.counts.iter().zip(BOUNDS_S) {
            below += count;
            let _ = writeln!(text, "{name}_bucket{{{labels}le=\"{bound}\"}} {below}");
        }
        let all: u64 = self.counts.iter().sum();
        let _ = writeln!(text, "{name}_bucket{{{labels}le=\"+Inf\"}} {all}");
        let labels = labels.trim_end_matches(',');
        let _ = writeln!(text, "{name}_sum{{{labels}}} {}", self.sum_s);
        let _ = writeln!(text, "{name}_count{{{labels}}} {all}");
    }
}

/// Counters since the start of the process; figures of the run are read from its state.
///
/// Each counter is independent of the others, so `Relaxed` is enough. A poisoned lock only skips a
/// measurement: metrics must not make a request fail.
#[derive(Default)]
pub struct Metrics {
    /// Held while metrics are written: one request at a time.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Events that were written to the journal.
    pub events: AtomicU64,
    /// Events that were refused.
    pub refused: AtomicU64,
    /// Journal writes that failed.
    pub failed_commits: AtomicU64,
    /// Readers that follow the event stream.
    pub feed_readers: AtomicU64,
    actions: Mutex<Actions>,
    commits: Mutex<Histogram>,
    requests: Mutex<BTreeMap<String, Route>>,
}

/// Counts of actions. Those that reveal other miners' answers to an open job are counted when the job
/// ends.
#[derive(Default)]
struct Actions {
    counts: BTreeMap<&'static str, u64>,
    of_open_jobs: BTreeMap<JobId, Vec<&'static str>>,
}

impl Actions {
    fn count(&mut self, action: &Action) {
        let Some(name) = counted(action) else { return };
        match action {
            Action::Escalated { job, .. } | Action::NewRound { job, .. } => {
                return self.of_open_jobs.entry(*job).or_default().push(name);
            }
            Action::Closed { job, .. } | Action::Failed { job, .. } => {
                for name in self.of_open_jobs.remove(job).into_iter().flatten() {
                    *self.counts.entry(name).or_default() += 1;
                }
            }
            _ => {}
        }
        *self.counts.entry(name).or_default() += 1;
    }
}

#[derive(Default)]
struct Route {
    statuses: BTreeMap<u16, u64>,
    took: Histogram,
}

impl Metrics {
    /// Counts a group of events that was written.
    pub fn committed(&self, events: usize, took: Duration) {
        self.events.fetch_add(events as u64, Ordering::Relaxed);
        if let Ok(mut commits) = self.commits.lock() {
            commits.observe(took);
        }
    }

    /// Counts the actions that an event caused.
    pub fn followed(&self, actions: &[Action]) {
        let Ok(mut counts) = self.actions.lock() else {
            return;
        };
        for action in actions {
            counts.count(action);
        }
    }

    /// Records a request over HTTP. `route` is a pattern of the router, not the path: a client must
    /// not be able to create time series.
    pub fn answered(&self, route: &str, status: u16, took: Duration) {
        let Ok(mut requests) = self.requests.lock() else {
            return;
        };
        // `entry` would allocate a `String` for every request.
        if !requests.contains_key(route) {
            requests.insert(route.to_owned(), Route::default());
        }
        if let Some(route) = requests.get_mut(route) {
            *route.statuses.entry(status).or_default() += 1;
            route.took.observe(took);
        }
    }

    /// All metrics in Prometheus' text format. `state` is `None` if this genomaster does not lead.
    pub fn text(&self, state: Option<&RunState>) -> String {
        let mut text = String::new();
        let leads = u64::from(state.is_some());
        gauge(
            &mut text,
            "naschain_leads",
            "1 if this genomaster leads",
            leads,
        );
        if let Some(state) = state {
            run_metrics(&mut text, state);
        }
        let counter = |text: &mut String, name, help, value: &AtomicU64| {
            head(text, name, help, "counter");
            let _ = writeln!(text, "{name} {}", value.load(Ordering::Relaxed));
        };
        let name = "naschain_events_total";
        counter(
            &mut text,
            name,
            "events written to the journal",
            &self.events,
        );
        let name = "naschain_refused_events_total";
        counter(&mut text, name, "events refused", &self.refused);
        let name = "naschain_failed_commits_total";
        counter(
            &mut text,
            name,
            "journal writes that failed",
            &self.failed_commits,
        );
        let readers = self.feed_readers.load(Ordering::Relaxed);
        let name = "naschain_feed_readers";
        gauge(
            &mut text,
            name,
            "readers that follow the event stream",
            readers,
        );
        let name = "naschain_actions_total";
        head(
            &mut text,
            name,
            "actions of the job board, by kind",
            "counter",
        );
        for (kind, count) in self
            .actions
            .lock()
            .iter()
            .flat_map(|actions| actions.counts.iter())
        {
            let _ = writeln!(text, "{name}{{kind=\"{kind}\"}} {count}");
        }
        let name = "naschain_commit_seconds";
        head(
            &mut text,
            name,
            "duration of a write to the journal",
            "histogram",
        );
        if let Ok(commits) = self.commits.lock() {
            commits.write(&mut text, name, "");
        }
        self.http_text(&mut text);
        text
    }

    fn http_text(&self, text: &mut String) {
        let Ok(requests) = self.requests.lock() else {
            return;
        };
        let name = "naschain_http_requests_total";
        head(text, name, "requests answered", "counter");
        for (route, measured) in requests.iter() {
            for (status, count) in &measured.statuses {
                let labels = format!("route=\"{route}\",status=\"{status}\"");
                let _ = writeln!(text, "{name}{{{labels}}} {count}");
            }
        }
        let name = "naschain_http_seconds";
        head(
            text,
            name,
            "duration of requests, including waiting for work",
            "histogram",
        );
        for (route, measured) in requests.iter() {
            let labels = format!("route=\"{route}\",");
            measured.took.write(text, name, &labels);
        }
    }
}

fn run_metrics(text: &mut String, state: &RunState) {
    let board = state.board();
    let jobs = "naschain_jobs";
    head(text, jobs, "jobs by state", "gauge");
    let failed = state
        .ended_jobs()
        .iter()
        .filter(|ended| ended.failure.is_some());
    let failed = failed.count();
    let accepted = state.ended_jobs().len() - failed;
    for (kind, count) in [
        ("open", board.open_jobs()),
        ("accepted", accepted),
        ("failed", failed),
    ] {
        let _ = writeln!(text, "{jobs}{{state=\"{kind}\"}} {count}");
    }
    gauge(
        text,
        "naschain_leases",
        "active leases",
        board.active_leases() as u64,
    );
    let present = board.miners().filter(|(_, present, _)| *present).count();
    gauge(
        text,
        "naschain_miners_present",
        "miners that count as present",
        present as u64,
    );
    gauge(
        text,
        "naschain_journal_events",
        "events of the run",
        state.events(),
    );
    let generation = state.search().generation() as u64;
    gauge(
        text,
        "naschain_generation",
        "generation of the search",
        generation,
    );
    let miners = busiest_miners(state);
    let name = "naschain_rewarded_rows_total";
    let help = "rewarded answers in ended jobs, by miner (the 50 with the most answers)";
    head(text, name, help, "counter");
    for (miner, tally) in &miners {
        let _ = writeln!(text, "{name}{{miner=\"{miner}\"}} {}", tally.points);
    }
    let name = "naschain_rejected_rows_total";
    let help =
        "answers in ended jobs that were not rewarded, by miner (the 50 with the most answers)";
    head(text, name, help, "counter");
    for (miner, tally) in &miners {
        let _ = writeln!(text, "{name}{{miner=\"{miner}\"}} {}", tally.rejected_jobs);
    }
}

/// The miners with the most answers in ended jobs, in the order of their names. Joining is not
/// enough: names are free.
fn busiest_miners(state: &RunState) -> Vec<(&MinerId, Tally)> {
    let answers = |tally: &Tally| tally.points + tally.rejected_jobs;
    let tallies = state.scores().tallies();
    let mut miners: Vec<(&MinerId, Tally)> = tallies.map(|(name, tally)| (name, *tally)).collect();
    if miners.len() > MAX_LISTED_MINERS {
        let most_first = |(_, tally): &(&MinerId, Tally)| Reverse(answers(tally));
        miners.select_nth_unstable_by_key(MAX_LISTED_MINERS, most_first);
        miners.truncate(MAX_LISTED_MINERS);
    }
    miners.sort_unstable_by_key(|(miner, _)| *miner);
    miners
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Writes a metric that can go up and down.
pub(crate) fn gauge(text: &mut String, name: &str, help: &str, value: u64) {
    head(text, name, help, "gauge");
    let _ = writeln!(text, "{name} {value}");
}

/// The label of an action that is counted.
fn counted(action: &Action) -> Option<&'static str> {
    Some(match action {
        Action::Leased { .. } => "leased",
        Action::Idle { .. } => "idle",
        Action::Renewed { .. } => "renewed",
        Action::Filled { .. } => "answered",
        Action::Late { .. } => "answered_late",
        Action::Moved { .. } => "moved",
        Action::Expired { .. } => "expired",
        Action::Revoked { .. } => "revoked",
        Action::Away { .. } => "away",
        Action::Escalated { .. } => "escalated",
        Action::NewRound { .. } => "new_round",
        Action::Closed { .. } => "accepted",
        Action::Failed { .. } => "failed",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use naschain_consensus::judge;

    use super::*;

    #[test]
    fn what_tells_of_others_answers_counts_when_the_job_ends() {
        let verdict = judge(&[], &Default::default());
        let job = JobId(3);
        let metrics = Metrics::default();
        metrics.followed(&[
            Action::Escalated {
                job,
                verdict: verdict.clone(),
                miners: Vec::new(),
            },
            Action::NewRound {
                job,
                round: 1,
                verdict: verdict.clone(),
                miners: Vec::new(),
            },
        ]);
        let counts = |metrics: &Metrics| metrics.actions.lock().unwrap().counts.clone();
        assert_eq!(counts(&metrics), BTreeMap::new());
        metrics.followed(&[Action::Closed {
            job,
            rows: Vec::new(),
            verdict,
        }]);
        let expected = [("accepted", 1), ("escalated", 1), ("new_round", 1)];
        assert_eq!(counts(&metrics), BTreeMap::from(expected));
        assert!(metrics.actions.lock().unwrap().of_open_jobs.is_empty());
    }
}
