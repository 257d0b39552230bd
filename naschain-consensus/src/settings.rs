//! Rules by name, for command lines.

use std::str::FromStr;

use crate::{Error, Referee, Reputation, Rules, Trust, Watchdog};

/// A rule that can be set by name.
struct Setting {
    /// The name of the field of [`Rules`], with a dot for a nested one.
    name: &'static str,
    description: &'static str,
    /// Sets the rule, or returns what the value must be.
    set: fn(&mut Rules, &str) -> Result<(), &'static str>,
}

const fn setting(
    name: &'static str,
    description: &'static str,
    set: fn(&mut Rules, &str) -> Result<(), &'static str>,
) -> Setting {
    Setting {
        name,
        description,
        set,
    }
}

const SETTINGS: [Setting; 32] = [
    setting(
        "seats",
        "miners that train each job (2 to 64)",
        |rules, value| number(&mut rules.seats, value),
    ),
    setting(
        "agreement.rule",
        "when answers agree: tolerance, exact or chained",
        |rules, value| {
            let expected = "tolerance, exact or chained";
            parse(&mut rules.agreement.rule, value, expected)
        },
    ),
    setting(
        "agreement.tolerance_hundredths",
        "maximum difference of accuracies, in hundredths of a percentage point",
        |rules, value| number(&mut rules.agreement.tolerance_hundredths, value),
    ),
    setting(
        "lease_ms",
        "a lease expires after this long without a heartbeat",
        |rules, value| number(&mut rules.lease_ms, value),
    ),
    setting(
        "job_limit_ms",
        "maximum duration of a lease, whatever its heartbeats",
        |rules, value| number(&mut rules.job_limit_ms, value),
    ),
    setting(
        "away_ms",
        "an idle miner is away after this long without a message",
        |rules, value| number(&mut rules.away_ms, value),
    ),
    setting(
        "max_new_rounds",
        "maximum number of additional rounds for a job without agreement",
        |rules, value| number(&mut rules.max_new_rounds, value),
    ),
    setting(
        "escalate_to",
        "seats of a job whose first answers do not agree (at most 64)",
        |rules, value| number(&mut rules.escalate_to, value),
    ),
    setting(
        "work_stealing",
        "work stealing: true or false",
        |rules, value| parse(&mut rules.work_stealing, value, "true or false"),
    ),
    setting(
        "max_self_selected",
        "maximum number of miners of a job that were not drawn at random",
        |rules, value| number(&mut rules.max_self_selected, value),
    ),
    setting(
        "max_speed_percent",
        "highest plausible speed of a miner, in percent of the average (at least 100)",
        |rules, value| number(&mut rules.max_speed_percent, value),
    ),
    setting(
        "max_retries",
        "maximum number of unanswered leases per seat of a job",
        |rules, value| number(&mut rules.max_retries, value),
    ),
    setting(
        "watchdog",
        "speculative execution of stragglers and the limit for stalled leases: on or off",
        |rules, value| {
            rules.watchdog = on_or_off(rules.watchdog, value)?;
            Ok(())
        },
    ),
    setting(
        "watchdog.lag_percent",
        "a seat is a straggler above this percentage of the average duration",
        |rules, value| number(&mut watchdog(rules).lag_percent, value),
    ),
    setting(
        "watchdog.max_speculative_percent",
        "maximum percentage of leases that are speculative",
        |rules, value| number(&mut watchdog(rules).max_speculative_percent, value),
    ),
    setting(
        "watchdog.stalled_percent",
        "a lease ends above this percentage of the average duration (at least 100)",
        |rules, value| number(&mut watchdog(rules).stalled_percent, value),
    ),
    setting(
        "epochs",
        "epochs of a training, to estimate progress; 0 if unknown",
        |rules, value| number(&mut rules.epochs, value),
    ),
    setting(
        "trust",
        "adaptive replication, fewer checks of reliable miners: on or off",
        |rules, value| {
            rules.trust = on_or_off(rules.trust, value)?;
            Ok(())
        },
    ),
    setting(
        "trust.after_valid",
        "valid answers in a row before a miner is checked less (at least 1)",
        |rules, value| {
            let trust = rules.trust.get_or_insert_with(Trust::default);
            number(&mut trust.after_valid, value)
        },
    ),
    setting(
        "reputation",
        "limits for miners without a record (maximum number, back-off, random draw of open seats): on or off",
        |rules, value| {
            rules.reputation = on_or_off(rules.reputation, value)?;
            Ok(())
        },
    ),
    setting(
        "reputation.max_miners",
        "maximum number of miners that are known by name",
        |rules, value| number(&mut reputation(rules).max_miners, value),
    ),
    setting(
        "reputation.place_ms",
        "an idle miner may lose its place after this long without an answer",
        |rules, value| number(&mut reputation(rules).place_ms, value),
    ),
    setting(
        "reputation.backoff_ms",
        "first back-off after a lost lease or a bad answer; it doubles",
        |rules, value| number(&mut reputation(rules).backoff_ms, value),
    ),
    setting(
        "reputation.max_backoff_ms",
        "maximum back-off",
        |rules, value| number(&mut reputation(rules).max_backoff_ms, value),
    ),
    setting(
        "reputation.min_flops_per_second",
        "speed of the slowest plausible machine, in FLOP/s",
        |rules, value| number(&mut reputation(rules).min_flops_per_second, value),
    ),
    setting(
        "reputation.draw_wait_ms",
        "time to collect requests before open seats are drawn at random; 0: the first gets a seat",
        |rules, value| number(&mut reputation(rules).draw_wait_ms, value),
    ),
    setting(
        "reputation.version",
        "version, 1 to 3: what counts as a bad outcome, and whether jobs wait for new miners",
        |rules, value| number(&mut reputation(rules).version, value),
    ),
    setting(
        "silent_uids",
        "miners named uid-N send no heartbeats, so their leases last for job_limit_ms: true or false",
        |rules, value| parse(&mut rules.silent_uids, value, "true or false"),
    ),
    setting(
        "referee",
        "a referee decides between answers that differ, not the majority: on or off",
        |rules, value| {
            rules.referee = match value {
                "on" => Some(*referee(rules)),
                "off" => None,
                _ => return Err("on or off"),
            };
            Ok(())
        },
    ),
    setting(
        "referee.steps",
        "steps of a training, which follow from its epochs and the number of images",
        |rules, value| number(&mut referee(rules).steps, value),
    ),
    setting(
        "referee.answer_ms",
        "minimum time to answer a question about a training",
        |rules, value| number(&mut referee(rules).answer_ms, value),
    ),
    setting(
        "referee.spot_check_every",
        "one job of so many gets one more seat although its seats agree; 0 for none",
        |rules, value| number(&mut referee(rules).spot_check_every, value),
    ),
];

/// Stored names that differ from the name of the field; [`Rules::set`] accepts both.
const STORED_NAMES: [(&str, &str); 4] = [
    ("max_dealings", "max_new_rounds"),
    ("take_over", "work_stealing"),
    ("max_taken_over", "max_self_selected"),
    (
        "watchdog.max_copies_percent",
        "watchdog.max_speculative_percent",
    ),
];

fn find(name: &str) -> Option<&'static Setting> {
    let stored = STORED_NAMES.iter().find(|(stored, _)| *stored == name);
    let name = stored.map_or(name, |(_, field)| field);
    SETTINGS.iter().find(|setting| setting.name == name)
}

fn reputation(rules: &mut Rules) -> &mut Reputation {
    rules.reputation.get_or_insert_with(Reputation::default)
}

/// Without its number of steps, which has to be set.
fn referee(rules: &mut Rules) -> &mut Referee {
    rules.referee.get_or_insert(Referee::new(0))
}

fn watchdog(rules: &mut Rules) -> &mut Watchdog {
    rules.watchdog.get_or_insert_with(Watchdog::default)
}

fn number<T: FromStr>(field: &mut T, value: &str) -> Result<(), &'static str> {
    parse(field, value, "a whole number")
}

fn parse<T: FromStr>(
    field: &mut T,
    value: &str,
    expected: &'static str,
) -> Result<(), &'static str> {
    *field = value.parse().map_err(|_| expected)?;
    Ok(())
}

/// `on` keeps the present values, or takes the defaults.
fn on_or_off<T: Default>(present: Option<T>, value: &str) -> Result<Option<T>, &'static str> {
    match value {
        "on" => Ok(Some(present.unwrap_or_default())),
        "off" => Ok(None),
        _ => Err("on or off"),
    }
}

impl Rules {
    /// Sets one rule by the name of its field, such as `lease_ms`, or `trust.after_valid` for a
    /// nested one. The names by which rules are stored are valid, too. `watchdog`, `trust`,
    /// `reputation` and `referee` themselves are `on` or `off`; setting one of their fields turns them on. Ranges
    /// are checked by [`Rules::validate`], once all rules are set.
    ///
    /// # Errors
    /// [`Error::UnknownSetting`] for another name; [`Error::OutOfRange`] for a value that is not of
    /// the rule's type. The rules are then unchanged.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let Some(setting) = find(name) else {
            let names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
            return Err(Error::UnknownSetting {
                found: name.to_owned(),
                names: names.join(", "),
            });
        };
        let mut changed = self.clone();
        (setting.set)(&mut changed, value).map_err(|expected| {
            Error::out_of_range(setting.name, format_args!("{value:?}"), expected)
        })?;
        *self = changed;
        Ok(())
    }

    /// The names that [`Rules::set`] accepts, each with a description of one line.
    pub fn settings() -> impl ExactSizeIterator<Item = (&'static str, &'static str)> {
        SETTINGS
            .iter()
            .map(|setting| (setting.name, setting.description))
    }
}

#[cfg(test)]
mod tests;
