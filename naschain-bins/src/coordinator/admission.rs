//! Answers events that need not or must not be journaled, so that repeated requests do not make the
//! journal grow.

use naschain_consensus::{Action, Event, LeaseId, Millis, MinerId, NoWork};

use crate::coordinator::active_run::ActiveRun;
use crate::coordinator::call_error::CallError;

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
            let is_over = !board.is_present(miner) && !board.holds_leases(miner);
            (board.has_joined(miner) && is_over).then(|| Ok(Vec::new()))
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
    // The board has a limit of its own, at which the places of idle miners are given to others. At
    // this one, a miner that has joined before needs no additional memory, so it may always return.
    let places = active.state.spec().rules.reputation;
    let is_limited = places.is_none_or(|places| max_miners < places.max_miners as usize);
    if is_limited && !board.has_joined(miner) && board.miners().len() >= max_miners {
        return Some(Err(CallError::TooManyMiners { limit: max_miners }));
    }
    let same = match event {
        Event::Register {
            owner, capacity, ..
        } => board.is_registered(miner, owner.as_ref(), *capacity),
        // A plain join changes neither the owner nor the capacity of a miner that has joined.
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
    // An unknown lease, or one of another miner, is left to the board, which names the reason.
    let (holder, last, renewed) = active.state.board().last_heartbeat(lease)?;
    if holder != miner {
        return None;
    }
    let of = active.state.epochs_of(lease);
    // The board finds stragglers by these epochs, and they are published, so impossible ones are
    // refused.
    if !(last..=of).contains(&epoch) {
        return Some(Err(CallError::WrongEpoch { epoch, last, of }));
    }
    let silent_ms = active.clock.now().since(renewed);
    // NASChain's miners send a heartbeat every third of the lease, so those that renew it are kept.
    let is_news = epoch > last || silent_ms >= spec.rules.lease_ms / 4;
    (!is_news).then(|| Ok(Vec::new()))
}

/// The answer to a request for work that finds none and need not be journaled.
fn idle(active: &ActiveRun, now: Millis, miner: &MinerId, repeated: bool) -> Option<Action> {
    let board = active.state.board();
    // The genomaster repeats a waiting request, not the miner: a repetition may grant work but must
    // not end a lease, as a new request of a miner without free capacity does.
    let full = repeated && board.has_joined(miner) && !board.has_capacity(miner);
    let reason = if full {
        NoWork::NotEligible
    } else if let Some(until) = board.back_off(now, miner) {
        NoWork::BackOff { until }
    } else {
        board.idle_reason(miner)?
    };
    // The board's time is that of its last event, which may be before `until`.
    if reason.until().is_some_and(|until| until <= now) {
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
