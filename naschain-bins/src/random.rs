//! Random numbers of the operating system, for secrets.

use anyhow::{Result, anyhow};

/// Bytes that nobody can predict.
///
/// # Errors
/// If the operating system provides none.
pub(crate) fn random_bytes() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|reason| anyhow!("the operating system provides no random numbers: {reason}"))?;
    Ok(bytes)
}
