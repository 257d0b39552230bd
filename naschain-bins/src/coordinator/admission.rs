//! What of the events that come need not be written, or must not be: so nobody can make a journal
//! grow by saying the same again.

use naschain_consensus::{Action, Event, LeaseId, MinerId, NoWork};

use crate::clock;
use crate::coordinator::active_run::ActiveRun;
use crate::coordinator::call_error::CallError;
use naschain_run::Proof;

/// The answer to an event without writing it; nothing for one that has to be applied.
pub(crate) fn admission(
    active: &ActiveRun,
    event: &Event,
    proof: Option<&Proof>,
    waits: bool,
    max_miners: usize,
) -> Option<Result<Vec<Action>, CallError>> {
    let board = active.state.board();
    match event {
        Event::Request { .. } => idle(active, event, waits).map(|idle| Ok(vec![idle])),
        Event::Join { miner } | Event::Register { miner, .. } => {
            if !board.has_joined(miner) && board.miners().len() >= max_miners {
                return Some(Err(CallError::TooManyMiners { limit: max_miners }));
            }
            let same = match event {
                Event::Register {
                    owner, capacity, ..
                } => board.is_registered(miner, owner.as_ref(), *capacity),
                _ => true,
            };
            let changes_nothing = board.is_present(miner) && same;
            (changes_nothing && may_be_forgotten(proof)).then(|| Ok(Vec::new()))
        }
        Event::Leave { miner } if board.has_joined(miner) => {
            let has_left = !board.is_present(miner);
            (has_left && may_be_forgotten(proof)).then(|| Ok(Vec::new()))
        }
        Event::Heartbeat {
            miner,
            lease,
            epoch,
        } => heartbeat(active, miner, *lease, *epoch, proof),
        _ => None,
    }
}

fn heartbeat(
    active: &ActiveRun,
    miner: &MinerId,
    lease: LeaseId,
    epoch: u32,
    proof: Option<&Proof>,
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
    // Our miners speak every third of the lease.
    let is_news = epoch > last || silent_ms >= spec.rules.lease_ms / 4;
    (!is_news && may_be_forgotten(proof)).then(|| Ok(Vec::new()))
}

/// Whether a request may be left out of the journal, by which a genomaster that is started again
/// knows the requests of those whose clocks are ahead.
fn may_be_forgotten(proof: Option<&Proof>) -> bool {
    proof.is_none_or(|proof| proof.nonce <= clock::unix_nanos())
}

/// The answer to a request for work that need not be written, if it is one.
fn idle(active: &ActiveRun, event: &Event, skip_idle: bool) -> Option<Action> {
    let Event::Request { miner } = event else {
        return None;
    };
    if !skip_idle {
        return None;
    }
    let board = active.state.board();
    // One that waits asks on without its miner: it may find work, and not end any.
    let full = board.is_present(miner) && !board.has_capacity(miner);
    let reason = match full {
        true => NoWork::NotEligible,
        false => board.idle_reason(miner)?,
    };
    // The board has not heard of the time since its last event.
    if matches!(reason, NoWork::TooFast { until } if until <= active.clock.now()) {
        return None;
    }
    let miner = miner.clone();
    Some(Action::Idle { miner, reason })
}
