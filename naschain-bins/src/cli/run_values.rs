//! Values of flags of runs.

use naschain_nsga::{Mode, Pace};

pub(super) fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "surrogate" => Ok(Mode::Surrogate),
        "nsga2" => Ok(Mode::Nsga2),
        _ => Err("use surrogate or nsga2".to_owned()),
    }
}

pub(super) fn pace(text: &str) -> Result<Pace, String> {
    match text {
        "generational" => Ok(Pace::Generational),
        "steady" => Ok(Pace::SteadyState),
        _ => Err("use generational or steady".to_owned()),
    }
}

/// The N of a share 1/N; 0 for none.
pub(super) fn one_in(text: &str) -> Result<u32, String> {
    let number = match text {
        "0" => Some(0),
        _ => text.strip_prefix("1/").and_then(|text| text.parse().ok()),
    };
    let is_share = |number: &u32| text == "0" || *number > 0;
    number
        .filter(is_share)
        .ok_or_else(|| "use 1/N, such as 1/100, or 0 for none".to_owned())
}
