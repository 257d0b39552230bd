//! Key pairs that sign.

use std::fmt;

use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey};

use crate::error::HotkeyError;
use crate::ss58;

/// The signing context of Substrate's chains.
pub(crate) const SIGNING_CONTEXT: &[u8] = b"substrate";

/// An sr25519 key pair that identifies a miner, a validator or a genomaster. Its secret is never
/// printed.
#[derive(Clone)]
pub struct Hotkey {
    pub(crate) pair: Keypair,
    address: String,
}

impl fmt::Debug for Hotkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hotkey({})", self.address)
    }
}

impl Hotkey {
    /// Creates a new hotkey from the operating system's randomness; returns it with its seed.
    ///
    /// # Errors
    /// [`HotkeyError::Randomness`].
    pub fn generate() -> Result<(Hotkey, [u8; 32]), HotkeyError> {
        let mut seed = [0; 32];
        // A secret must not be derived from a seed that others know, so no named stream here.
        getrandom::fill(&mut seed).map_err(|error| HotkeyError::Randomness {
            reason: error.to_string(),
        })?;
        Ok((Hotkey::from_seed(&seed), seed))
    }

    /// The hotkey that Substrate's tools derive from a seed.
    pub fn from_seed(seed: &[u8; 32]) -> Hotkey {
        // Any 32 bytes are a valid mini secret key.
        let mini = MiniSecretKey::from_bytes(seed).expect("32 bytes");
        Hotkey::new(mini.expand_to_keypair(ExpansionMode::Ed25519))
    }

    pub(crate) fn new(pair: Keypair) -> Hotkey {
        let address = ss58::encode(&pair.public.to_bytes());
        Hotkey { pair, address }
    }

    /// The SS58 address of the public key.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Signs a message. Signatures are randomised: two of the same message differ, and both verify.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign_simple(SIGNING_CONTEXT, message).to_bytes()
    }
}
