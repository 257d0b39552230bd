//! Errors over HTTP, as RFC 9457 has them: `application/problem+json`.

use std::fmt;

use naschain_identity::AuthError;
use serde::{Deserialize, Serialize};

/// An error as a problem document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind of error.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong and what would be right.
    pub detail: String,
}

/// The kinds of problem documents; on the wire in snake case, such as `stale_lease`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The request is not signed, and has to be.
    Unsigned,
    /// A header of the signature is missing or has a wrong form.
    MalformedAuth,
    /// The request was signed for another genomaster.
    WrongReceiver,
    /// The request was signed too long ago, or its signer's clock is ahead.
    StaleRequest,
    /// The signature does not belong to the sender.
    BadSignature,
    /// The request was sent before.
    ReplayedRequest,
    /// The signer acts in the name of another miner.
    NotYou,
    /// The miner is not on the allow-list.
    NotAllowed,
    /// The miner's hotkey is not registered on the subnet.
    NotRegistered,
    /// The genomaster has not read yet who is registered on the subnet.
    RegistrationsUnread,
    /// The request needs the token of a user.
    NeedsSignIn,
    /// The user may not do this, or the token does not allow it.
    NotPermitted,
    /// The user has used up a quota.
    QuotaReached,
    /// The name belongs to a miner of the reference network, which needs its token.
    NeedsToken,
    /// The rate limit is exceeded.
    TooManyRequests,
    /// The miner has not passed its entrance examination.
    ExamFailed,
    /// No more miners may join.
    TooManyMiners,
    /// No more readers of events are served.
    TooManyReaders,
    /// The path is too long.
    PathTooLong,
    /// The body is too large.
    BodyTooLarge,
    /// The body took too long to arrive.
    BodyTooSlow,
    /// The body could not be read.
    BadBody,
    /// The path has a wrong form.
    BadPath,
    /// The query has a wrong form.
    BadQuery,
    /// The cursor has a wrong form.
    BadCursor,
    /// The cursor is ahead of the journal.
    CursorAhead,
    /// The body is not JSON.
    NotJson,
    /// The body is JSON with wrong content.
    WrongData,
    /// The request belongs to another run.
    WrongRun,
    /// The epoch of a heartbeat is impossible.
    WrongEpoch,
    /// A file, or a part of one, is not what was asked for.
    WrongFile,
    /// There is no such path.
    NotFound,
    /// The path does not support the method.
    MethodNotAllowed,
    /// The miner has not joined.
    UnknownMiner,
    /// The lease was never granted.
    UnknownLease,
    /// No such question is open: it was never asked, was answered, or its time is over.
    UnknownQuestion,
    /// The lease has ended.
    StaleLease,
    /// The lease belongs to another miner.
    NotYours,
    /// The job board rejected the event for another reason.
    Refused,
    /// Another genomaster leads the run.
    Standby,
    /// The journal cannot be used at the moment.
    JournalTrouble,
    /// A miner is delivering the file at the moment.
    NotDelivered,
    /// The genomaster is shutting down.
    Closing,
    /// The server that answered is another genomaster than the one that was expected.
    OtherGenomaster,
    /// The run's specification is invalid, or too large to be followed.
    InvalidRun,
    /// A kind that this version does not know.
    #[serde(untagged)]
    Other(String),
}

impl ProblemKind {
    /// Whether this kind comes only from a genomaster that has read and judged the request, so that
    /// repeating the request is useless. Any other refusal may be temporary or come from another
    /// server.
    pub fn was_processed(&self) -> bool {
        use ProblemKind::*;
        matches!(
            self,
            NotYours
                | UnknownMiner
                | UnknownLease
                | UnknownQuestion
                | StaleLease
                | CursorAhead
                | WrongRun
                | Refused
                | WrongData
                | WrongEpoch
                | WrongFile
        )
    }

    /// The HTTP status of this kind, where nothing more specific is known.
    pub fn status(&self) -> u16 {
        use ProblemKind::*;
        match self {
            BadBody | BadPath | BadQuery | BadCursor | NotJson | Other(_) => 400,
            Unsigned | MalformedAuth | WrongReceiver | StaleRequest | BadSignature
            | ReplayedRequest | OtherGenomaster | NeedsSignIn => 401,
            NotYou | NotAllowed | NotRegistered | NeedsToken | ExamFailed | TooManyMiners
            | NotYours | NotPermitted | QuotaReached => 403,
            NotFound | UnknownMiner | UnknownLease | UnknownQuestion => 404,
            MethodNotAllowed => 405,
            BodyTooSlow => 408,
            CursorAhead | WrongRun | StaleLease | Refused => 409,
            BodyTooLarge => 413,
            PathTooLong => 414,
            WrongData | WrongEpoch | WrongFile | InvalidRun => 422,
            TooManyRequests => 429,
            TooManyReaders | RegistrationsUnread | Standby | JournalTrouble | NotDelivered
            | Closing => 503,
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl From<&AuthError> for ProblemKind {
    fn from(error: &AuthError) -> ProblemKind {
        match error {
            AuthError::WrongReceiver { .. } => ProblemKind::WrongReceiver,
            AuthError::Stale { .. } => ProblemKind::StaleRequest,
            AuthError::BadSignature { .. } => ProblemKind::BadSignature,
            AuthError::Replayed { .. } => ProblemKind::ReplayedRequest,
            // `Malformed`. An error that naschain-identity adds later is a refusal of a signature,
            // too, until it gets a kind here.
            _ => ProblemKind::MalformedAuth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_a_signature_has_a_kind_and_is_unauthorized() {
        let (header, text) = ("X", || "x".to_owned());
        for (error, kind) in [
            (
                AuthError::Malformed {
                    header,
                    problem: text(),
                },
                ProblemKind::MalformedAuth,
            ),
            (
                AuthError::WrongReceiver {
                    found: text(),
                    expected: text(),
                },
                ProblemKind::WrongReceiver,
            ),
            (
                AuthError::Stale { problem: text() },
                ProblemKind::StaleRequest,
            ),
            (
                AuthError::BadSignature { hotkey: text() },
                ProblemKind::BadSignature,
            ),
            (
                AuthError::Replayed {
                    hotkey: text(),
                    nonce: 1,
                },
                ProblemKind::ReplayedRequest,
            ),
        ] {
            let found = ProblemKind::from(&error);
            assert_eq!((&found, found.status()), (&kind, 401));
        }
    }

    #[test]
    fn requests_that_were_not_authenticated_or_read_are_not_processed() {
        for kind in [
            ProblemKind::Unsigned,
            ProblemKind::NotAllowed,
            ProblemKind::NotYou,
            ProblemKind::NotFound,
            ProblemKind::BodyTooLarge,
            ProblemKind::TooManyRequests,
            ProblemKind::Standby,
            ProblemKind::Other("teapot".to_owned()),
        ] {
            assert!(!kind.was_processed(), "{kind}");
        }
        for kind in [
            ProblemKind::Refused,
            ProblemKind::WrongData,
            ProblemKind::NotYours,
        ] {
            assert!(kind.was_processed(), "{kind}");
        }
    }

    #[test]
    fn kinds_are_written_in_snake_case_and_unknown_ones_are_kept() {
        for (kind, text) in [
            (ProblemKind::StaleLease, "stale_lease"),
            (ProblemKind::NotJson, "not_json"),
            (ProblemKind::Other("teapot".to_owned()), "teapot"),
        ] {
            assert_eq!(kind.to_string(), text);
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<ProblemKind>(&json).unwrap(), kind);
        }
    }
}
