//! Decides at the moment an event is applied whether its signed request may still be used.
//!
//! A request may wait in the queue for as long as the disk takes, so its age and its nonce are judged
//! when it is applied, not when it arrives. Whatever an audit would reject is rejected here, before it
//! is written.

use std::sync::PoisonError;

use naschain_consensus::{Event, Millis};

use crate::clock;
use crate::coordinator::call_error::CallError;
use crate::coordinator::shared::SharedState;
use naschain_identity::{AuthError, MAX_AGE_NS, check_age};
use naschain_run::{Proof, SignedRequests, Use};

/// Uses a signed request for this event. `repeated` is a request for work that waits.
pub(crate) fn use_request(
    shared: &SharedState,
    requests: &mut SignedRequests,
    now: Millis,
    event: &Event,
    proof: &Proof,
    repeated: bool,
) -> Result<Use, CallError> {
    proof.check_event(event, &shared.rules)?;
    if !repeated {
        use_nonce(shared, proof)?;
    }
    // Older requests are refused because of their age, so they need not be remembered.
    requests.forget_before(clock::unix_nanos().saturating_sub(2 * MAX_AGE_NS));
    let taken = requests.take(now, event, proof);
    match taken {
        Ok(taken) if repeated == (taken == Use::Repeated) => Ok(taken),
        // A repeated request that is not remembered was sent before this genomaster restored the run.
        _ => Err(CallError::Auth(AuthError::Replayed {
            hotkey: proof.hotkey.clone(),
            nonce: proof.nonce,
        })),
    }
}

/// Uses the nonce of a request, if it is fresh and was not used before.
pub(crate) fn use_nonce(shared: &SharedState, proof: &Proof) -> Result<(), AuthError> {
    let now_ns = clock::unix_nanos();
    check_age(proof.nonce, now_ns)?;
    let nonces = &mut *shared.nonces.lock().unwrap_or_else(PoisonError::into_inner);
    nonces.accept(&proof.hotkey, proof.nonce, now_ns)
}
