//! Throughput and memory of a board alone.

use naschain_consensus::{Action, Event, JobBoard, JobId, LeaseId, Millis, MinerId, Row, Rules};
use naschain_core::{Accuracy, Digest, Measurement, Purpose, Stream};

use crate::figures::{Figure, figure};

/// Measures the full size, and fewer miners for the growth of the cost of an event.
pub(crate) fn run(miners: u64, jobs: u64) -> Vec<Figure> {
    // The largest first: memory freed by an earlier run would hide what this one takes.
    let all = one(miners, jobs);
    let mut found = Vec::new();
    let steps = [100, 10_000].into_iter().filter(|fewer| *fewer < miners);
    for fewer in steps {
        let one = one(fewer, (jobs / 5).max(1));
        let name = format!("events_per_second_{fewer}_miners");
        found.push(figure(
            name,
            one.events_per_second,
            "CPU time, a fifth of the jobs",
        ));
    }
    found.push(figure(
        "events_per_second",
        all.events_per_second,
        "CPU time of one core",
    ));
    let by_clock = all.events_per_wall_second;
    found.push(figure(
        "events_per_wall_second",
        by_clock,
        "wall-clock time",
    ));
    found.push(figure(
        "events",
        all.events as f64,
        "joins, openings, requests, answers, ticks",
    ));
    if let Some(bytes) = all.bytes_per_miner {
        found.push(figure(
            "bytes_per_miner",
            bytes,
            "resident memory after all joined",
        ));
    }
    if let Some(bytes) = all.bytes_per_open_job {
        found.push(figure(
            "bytes_per_open_job",
            bytes,
            "resident memory after all were opened",
        ));
    }
    found
}

struct Scale {
    events: u64,
    events_per_second: f64,
    events_per_wall_second: f64,
    bytes_per_miner: Option<f64>,
    bytes_per_open_job: Option<f64>,
}

/// All miners join, all jobs are opened, and then all miners request and answer until no job is
/// left.
fn one(miners: u64, jobs: u64) -> Scale {
    let names: Vec<MinerId> = (0..miners)
        .filter_map(|miner| MinerId::new(format!("miner-{miner:06}")).ok())
        .collect();
    let mut board = Counted::new();
    let begun = (core_seconds(), wall_seconds());
    let empty = resident_bytes();
    for miner in &names {
        board.handle(
            0,
            Event::Join {
                miner: miner.clone(),
            },
        );
    }
    let joined = resident_bytes();
    for job in 0..jobs {
        let job = JobId(job);
        board.handle(0, Event::Open { job, flops: 1_000 });
    }
    let opened = resident_bytes();
    let mut stream = Stream::new(1, Purpose::Simulation, 2, 0);
    let mut working = Calendar::new();
    for miner in 0..names.len() {
        request(&mut board, &names, miner, 0, &mut stream, &mut working);
    }
    while working.count > 0 {
        for (miner, lease, job) in working.next_millisecond() {
            let submit = Event::Submit {
                miner: names[miner].clone(),
                lease,
                row: Row::Measured(found(job)),
            };
            let now = working.now;
            board.handle(now, submit);
            request(&mut board, &names, miner, now, &mut stream, &mut working);
        }
    }
    assert_eq!(board.board.open_jobs(), 0, "a job was lost");
    let per = |from: Option<u64>, to: Option<u64>, count: u64| {
        Some(to?.saturating_sub(from?) as f64 / count as f64)
    };
    Scale {
        events: board.events,
        events_per_second: board.events as f64 / (core_seconds() - begun.0),
        events_per_wall_second: board.events as f64 / (wall_seconds() - begun.1),
        bytes_per_miner: per(empty, joined, miners),
        bytes_per_open_job: per(joined, opened, jobs),
    }
}

fn request(
    board: &mut Counted,
    names: &[MinerId],
    index: usize,
    now: u64,
    stream: &mut Stream,
    working: &mut Calendar,
) {
    let miner = names[index].clone();
    let actions = board.handle(now, Event::Request { miner });
    if let Some(Action::Leased { lease, job, .. }) = actions.last() {
        let ms = 1_000 + stream.below(LONGEST_MS - 1_000);
        working.enter(ms, (index, *lease, *job));
    }
}

/// Short enough that no lease needs a heartbeat.
const LONGEST_MS: u64 = 41_000;

/// Ends of trainings by millisecond; a heap would add a tenth to the measured time.
struct Calendar {
    now: u64,
    days: Vec<Vec<(usize, LeaseId, JobId)>>,
    count: usize,
}

impl Calendar {
    fn new() -> Self {
        Calendar {
            now: 0,
            days: vec![Vec::new(); LONGEST_MS as usize],
            count: 0,
        }
    }

    fn enter(&mut self, in_ms: u64, entry: (usize, LeaseId, JobId)) {
        self.days[((self.now + in_ms) % LONGEST_MS) as usize].push(entry);
        self.count += 1;
    }

    fn next_millisecond(&mut self) -> Vec<(usize, LeaseId, JobId)> {
        self.now += 1;
        let day = std::mem::take(&mut self.days[(self.now % LONGEST_MS) as usize]);
        self.count -= day.len();
        day
    }
}

fn found(job: JobId) -> Measurement {
    Measurement {
        accuracy: Accuracy::from_hundredths((job.0 % 10_000) as u32)
            .expect("below 10,000 hundredths"),
        params: job.0,
        flops: 1_000,
        digest: Digest([7; 32]),
    }
}

/// A board that counts its events.
struct Counted {
    board: JobBoard,
    events: u64,
}

impl Counted {
    fn new() -> Self {
        Counted {
            board: JobBoard::new(Rules::default(), 1).expect("the default rules are valid"),
            events: 0,
        }
    }

    fn handle(&mut self, now: u64, event: Event) -> Vec<Action> {
        self.events += 1;
        let actions = self.board.handle(Millis(now), event);
        actions.expect("every event of the example is valid")
    }
}

/// CPU seconds of this thread, which other processes do not lengthen, on Linux; else seconds of the
/// clock.
fn core_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = text.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    nanoseconds.map_or_else(wall_seconds, |ns| ns as f64 * 1e-9)
}

fn wall_seconds() -> f64 {
    let epoch = std::time::SystemTime::UNIX_EPOCH;
    #[allow(
        clippy::disallowed_methods,
        reason = "the example measures the board's speed"
    )]
    let now = std::time::SystemTime::now();
    now.duration_since(epoch)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// Resident memory of this process (Linux, pages of 4 KiB).
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}
