//! Answers events that need not or must not be journaled, so that repeated requests do not make the
//! journal grow.

use std::collections::BTreeMap;

use naschain_consensus::{Action, Event, LeaseId, Millis, MinerId, NoWork};

use crate::coordinator::active_run::ActiveRun;
use crate::coordinator::call_error::CallError;

/// A miner may join this often in a minute; more would only make the journal grow.
const JOINS_PER_MINUTE: u32 = 6;
const MINUTE_MS: u64 = 60_000;

/// How often each miner has joined in the current minute.
#[derive(Default)]
pub(crate) struct JoinCounts {
    minute: u64,
    counts: BTreeMap<MinerId, u32>,
}

impl JoinCounts {
    /// Counts a join that is going to be journaled.
    fn add(&mut self, miner: &MinerId, now: Millis) -> Result<(), CallError> {
        let minute = now.0 / MINUTE_MS;
        if minute != self.minute {
            self.minute = minute;
            self.counts.clear();
        }
        let count = self.counts.entry(miner.clone()).or_default();
        if *count >= JOINS_PER_MINUTE {
            return Err(CallError::JoinsTooOften {
                miner: miner.clone(),
                limit: JOINS_PER_MINUTE,
                wait_s: (MINUTE_MS - now.0 % MINUTE_MS).div_ceil(1_000),
            });
        }
        *count += 1;
        Ok(())
    }
}

/// The answer to an event that is not journaled; `None` for one that has to be applied.
pub(crate) fn admission(
    active: &mut ActiveRun,
    now: Millis,
    event: &Event,
    repeated: bool,
    max_miners: usize,
) -> Option<Result<Vec<Action>, CallError>> {
    match event {
        Event::Request { miner } => idle(active, now, miner, repeated).map(|idle| Ok(vec![idle])),
        Event::Join { miner } | Event::Register { miner, .. } => {
            join(active, now, event, miner, max_miners)
        }
        Event::Leave { miner } => {
            let board = active.state.board();
            (board.has_joined(miner) && !board.is_present(miner)).then(|| Ok(Vec::new()))
        }
        Event::Heartbeat {
            miner,
            lease,
            epoch,
        } => heartbeat(active, miner, *lease, *epoch),
        _ => None,
    }
}

fn join(
    active: &mut ActiveRun,
    now: Millis,
    event: &Event,
    miner: &MinerId,
    max_miners: usize,
) -> Option<Result<Vec<Action>, CallError>> {
    let board = active.state.board();
    if !board.has_joined(miner) && board.miners().len() >= max_miners {
        return Some(Err(CallError::TooManyMiners { limit: max_miners }));
    }
    let same = match event {
        Event::Register {
            owner, capacity, ..
        } => board.is_registered(miner, owner.as_ref(), *capacity),
        _ => true,
    };
    if board.is_present(miner) && same {
        return Some(Ok(Vec::new()));
    }
    active.joins.add(miner, now).err().map(Err)
}

fn heartbeat(
    active: &ActiveRun,
    miner: &MinerId,
    lease: LeaseId,
    epoch: u32,
) -> Option<Result<Vec<Action>, CallError>> {
    let spec = active.state.spec();
    let (holder, last, renewed) = active.state.board().last_heartbeat(lease)?;
    if holder != miner {
        return None;
    }
    let of = spec.recipe.epochs;
    if !(last..=of).contains(&epoch) {
        return Some(Err(CallError::WrongEpoch { epoch, last, of }));
    }
    let silent_ms = active.clock.now().since(renewed);
    // naschain's miners send a heartbeat every third of the lease.
    let is_news = epoch > last || silent_ms >= spec.rules.lease_ms / 4;
    (!is_news).then(|| Ok(Vec::new()))
}

/// The answer to a request for work that finds none and need not be journaled.
fn idle(active: &ActiveRun, now: Millis, miner: &MinerId, repeated: bool) -> Option<Action> {
    let board = active.state.board();
    // A waiting request is repeated without its miner: it may grant work but must not end a lease.
    let full = repeated && board.is_present(miner) && !board.has_capacity(miner);
    let reason = if full {
        NoWork::NotEligible
    } else {
        board.idle_reason(miner)?
    };
    // The board's time is that of its last event, which may be before `until`.
    if matches!(reason, NoWork::TooFast { until } if until <= now) {
        return None;
    }
    // A new request shows that its miner is present, which has to be journaled now and then: here
    // once a quarter of the time after which the miner counts as away has passed.
    let away_ms = active.state.spec().rules.away_ms;
    let is_news = |away_at: Millis| away_at.since(now) < away_ms - away_ms / 4;
    if !repeated && board.away_at(miner).is_some_and(is_news) {
        return None;
    }
    let miner = miner.clone();
    Some(Action::Idle { miner, reason })
}
