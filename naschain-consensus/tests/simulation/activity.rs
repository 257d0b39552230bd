//! What miners do when their timer fires or an answer arrives.

use naschain_consensus::{Action, Event, JobId, LeaseId, Rejected};

use super::{Activity, Behaviour, CheaterSpeed, Options, SimEvent, WORK, World};

impl World {
    pub(super) fn on_timer(&mut self, index: usize) {
        let heartbeat_ms = self.heartbeat_ms(index);
        let miner = &mut self.miners[index];
        if miner.behaviour == Behaviour::Mortal && self.now >= miner.dies_at {
            miner.activity = Activity::Dead;
        }
        let name = miner.name.clone();
        match &miner.activity {
            Activity::Dead => {}
            Activity::Requesting if !miner.behaviour.requests_work(miner.jobs) => {
                self.let_seats_wait(index);
            }
            Activity::Requesting => {
                self.send(SimEvent::ToBoard(index, Event::Request { miner: name }));
                self.set_timer(index, self.options.poll_ms);
            }
            Activity::Training { job, .. } if is_crashing(&self.options, *job) => {
                miner.activity = Activity::Requesting;
                self.set_timer(index, 1_000);
            }
            Activity::Training {
                lease, job, ends, ..
            } if self.now >= *ends => {
                let (lease, job) = (*lease, *job);
                let row = self.row(index, job);
                self.miners[index].activity = Activity::Submitting { lease, row };
                self.on_timer(index);
            }
            Activity::Training {
                lease, began, ends, ..
            } => {
                let (lease, left) = (*lease, *ends - self.now);
                let all = (*ends - *began).max(1) as u128;
                let epochs = u128::from(self.options.rules.epochs);
                let epoch = match miner.behaviour {
                    Behaviour::Boaster => self.options.rules.epochs,
                    Behaviour::Pretender => {
                        let all = u128::from(self.options.slowest_ms);
                        let epoch = u128::from(self.now - *began) * epochs / all;
                        (epoch as u32).min(self.options.rules.epochs - 1)
                    }
                    _ => ((self.now - *began) as u128 * epochs / all) as u32,
                };
                if miner.behaviour == Behaviour::Crasher && miner.jobs.is_multiple_of(5) {
                    miner.jobs += 1;
                    miner.activity = Activity::Requesting;
                    return self.set_timer(index, left);
                }
                let heartbeat = Event::Heartbeat {
                    miner: name,
                    lease,
                    epoch,
                };
                self.send(SimEvent::ToBoard(index, heartbeat));
                self.set_timer(index, heartbeat_ms.min(left).max(1));
            }
            Activity::Submitting { lease, row } => {
                let submit = Event::Submit {
                    miner: name,
                    lease: *lease,
                    row: row.clone(),
                };
                self.send(SimEvent::ToBoard(index, submit));
                self.set_timer(index, 2_000);
            }
        }
    }

    pub(super) fn on_answer(&mut self, index: usize, answer: Result<Vec<Action>, Rejected>) {
        let miner = &mut self.miners[index];
        match (&miner.activity, answer) {
            (Activity::Requesting, Ok(actions)) => {
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
                if miner.behaviour == Behaviour::Leaver {
                    miner.jobs = 2;
                    return self.set_timer(index, 1_000);
                }
                if [Behaviour::Forgetful, Behaviour::Absentee].contains(&miner.behaviour) {
                    return self.set_timer(index, self.options.rules.lease_ms + 1_000);
                }
                miner.jobs += 1;
                if miner.behaviour == Behaviour::Sleeper {
                    return self.set_timer(index, self.options.rules.lease_ms + 1_000);
                }
                let is_idler = matches!(
                    miner.behaviour,
                    Behaviour::Liar
                        | Behaviour::Guesser
                        | Behaviour::Copier
                        | Behaviour::Colluder
                        | Behaviour::Schemer
                        | Behaviour::OtherTraining
                        | Behaviour::Mute
                        | Behaviour::Failer
                );
                let trains_ms = (WORK as f64 / miner.speed) as u64;
                let ms = match self.options.cheater_speed {
                    _ if miner.behaviour.never_answers() => u64::MAX / 2,
                    CheaterSpeed::Instant if is_idler => 1,
                    CheaterSpeed::TopSpeed if is_idler => {
                        (self.options.slowest_ms as f64 / self.options.speed_ratio) as u64
                    }
                    _ => trains_ms,
                };
                let ends = self.now + ms.max(1);
                miner.activity = Activity::Training {
                    lease,
                    job,
                    began: self.now,
                    ends,
                };
                let first = self.heartbeat_ms(index);
                self.set_timer(index, first.min(ms).max(1));
            }
            (Activity::Submitting { lease, .. }, answer) if about(&answer, *lease) => {
                miner.activity = Activity::Requesting;
                self.set_timer(index, 0);
            }
            (Activity::Training { lease, .. }, Err(Rejected::StaleLease { lease: stale, .. }))
                if *lease == stale =>
            {
                miner.activity = Activity::Requesting;
                self.set_timer(index, 0);
            }
            _ => {}
        }
    }
}

impl World {
    /// What a miner does that claims no seats.
    fn let_seats_wait(&mut self, index: usize) {
        let away_ms = self.options.rules.away_ms;
        let miner = &mut self.miners[index];
        let name = miner.name.clone();
        let (event, pause_ms) = match miner.behaviour {
            Behaviour::Leaver => {
                miner.jobs += 1;
                match miner.jobs % 3 {
                    1 => (Event::Join { miner: name }, 1_000),
                    2 => (Event::Request { miner: name }, away_ms / 10 * 8),
                    _ => (Event::Leave { miner: name }, 1_000),
                }
            }
            Behaviour::Absentee => (Event::Request { miner: name }, away_ms / 100 * 105),
            _ => (Event::Join { miner: name }, 60_000),
        };
        self.send(SimEvent::ToBoard(index, event));
        self.set_timer(index, pause_ms);
    }

    /// Time between two heartbeats: a third of a lease, or less for short trainings in waves, so that
    /// they report epochs.
    fn heartbeat_ms(&self, index: usize) -> u64 {
        let third = self.options.rules.lease_ms / 3;
        let quarter = (WORK as f64 / self.miners[index].speed / 4.0) as u64;
        if self.options.in_waves {
            third.min(quarter)
        } else {
            third
        }
    }
}

fn is_crashing(options: &Options, job: JobId) -> bool {
    let every = options.crashing_job_every;
    every > 0 && job.0 % every == every - 1
}

/// Whether the board's answer acknowledges or rejects a submission under this lease.
fn about(answer: &Result<Vec<Action>, Rejected>, lease: LeaseId) -> bool {
    match answer {
        // The submission was accepted, whatever its effect.
        Ok(actions) => actions.iter().any(|action| match action {
            Action::Filled { lease: ended, .. }
            | Action::Late { lease: ended, .. }
            | Action::Discarded { lease: ended, .. } => *ended == lease,
            Action::LateJudged { .. } => true,
            _ => false,
        }),
        Err(Rejected::StaleLease { lease: ended, .. })
        | Err(Rejected::AlreadyAnswered { lease: ended, .. }) => *ended == lease,
        Err(_) => false,
    }
}
