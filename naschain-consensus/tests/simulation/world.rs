//! Simulated miners, and the network between them and a board. Everything follows from the seed.

mod activity;
mod behaviour;
mod network;
mod options;
mod testimony;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use naschain_consensus::{
    Action, Event, JobBoard, JobId, LeaseId, Millis, MinerId, QuestionId, Rejected, Row,
};
use naschain_core::{Measurement, Purpose, Stream};

use super::checker::Checker;
pub(crate) use behaviour::{Behaviour, LIARS, truth};
pub(crate) use options::{CheaterSpeed, Faults, Options};
use testimony::Story;

/// An event of the simulation.
enum SimEvent {
    /// A message of a miner reaches the board.
    ToBoard(usize, Event),
    /// The answer reaches the miner.
    ToMiner(usize, Result<Vec<Action>, Rejected>),
    /// The genomaster itself reports something.
    Genomaster(Event),
    /// A miner looks at a question that it was asked.
    Asked(usize, QuestionId),
    /// A timer of a miner fires; it is ignored if the miner has set a newer one.
    Timer(usize, u64),
}

/// What a miner is doing.
enum Activity {
    Requesting,
    Training {
        lease: LeaseId,
        job: JobId,
        began: u64,
        ends: u64,
    },
    Submitting {
        lease: LeaseId,
        row: Row,
    },
    Dead,
}

pub(crate) struct SimMiner {
    pub(crate) name: MinerId,
    pub(crate) behaviour: Behaviour,
    /// Units of work in a millisecond.
    speed: f64,
    activity: Activity,
    timer: u64,
    jobs: u64,
    /// Number of answers it has computed.
    pub(crate) answers: u64,
    dies_at: u64,
    /// Arrival of its latest in-order message at the board.
    sent_until: u64,
    received_until: u64,
}

/// A board, its miners and the network.
pub(crate) struct World {
    pub(crate) board: JobBoard,
    pub(crate) checker: Checker,
    pub(crate) options: Options,
    pub(crate) now: u64,
    pub(crate) steps: u64,
    /// The accepted events with their times.
    pub(crate) journal: Vec<(Millis, Event)>,
    pub(crate) actions: Vec<Action>,
    pub(crate) miners: Vec<SimMiner>,
    network: BinaryHeap<Reverse<(u64, u64)>>,
    pending: BTreeMap<u64, SimEvent>,
    next_event: u64,
    stream: Stream,
    next_job: u64,
    /// The latest consensus, which copiers submit.
    last_found: Option<Measurement>,
    /// What miners can testify about their answers.
    stories: BTreeMap<(usize, JobId), Story>,
    /// Jobs all of whose answers are those of schemers.
    pub(crate) captured: u64,
}

const WORK: u64 = 1_000_000;

impl World {
    pub(crate) fn new(options: Options) -> Self {
        let seed = options.seed;
        let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
        let slowest = WORK as f64 / options.slowest_ms as f64;
        let miners = options
            .behaviours
            .iter()
            .enumerate()
            .map(|(index, &behaviour)| SimMiner {
                name: MinerId::new(format!("{behaviour:?}-{index}")).unwrap(),
                behaviour,
                speed: slowest * (1.0 + stream.unit_f64() * (options.speed_ratio - 1.0)),
                activity: Activity::Requesting,
                timer: 0,
                jobs: 0,
                answers: 0,
                dies_at: stream.below(20 * options.slowest_ms),
                sent_until: 0,
                received_until: 0,
            });
        let miners = miners.collect();
        World {
            board: JobBoard::new(options.rules.clone(), seed).unwrap(),
            checker: Checker::new(options.rules.clone()),
            now: 0,
            steps: 0,
            journal: Vec::new(),
            actions: Vec::new(),
            miners,
            network: BinaryHeap::new(),
            pending: BTreeMap::new(),
            next_event: 0,
            stream,
            next_job: 0,
            last_found: None,
            stories: BTreeMap::new(),
            captured: 0,
            options,
        }
    }

    /// Runs until every job has ended, and returns whether that took at most `max_steps` steps.
    pub(crate) fn run(&mut self, max_steps: u64) -> bool {
        if self.options.opened_before_join {
            self.open_jobs();
        }
        for miner in 0..self.miners.len() {
            let SimMiner {
                name, behaviour, ..
            } = &self.miners[miner];
            let owned = self.options.owners && *behaviour == Behaviour::Colluder;
            let join = Event::Register {
                miner: name.clone(),
                owner: owned.then(|| MinerId::new("ring").unwrap()),
                capacity: 1,
            };
            if *behaviour != Behaviour::Honest && self.options.strangers_join_ms > 0 {
                let joins_ms = self.options.strangers_join_ms;
                self.at(joins_ms, SimEvent::ToBoard(miner, join));
                self.set_timer(miner, joins_ms + 1);
                continue;
            }
            self.handle(join).unwrap();
            self.set_timer(miner, 0);
        }
        self.open_jobs();
        while self.board.open_jobs() > 0 {
            if self.steps == max_steps {
                return false;
            }
            self.steps += 1;
            self.advance();
            self.open_jobs();
        }
        self.checker.points_agree(&self.board);
        let deterministic = self.options.deterministic;
        let mut checker = std::mem::take(&mut self.checker);
        checker.count_wrong(|job, found| {
            let right = self.right(job);
            let apart = right
                .accuracy
                .hundredths()
                .abs_diff(found.accuracy.hundredths());
            if deterministic {
                *found == right
            } else {
                apart <= 30 && found.params == right.params
            }
        });
        self.checker = checker;
        true
    }

    /// Total work divided by total speed: no schedule can be shorter.
    pub(crate) fn makespan_bound_ms(&self) -> f64 {
        let work = (self.options.jobs * WORK) as f64 * self.options.rules.seats as f64;
        work / self.miners.iter().map(|miner| miner.speed).sum::<f64>()
    }

    fn open_jobs(&mut self) {
        if self.options.in_waves && self.board.open_jobs() > 0 {
            return;
        }
        while self.next_job < self.options.jobs
            && (self.board.open_jobs() as u64) < self.options.open_jobs
        {
            let job = JobId(self.next_job);
            self.next_job += 1;
            self.handle(Event::Open { job, flops: WORK }).unwrap();
        }
    }

    fn handle(&mut self, event: Event) -> Result<Vec<Action>, Rejected> {
        let now = Millis(self.now);
        let probe = self.options.keep && self.stream.chance(0.003);
        let before = probe.then(|| format!("{:?}", self.board));
        let idle = match &event {
            Event::Request { miner } if self.board.now() == now => self.board.idle_reason(miner),
            _ => None,
        };
        let result = self.board.handle(now, event.clone());
        if let Some(idle) = idle {
            assert!(
                matches!(result.as_deref(), Ok([Action::Idle { reason, .. }]) if *reason == idle)
            );
        }
        match &result {
            Ok(actions) => {
                self.checker.step(&self.board, &event, actions);
                for action in actions {
                    if let Action::Closed { verdict, rows, .. } = action {
                        self.last_found = verdict.consensus;
                        let is_schemer =
                            |(miner, _): &(MinerId, Row)| miner.as_str().starts_with("Schemer");
                        self.captured += u64::from(rows.iter().all(is_schemer));
                    }
                }
                if self.options.rules.referee.is_some() {
                    self.check_honest_wins(actions);
                    self.pass_on(actions);
                }
                if self.options.keep {
                    self.journal.push((now, event));
                    self.actions.extend(actions.iter().cloned());
                }
            }
            Err(_) => {
                if let Some(before) = before {
                    assert_eq!(before, format!("{:?}", self.board), "rejected, yet changed");
                }
            }
        }
        result
    }

    /// Advances to the next event, or to the deadline of the board.
    fn advance(&mut self) {
        let wire = self.network.peek().map(|Reverse((time, _))| *time);
        let deadline = self.board.next_deadline().map(|Millis(time)| time);
        match (wire, deadline) {
            (None, None) => panic!(
                "the simulation is idle with {} open jobs",
                self.board.open_jobs()
            ),
            (wire, Some(deadline))
                if wire.is_none_or(|wire| deadline + self.options.late_tick_ms <= wire) =>
            {
                self.now = self.now.max(deadline + self.options.late_tick_ms);
                self.handle(Event::Tick).unwrap();
            }
            _ => {
                let Some(Reverse((time, id))) = self.network.pop() else {
                    return;
                };
                self.now = self.now.max(time);
                match self.pending.remove(&id).unwrap() {
                    SimEvent::ToBoard(miner, event) => {
                        let answer = self.handle(event);
                        self.send(SimEvent::ToMiner(miner, answer));
                    }
                    SimEvent::ToMiner(miner, answer) => self.on_answer(miner, answer),
                    SimEvent::Genomaster(event) => {
                        // What was delivered twice, or after its time, is refused.
                        let _ = self.handle(event);
                    }
                    SimEvent::Asked(miner, question) => self.on_question(miner, question),
                    SimEvent::Timer(miner, timer) => {
                        if timer == self.miners[miner].timer {
                            self.on_timer(miner);
                        }
                    }
                }
            }
        }
    }
}
