//! Simulated miners and the network between them and a board. Everything follows from the seed.

mod conduct;
mod options;
mod wires;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use naschain_consensus::{Action, Event, JobBoard, JobId, LeaseId, Millis, MinerId, Rejected, Row};
use naschain_core::{Measurement, Purpose, Stream};

use super::checker::Checker;
pub(crate) use conduct::{Conduct, truth};
pub(crate) use options::{Faults, Options, Pretence};

/// One end of the wire.
enum Happening {
    /// A message reaches the board.
    Arrives(usize, Event),
    /// Its answer reaches the miner.
    Answers(usize, Result<Vec<Action>, Rejected>),
    /// A miner's own clock rings; an old number means that it has been set anew.
    Rings(usize, u64),
}

/// What a miner is about.
enum Mind {
    Asks,
    Trains {
        lease: LeaseId,
        job: JobId,
        began: u64,
        ends: u64,
    },
    Tells {
        lease: LeaseId,
        row: Row,
    },
    Dead,
}

pub(crate) struct SimMiner {
    pub(crate) name: MinerId,
    pub(crate) conduct: Conduct,
    /// Units of work a millisecond.
    speed: f64,
    mind: Mind,
    alarm: u64,
    jobs: u64,
    /// Answers it has made.
    pub(crate) answers: u64,
    dies_at: u64,
    /// When the latest of its messages that keep their order arrives, and of those to it.
    sent_until: u64,
    told_until: u64,
}

/// A board, its miners and the wires between them.
pub(crate) struct World {
    pub(crate) board: JobBoard,
    pub(crate) checker: Checker,
    pub(crate) options: Options,
    pub(crate) now: u64,
    pub(crate) steps: u64,
    /// What the board accepted, with its times.
    pub(crate) journal: Vec<(Millis, Event)>,
    pub(crate) actions: Vec<Action>,
    pub(crate) miners: Vec<SimMiner>,
    wires: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    next_happening: u64,
    stream: Stream,
    next_job: u64,
    /// What copiers copy.
    last_found: Option<Measurement>,
}

const WORK: u64 = 1_000_000;

impl World {
    pub(crate) fn new(options: Options) -> Self {
        let seed = options.seed;
        let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
        let slowest = WORK as f64 / options.slowest_ms as f64;
        let miners = options
            .conducts
            .iter()
            .enumerate()
            .map(|(index, &conduct)| SimMiner {
                name: MinerId::new(format!("{conduct:?}-{index}")).unwrap(),
                conduct,
                speed: slowest * (1.0 + stream.unit_f64() * (options.speed_ratio - 1.0)),
                mind: Mind::Asks,
                alarm: 0,
                jobs: 0,
                answers: 0,
                dies_at: stream.below(20 * options.slowest_ms),
                sent_until: 0,
                told_until: 0,
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
            wires: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next_happening: 0,
            stream,
            next_job: 0,
            last_found: None,
            options,
        }
    }

    /// Runs until every job has ended, which it says, or `max_steps` are done.
    pub(crate) fn run(&mut self, max_steps: u64) -> bool {
        if self.options.opened_first {
            self.open_jobs();
        }
        for miner in 0..self.miners.len() {
            let SimMiner { name, conduct, .. } = &self.miners[miner];
            let owned = self.options.owners && *conduct == Conduct::Colluder;
            let join = Event::Register {
                miner: name.clone(),
                owner: owned.then(|| MinerId::new("ring").unwrap()),
                capacity: 1,
            };
            self.board_takes(join).unwrap();
            self.ring_in(miner, 0);
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
        let seed = self.options.seed;
        let deterministic = self.options.deterministic;
        self.checker.count_wrong(|job, found| {
            let right = truth(seed, job);
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
        true
    }

    /// Work of all jobs over the speed of all miners: no schedule can be shorter.
    pub(crate) fn makespan_bound_ms(&self) -> f64 {
        let work = (self.options.jobs * WORK) as f64 * self.options.rules.seats as f64;
        work / self.miners.iter().map(|miner| miner.speed).sum::<f64>()
    }

    fn open_jobs(&mut self) {
        while self.next_job < self.options.jobs
            && (self.board.open_jobs() as u64) < self.options.open_jobs
        {
            let job = JobId(self.next_job);
            self.next_job += 1;
            let known = self.options.known_job_every;
            let event = if known > 0 && job.0.is_multiple_of(known) {
                let answer = truth(self.options.seed, job);
                Event::OpenKnown {
                    job,
                    flops: WORK,
                    answer,
                }
            } else {
                Event::Open { job, flops: WORK }
            };
            self.board_takes(event).unwrap();
        }
    }

    fn board_takes(&mut self, event: Event) -> Result<Vec<Action>, Rejected> {
        let now = Millis(self.now);
        let probe = self.options.keep && self.stream.chance(0.003);
        let before = probe.then(|| format!("{:?}", self.board));
        let spared = match &event {
            Event::Request { miner } if self.board.now() == now => self.board.why_idle(miner),
            _ => None,
        };
        let result = self.board.handle(now, event.clone());
        if let Some(spared) = spared {
            assert!(matches!(result.as_deref(), Ok([Action::Idle { why, .. }]) if *why == spared));
        }
        match &result {
            Ok(actions) => {
                self.checker.step(&self.board, &event, actions);
                for action in actions {
                    if let Action::Closed { verdict, .. } = action {
                        self.last_found = verdict.consensus;
                    }
                }
                if self.options.keep {
                    self.journal.push((now, event));
                    self.actions.extend(actions.iter().cloned());
                }
            }
            Err(_) => {
                if let Some(before) = before {
                    assert_eq!(before, format!("{:?}", self.board), "refused, yet changed");
                }
            }
        }
        result
    }

    /// To the next happening, be it on a wire or the board's own deadline.
    fn advance(&mut self) {
        let wire = self.wires.peek().map(|Reverse((time, _))| *time);
        let deadline = self.board.next_deadline().map(|Millis(time)| time);
        match (wire, deadline) {
            (None, None) => panic!(
                "the world stands still with {} jobs",
                self.board.open_jobs()
            ),
            (wire, Some(deadline))
                if wire.is_none_or(|wire| deadline + self.options.late_tick_ms <= wire) =>
            {
                self.now = self.now.max(deadline + self.options.late_tick_ms);
                self.board_takes(Event::Tick).unwrap();
            }
            _ => {
                let Some(Reverse((time, id))) = self.wires.pop() else {
                    return;
                };
                self.now = self.now.max(time);
                match self.happenings.remove(&id).unwrap() {
                    Happening::Arrives(miner, event) => {
                        let answer = self.board_takes(event);
                        self.send(Happening::Answers(miner, answer));
                    }
                    Happening::Answers(miner, answer) => self.miner_reads(miner, answer),
                    Happening::Rings(miner, alarm) => {
                        if alarm == self.miners[miner].alarm {
                            self.miner_wakes(miner);
                        }
                    }
                }
            }
        }
    }

    fn miner_wakes(&mut self, index: usize) {
        let heartbeat_ms = self.options.rules.lease_ms / 3;
        let miner = &mut self.miners[index];
        if miner.conduct == Conduct::Mortal && self.now >= miner.dies_at {
            miner.mind = Mind::Dead;
        }
        let name = miner.name.clone();
        match &miner.mind {
            Mind::Dead => {}
            Mind::Asks if miner.conduct == Conduct::Lurker => {
                self.send(Happening::Arrives(index, Event::Join { miner: name }));
                self.ring_in(index, 60_000);
            }
            Mind::Asks => {
                self.send(Happening::Arrives(index, Event::Request { miner: name }));
                self.ring_in(index, self.options.poll_ms);
            }
            Mind::Trains { job, .. } if is_deadly(&self.options, *job) => {
                miner.mind = Mind::Asks;
                self.ring_in(index, 1_000);
            }
            Mind::Trains {
                lease, job, ends, ..
            } if self.now >= *ends => {
                let (lease, job) = (*lease, *job);
                let row = self.row(index, job);
                self.miners[index].mind = Mind::Tells { lease, row };
                self.miner_wakes(index);
            }
            Mind::Trains {
                lease, began, ends, ..
            } => {
                let (lease, left) = (*lease, *ends - self.now);
                let all = (*ends - *began).max(1) as u128;
                let epochs = u128::from(self.options.rules.epochs);
                let epoch = ((self.now - *began) as u128 * epochs / all) as u32;
                if miner.conduct == Conduct::Crasher && miner.jobs.is_multiple_of(5) {
                    miner.jobs += 1;
                    miner.mind = Mind::Asks;
                    return self.ring_in(index, left);
                }
                let heartbeat = Event::Heartbeat {
                    miner: name,
                    lease,
                    epoch,
                };
                self.send(Happening::Arrives(index, heartbeat));
                self.ring_in(index, heartbeat_ms.min(left).max(1));
            }
            Mind::Tells { lease, row } => {
                let submit = Event::Submit {
                    miner: name,
                    lease: *lease,
                    row: row.clone(),
                };
                self.send(Happening::Arrives(index, submit));
                self.ring_in(index, 2_000);
            }
        }
    }

    fn miner_reads(&mut self, index: usize, answer: Result<Vec<Action>, Rejected>) {
        let miner = &mut self.miners[index];
        match (&miner.mind, answer) {
            (Mind::Asks, Ok(actions)) => {
                let own = actions.into_iter().find_map(|action| match action {
                    Action::Leased {
                        miner: to,
                        job,
                        lease,
                        ..
                    } if to == miner.name => Some((job, lease)),
                    _ => None,
                });
                let Some((job, lease)) = own else { return };
                miner.jobs += 1;
                let is_idler = matches!(
                    miner.conduct,
                    Conduct::Liar | Conduct::Guesser | Conduct::Copier | Conduct::Colluder
                );
                let trains_ms = (WORK as f64 / miner.speed) as u64;
                let ms = match self.options.pretence {
                    _ if miner.conduct == Conduct::Staller => u64::MAX / 2,
                    Pretence::AtOnce if is_idler => 1,
                    Pretence::TopSpeed if is_idler => {
                        (self.options.slowest_ms as f64 / self.options.speed_ratio) as u64
                    }
                    _ => trains_ms,
                };
                let ends = self.now + ms.max(1);
                miner.mind = Mind::Trains {
                    lease,
                    job,
                    began: self.now,
                    ends,
                };
                let first = self.options.rules.lease_ms / 3;
                self.ring_in(index, first.min(ms).max(1));
            }
            (Mind::Tells { lease, .. }, answer) if about(&answer, *lease) => {
                miner.mind = Mind::Asks;
                self.ring_in(index, 0);
            }
            (Mind::Trains { lease, .. }, Err(Rejected::StaleLease { lease: stale, .. }))
                if *lease == stale =>
            {
                miner.mind = Mind::Asks;
                self.ring_in(index, 0);
            }
            _ => {}
        }
    }
}

fn is_deadly(options: &Options, job: JobId) -> bool {
    let every = options.deadly_job_every;
    every > 0 && job.0 % every == every - 1
}

/// Whether the board's answer settles a submission under this lease.
fn about(answer: &Result<Vec<Action>, Rejected>, lease: LeaseId) -> bool {
    match answer {
        // Whatever the board made of it: the answer has arrived.
        Ok(actions) => actions.iter().any(|action| match action {
            Action::Filled { lease: ended, .. }
            | Action::Late { lease: ended, .. }
            | Action::Discarded { lease: ended, .. } => *ended == lease,
            Action::SpotChecked { .. } => true,
            _ => false,
        }),
        Err(Rejected::StaleLease { lease: ended, .. })
        | Err(Rejected::AlreadyAnswered { lease: ended, .. }) => *ended == lease,
        Err(_) => false,
    }
}
