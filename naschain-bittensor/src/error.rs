/// What to do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Nothing is wrong here: try again after some blocks.
    Wait,
    /// The chain has changed meanwhile: read it again and decide again.
    ReadAgain,
    /// Connect again, to another node if there is one.
    Reconnect,
    /// Only a person can help.
    Stop,
}

/// Why the chain could not be read or a call was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection failed, or the node does not answer.
    #[error("{endpoint}: {reason}")]
    Connection {
        /// The node.
        endpoint: String,
        /// The cause.
        reason: String,
    },
    /// The node answered a request with an error.
    #[error("{method} is refused: {message} (code {code})")]
    Refused {
        /// The JSON-RPC method.
        method: String,
        /// JSON-RPC's error code.
        code: i64,
        /// The node's message.
        message: String,
    },
    /// The node's answer does not have the form that it should have.
    #[error("{what} cannot be decoded: {reason}")]
    Malformed {
        /// What was to be decoded.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The node follows another chain.
    #[error("{endpoint} follows the chain with genesis {found}, not {expected}")]
    WrongChain {
        /// The node.
        endpoint: String,
        /// Its genesis hash.
        found: String,
        /// The pinned genesis hash.
        expected: String,
    },
    /// The metadata is of a version that is not known here.
    #[error("metadata of version {found} is not supported; versions 14 to 16 are")]
    MetadataVersion {
        /// The version.
        found: u32,
    },
    /// The runtime has no such pallet, storage item, call or event.
    #[error("the runtime of specification {spec_version} has no {item}")]
    Missing {
        /// The specification version.
        spec_version: u32,
        /// The item.
        item: String,
    },
    /// The runtime has the call, but with other fields.
    #[error("the call {call} takes {found}, not {expected}: this version does not know it")]
    CallFields {
        /// The call.
        call: String,
        /// Its fields in the metadata.
        found: String,
        /// The fields that this version encodes.
        expected: String,
    },
    /// The runtime wants something signed that is not known here.
    #[error("the transaction extension {name} is not known here, so nothing is signed")]
    Extension {
        /// The extension.
        name: String,
    },
    /// There is no such subnet.
    #[error("there is no subnet {netuid}")]
    NoSubnet {
        /// The subnet.
        netuid: u16,
    },
    /// The hotkey is not registered.
    #[error("hotkey {hotkey} is not registered on subnet {netuid}")]
    NotRegistered {
        /// The hotkey's address.
        hotkey: String,
        /// The subnet.
        netuid: u16,
    },
    /// The weights have no form that the chain accepts.
    #[error("{found} weights cannot be set: {problem}")]
    Weights {
        /// Number of weights.
        found: usize,
        /// What would be valid.
        problem: String,
    },
    /// An extrinsic was included and failed.
    #[error("the call failed in block {block}: {name}")]
    Dispatch {
        /// Number of the block.
        block: u64,
        /// The error's name in the metadata, such as `SettingWeightsTooFast`.
        name: String,
    },
    /// The file that keeps what was sent cannot be read or written.
    #[error("{path}: {reason}")]
    StateFile {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A text is not a valid endpoint, hash or key.
    #[error("{found:?} is not {expected}")]
    Argument {
        /// The text.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The operating system provides no random numbers.
    #[error("the operating system provides no random numbers: {reason}")]
    Randomness {
        /// The cause.
        reason: String,
    },
}

/// Names of failed calls after which waiting helps.
const WAIT: [&str; 7] = [
    "SettingWeightsTooFast",
    "CommittingWeightsTooFast",
    "NeuronNoValidatorPermit",
    "NotEnoughStakeToSetWeights",
    "TooManyUnrevealedCommits",
    "WeightVecLengthIsLow",
    "RateLimitExceeded",
];
/// Names of failed calls after which the chain has to be read again.
const READ_AGAIN: [&str; 9] = [
    "IncorrectWeightVersionKey",
    "IncorrectCommitRevealVersion",
    "CommitRevealEnabled",
    "CommitRevealDisabled",
    "UidVecContainInvalidOne",
    "UidsLengthExceedUidsInSubNet",
    "MaxWeightExceeded",
    "InvalidRevealRound",
    "InvalidTransaction",
];
/// JSON-RPC codes of Substrate's transaction pool: 1010 is an invalid transaction, 1011 one whose
/// validity is unknown, 1012 to 1016 are those that the pool does not take now.
const POOL_INVALID: i64 = 1010;
/// What Subtensor says of an invalid transaction where reading again is not enough, by the end of the
/// node's message: its own code 1 is too little stake for weights, 6 the rate limit.
const POOL_WAIT: [&str; 3] = [
    "Custom error: 1",
    "Custom error: 6",
    "Inability to pay some fees (e.g. account balance too low)",
];
const POOL_BUSY: std::ops::RangeInclusive<i64> = 1011..=1016;

impl Error {
    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Error::Connection { .. } | Error::Malformed { .. } => Remedy::Reconnect,
            Error::Refused { code, message, .. } if *code == POOL_INVALID => {
                let waits = POOL_WAIT.iter().any(|text| message.ends_with(text));
                // Such as a bad signature after an upgrade, or a hotkey that has lost its place.
                if waits {
                    Remedy::Wait
                } else {
                    Remedy::ReadAgain
                }
            }
            Error::Refused { code, .. } if POOL_BUSY.contains(code) => Remedy::Wait,
            // Such as a block that the node has pruned.
            Error::Refused { .. } => Remedy::Reconnect,
            Error::Weights { .. } => Remedy::Wait,
            Error::Dispatch { name, .. } if WAIT.contains(&name.as_str()) => Remedy::Wait,
            Error::Dispatch { name, .. } if READ_AGAIN.contains(&name.as_str()) => {
                Remedy::ReadAgain
            }
            _ => Remedy::Stop,
        }
    }

    pub(crate) fn malformed(what: impl Into<String>, reason: impl ToString) -> Error {
        Error::Malformed {
            what: what.into(),
            reason: reason.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pool_refuses_is_told_apart() {
        let refused = |code: i64, message: &str| Error::Refused {
            method: "author_submitExtrinsic".to_owned(),
            code,
            message: message.to_owned(),
        };
        for (code, message, remedy) in [
            (
                1010,
                "Invalid Transaction: Transaction has a bad signature",
                Remedy::ReadAgain,
            ),
            (
                1010,
                "Invalid Transaction: Transaction is outdated",
                Remedy::ReadAgain,
            ),
            (1010, "Invalid Transaction: Custom error: 1", Remedy::Wait),
            (1010, "Invalid Transaction: Custom error: 6", Remedy::Wait),
            (
                1010,
                "Invalid Transaction: Custom error: 10",
                Remedy::ReadAgain,
            ),
            (
                1010,
                "Invalid Transaction: Custom error: 16",
                Remedy::ReadAgain,
            ),
            (1014, "Priority is too low", Remedy::Wait),
            (4003, "State already discarded", Remedy::Reconnect),
        ] {
            assert_eq!(refused(code, message).remedy(), remedy, "{code} {message}");
        }
    }
}
