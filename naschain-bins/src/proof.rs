//! Whether what proves who sent an event proves it: the one place where an audit looks at
//! signatures.

use naschain_consensus::Event;

/// What is known of who sent an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// The event is the genomaster's own, as the passing of time.
    Own,
    /// The event says who sent it, and nothing proves that.
    Unsigned,
    /// There is a signed request, and this build cannot verify it.
    Unverified,
}

/// Looks at an event and its proof.
///
/// # Errors
/// What is wrong with the proof.
pub fn standing(event: &Event, proof: Option<&str>) -> Result<Standing, String> {
    match (event, proof) {
        (_, Some(text)) => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(serde_json::Value::Object(_)) => Ok(Standing::Unverified),
            Ok(_) => Err("its proof is not a JSON object".to_owned()),
            Err(error) => Err(format!("its proof is not JSON: {error}")),
        },
        (Event::Tick, None) => Ok(Standing::Own),
        (_, None) => Ok(Standing::Unsigned),
    }
}
