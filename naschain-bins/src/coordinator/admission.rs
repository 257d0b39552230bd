//! Answers events that need not or must not be journaled, so that repeated requests do not make the
//! journal grow.

use naschain_consensus::{Action, Event, LeaseId, MinerId, NoWork};

use crate::clock;
use crate::coordinator::active_run::ActiveRun;
use crate::coordinator::call_error::CallError;
use naschain_run::Proof;

/// The answer to an event that is not journaled; `None` for one that has to be applied.
pub(crate) fn admission(
    active: &ActiveRun,
    event: &Event,
    proof: Option<&Proof>,
    skip_idle: bool,
    max_miners: usize,
) -> Option<Result<Vec<Action>, CallError>> {
    let board = active.state.board();
    match event {
        Event::Request { .. } => idle(active, event, skip_idle).map(|idle| Ok(vec![idle])),
        Event::Join { miner } | Event::Register { miner, .. } => {
            // A miner that has joined before needs no additional memory, so it may always return.
            if !board.has_joined(miner) && board.miners().len() >= max_miners {
                return Some(Err(CallError::TooManyMiners { limit: max_miners }));
            }
            let same = match event {
                Event::Register {
                    owner, capacity, ..
                } => board.is_registered(miner, owner.as_ref(), *capacity),
                // A plain join changes neither the owner nor the capacity of a miner that has
                // joined.
                _ => true,
            };
            let changes_nothing = board.is_present(miner) && same;
            (changes_nothing && may_be_omitted(proof)).then(|| Ok(Vec::new()))
        }
        Event::Leave { miner } if board.has_joined(miner) => {
            let has_left = !board.is_present(miner);
            (has_left && may_be_omitted(proof)).then(|| Ok(Vec::new()))
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
    // An unknown lease, or one of another miner, is left to the board, which names the reason.
    let (holder, last, renewed) = active.state.board().last_heartbeat(lease)?;
    if holder != miner {
        return None;
    }
    let of = spec.recipe.epochs;
    // The board finds stragglers by these epochs, and they are published, so impossible ones are
    // refused.
    if !(last..=of).contains(&epoch) {
        return Some(Err(CallError::WrongEpoch { epoch, last, of }));
    }
    let silent_ms = active.clock.now().since(renewed);
    // NASChain's miners send a heartbeat every third of the lease, so those that renew it are kept.
    let is_news = epoch > last || silent_ms >= spec.rules.lease_ms / 4;
    (!is_news && may_be_omitted(proof)).then(|| Ok(Vec::new()))
}

/// Whether a request may be left out of the journal. Nonces in the future must be journaled,
/// because a restarted genomaster restores them from there.
fn may_be_omitted(proof: Option<&Proof>) -> bool {
    proof.is_none_or(|proof| proof.nonce <= clock::unix_nanos())
}

/// The answer to a request for work that finds none and need not be journaled.
fn idle(active: &ActiveRun, event: &Event, skip_idle: bool) -> Option<Action> {
    let Event::Request { miner } = event else {
        return None;
    };
    if !skip_idle {
        return None;
    }
    let board = active.state.board();
    // The genomaster repeats a waiting request, not the miner: a repetition may grant work but must
    // not end a lease, as a new request of a miner without free capacity does.
    let full = board.is_present(miner) && !board.has_capacity(miner);
    let reason = if full {
        NoWork::NotEligible
    } else {
        board.idle_reason(miner)?
    };
    // The board's time is that of its last event, which may be before `until`.
    if matches!(reason, NoWork::TooFast { until } if until <= active.clock.now()) {
        return None;
    }
    let miner = miner.clone();
    Some(Action::Idle { miner, reason })
}
