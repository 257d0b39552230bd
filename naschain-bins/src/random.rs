//! Random numbers of the system, for secrets.

use anyhow::{Result, anyhow};

/// Bytes that nobody can predict.
///
/// # Errors
/// If the system gives none.
pub(crate) fn random_bytes() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
    Ok(bytes)
}
