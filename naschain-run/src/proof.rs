//! A miner's signed request, stored with the event that it caused.

use naschain_consensus::{Event, LeaseId, MinerId, Row};
use naschain_core::{Digest, StepState};
use serde::{Deserialize, Serialize};

use crate::questions::StatesRequest;
use crate::requests::{HeartbeatRequest, JobRequest, JoinRequest, LeaveRequest, ResultRequest};
use naschain_identity::{Auth, AuthError, SignedParts, parse_signature};

/// A signed request as received. Its signature can be verified again at any time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The HTTP method, in capitals.
    pub method: String,
    /// Path and query, as sent.
    pub path: String,
    /// The request body.
    pub body: String,
    /// Nonce: nanoseconds since 1970.
    pub nonce: u64,
    /// SS58 address of the genomaster.
    pub receiver: String,
    /// SS58 address of the miner.
    pub hotkey: String,
    /// 64 bytes in hexadecimal after `0x`.
    pub signature: String,
}

/// Why a proof is invalid for its event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// It is not the JSON of a proof, or its request is not one that miners send.
    #[error("the proof cannot be read: {0}")]
    Unreadable(String),
    /// Its signature is invalid.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The signed request does not match the event.
    #[error("the signed request is not that of the event: {0}")]
    OtherEvent(String),
}

impl Proof {
    /// Returns the proof of a request whose signature was verified, or `None` if its body is not UTF-8.
    pub fn new(auth: &Auth, message: SignedParts) -> Option<Proof> {
        Some(Proof {
            method: message.method.to_owned(),
            path: message.path.to_owned(),
            body: std::str::from_utf8(message.body).ok()?.to_owned(),
            nonce: auth.nonce,
            receiver: auth.receiver.clone()?,
            hotkey: auth.hotkey.clone(),
            signature: format!("0x{}", hex::encode(auth.signature)),
        })
    }

    /// Parses a proof from the journal. Only the text that [`Proof::to_json`] writes is accepted, so
    /// that a journal cannot be inflated by other spellings of the same proof.
    ///
    /// # Errors
    /// [`ProofError::Unreadable`].
    pub fn parse(text: &str) -> Result<Proof, ProofError> {
        let proof: Proof = serde_json::from_str(text)
            .map_err(|error| ProofError::Unreadable(error.to_string()))?;
        if proof.to_json() != text {
            let reason = "it is not written in the canonical form".to_owned();
            return Err(ProofError::Unreadable(reason));
        }
        Ok(proof)
    }

    /// The JSON that the journal stores.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a proof is plain data")
    }

    /// The lease in the path of a heartbeat or a result.
    pub fn lease(&self) -> Option<LeaseId> {
        lease_in_path(&self.path)
    }

    /// The row of a signed answer.
    pub(crate) fn row(&self) -> Option<Row> {
        self.read::<ResultRequest>()
            .ok()
            .map(|request| request.row())
    }

    /// Verifies only the signature.
    ///
    /// # Errors
    /// [`ProofError::Auth`], or [`ProofError::Unreadable`] if the signature is not 64 bytes.
    pub fn check_signature(&self) -> Result<(), ProofError> {
        let unreadable = || ProofError::Unreadable("its signature is not 64 bytes".to_owned());
        let auth = Auth {
            hotkey: self.hotkey.clone(),
            receiver: Some(self.receiver.clone()),
            nonce: self.nonce,
            signature: parse_signature(&self.signature).ok_or_else(unreadable)?,
        };
        Ok(auth.check_signature(SignedParts {
            method: &self.method,
            path: &self.path,
            body: self.body.as_bytes(),
        })?)
    }

    /// Verifies the signature, and that the signed request corresponds to exactly this event in this
    /// run. The caller checks `receiver`, and that `nonce` was not used before.
    ///
    /// # Errors
    /// [`ProofError`] describes the first check that fails.
    pub fn check(&self, event: &Event, run: &RequestRules) -> Result<(), ProofError> {
        self.check_signature()?;
        self.check_event(event, run)
    }

    /// Like [`Proof::check`], without the signature.
    ///
    /// # Errors
    /// [`ProofError::OtherEvent`], or [`ProofError::Unreadable`].
    pub fn check_event(&self, event: &Event, run: &RequestRules) -> Result<(), ProofError> {
        let wrong = |what: &str| Err(ProofError::OtherEvent(what.to_owned()));
        if self.method != "POST" {
            return wrong("its method is not POST");
        }
        let path = self.path.as_str();
        let (miner, same) = match event {
            Event::Join { miner } => (miner, path == "/v1/join" && self.is_join(miner, 1, run)?),
            Event::Register {
                miner, capacity, ..
            } => (
                miner,
                path == "/v1/join" && self.is_join(miner, *capacity, run)?,
            ),
            Event::Request { miner } => (miner, path == "/v1/jobs" && self.is_request(miner, run)?),
            Event::Heartbeat {
                miner,
                lease,
                epoch,
            } => {
                let here = path == format!("/v1/leases/{}/heartbeat", lease.0);
                (miner, here && self.is_heartbeat(miner, *epoch, run)?)
            }
            Event::Submit { miner, lease, row } => {
                let here = path == format!("/v1/leases/{}/result", lease.0);
                (miner, here && self.is_result(miner, row, run)?)
            }
            Event::Leave { miner } => (miner, path == "/v1/leave" && self.is_leave(miner, run)?),
            Event::Testify {
                miner,
                question,
                states,
            } => {
                let here = path == format!("/v1/questions/{}/states", question.0);
                (miner, here && self.is_testimony(miner, states, run)?)
            }
            _ => return wrong("miners do not send requests for such an event"),
        };
        if miner.as_str() != self.hotkey {
            return wrong("another hotkey signed it");
        }
        if !same {
            return wrong("its path or body does not match the event");
        }
        Ok(())
    }

    fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, ProofError> {
        let unreadable = |error: serde_json::Error| ProofError::Unreadable(error.to_string());
        serde_json::from_str(&self.body).map_err(unreadable)
    }

    fn is_join(
        &self,
        miner: &MinerId,
        capacity: u32,
        run: &RequestRules,
    ) -> Result<bool, ProofError> {
        let request: JoinRequest = self.read()?;
        let same = request.miner == *miner && request.jobs.unwrap_or(1) == capacity;
        Ok(same && run.allow(request.run))
    }

    fn is_leave(&self, miner: &MinerId, run: &RequestRules) -> Result<bool, ProofError> {
        let request: LeaveRequest = self.read()?;
        Ok(request.miner == *miner && request.run == run.run)
    }

    fn is_testimony(
        &self,
        miner: &MinerId,
        states: &[StepState],
        run: &RequestRules,
    ) -> Result<bool, ProofError> {
        let request: StatesRequest = self.read()?;
        let same = request.miner == *miner && request.states == states;
        Ok(same && request.run == run.run)
    }

    fn is_request(&self, miner: &MinerId, run: &RequestRules) -> Result<bool, ProofError> {
        let request: JobRequest = self.read()?;
        Ok(request.miner == *miner && run.allow(request.run))
    }

    fn is_heartbeat(
        &self,
        miner: &MinerId,
        epoch: u32,
        run: &RequestRules,
    ) -> Result<bool, ProofError> {
        let request: HeartbeatRequest = self.read()?;
        let same = request.miner == *miner && request.epoch == epoch;
        Ok(same && run.allow(request.run))
    }

    fn is_result(
        &self,
        miner: &MinerId,
        row: &Row,
        run: &RequestRules,
    ) -> Result<bool, ProofError> {
        let request: ResultRequest = self.read()?;
        let same = match (request.row(), row) {
            // The text of the error may differ between versions.
            (Row::Malformed(_), Row::Malformed(_)) => true,
            (found, row) => found == *row,
        };
        Ok(same && request.miner == *miner && request.run == Some(run.run))
    }
}

/// What a signed request of a run must contain; see [`crate::RunSpec::request_rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestRules {
    /// The run.
    pub run: Digest,
    /// Whether joins, requests for work and heartbeats must name the run. In runs of the first
    /// version only answers and leaves did.
    pub must_name_run: bool,
}

impl RequestRules {
    /// The rules for requests to this run.
    pub fn new(run: Digest, must_name_run: bool) -> RequestRules {
        RequestRules { run, must_name_run }
    }

    /// Whether a request that names this run, or none, is valid for the run.
    pub fn allow(&self, named: Option<Digest>) -> bool {
        named.map_or(!self.must_name_run, |named| named == self.run)
    }
}

/// The lease in the path of a heartbeat or a result, `/v1/leases/NUMBER/...`. Only plain decimal
/// without leading zeros or a sign is a number: the path is signed, and an auditor builds it again
/// from the number.
pub fn lease_in_path(path: &str) -> Option<LeaseId> {
    let rest = path.strip_prefix("/v1/leases/")?;
    let (text, _) = rest.split_once('/')?;
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(LeaseId(number))
}

#[cfg(test)]
mod tests;
