use super::*;

/// The name under which the rule of this name is stored.
fn stored_name(name: &str) -> &str {
    let renamed = STORED_NAMES.iter().find(|(_, field)| *field == name);
    renamed.map_or(name, |(stored, _)| stored)
}

#[test]
fn each_rule_is_set_by_its_name_and_by_its_stored_name() {
    for (name, value, json) in [
        ("seats", "5", "5"),
        ("agreement.rule", "exact", "\"exact\""),
        ("agreement.tolerance_hundredths", "50", "50"),
        ("lease_ms", "1000", "1000"),
        ("job_limit_ms", "2000", "2000"),
        ("away_ms", "3000", "3000"),
        ("max_new_rounds", "1", "1"),
        ("escalate_to", "7", "7"),
        ("work_stealing", "false", "false"),
        ("max_self_selected", "2", "2"),
        ("max_speed_percent", "300", "300"),
        ("max_retries", "0", "0"),
        ("watchdog", "off", "null"),
        ("watchdog.lag_percent", "200", "200"),
        ("watchdog.max_speculative_percent", "20", "20"),
        ("watchdog.stalled_percent", "500", "500"),
        ("epochs", "12", "12"),
        ("trust", "on", r#"{"after_valid":10}"#),
        ("trust.after_valid", "4", "4"),
        ("reputation.max_miners", "9", "9"),
        ("reputation.place_ms", "8", "8"),
        ("reputation.backoff_ms", "7", "7"),
        ("reputation.max_backoff_ms", "90000", "90000"),
        ("reputation.min_flops_per_second", "6", "6"),
        ("reputation.draw_wait_ms", "5", "5"),
        ("referee.steps", "4", "4"),
        ("referee.answer_ms", "3", "3"),
        ("referee.spot_check_every", "2", "2"),
    ] {
        let mut rules = Rules::default();
        rules.set(name, value).unwrap();
        let stored = serde_json::to_value(&rules).unwrap();
        let stored_name = stored_name(name);
        let path = format!("/{}", stored_name.replace('.', "/"));
        assert_eq!(stored.pointer(&path).unwrap().to_string(), json, "{name}");
        assert_ne!(rules, Rules::default(), "{name}");
        let mut by_stored_name = Rules::default();
        by_stored_name.set(stored_name, value).unwrap();
        assert_eq!(by_stored_name, rules, "{stored_name}");
    }
}

/// So that a new rule is not forgotten here.
#[test]
fn every_stored_field_is_a_setting() {
    let mut rules = Rules::default();
    rules.set("trust", "on").unwrap();
    rules.set("silent_uids", "true").unwrap();
    rules.set("referee", "on").unwrap();
    let mut names = Vec::new();
    for (name, value) in serde_json::to_value(&rules).unwrap().as_object().unwrap() {
        let fields = value.as_object().into_iter().flatten();
        names.extend(fields.map(|(field, _)| format!("{name}.{field}")));
        // The agreement cannot be off.
        if name != "agreement" {
            names.push(name.clone());
        }
    }
    let mut settings: Vec<&str> = Rules::settings()
        .map(|(name, _)| stored_name(name))
        .collect();
    names.sort_unstable();
    settings.sort_unstable();
    assert_eq!(settings, names);
}

#[test]
fn errors_say_what_is_valid() {
    for (name, value, error) in [
        (
            "seats",
            "many",
            r#"seats is "many"; it must be a whole number"#,
        ),
        ("seats", "-1", r#"seats is "-1"; it must be a whole number"#),
        (
            "work_stealing",
            "on",
            r#"work_stealing is "on"; it must be true or false"#,
        ),
        ("trust", "true", r#"trust is "true"; it must be on or off"#),
        (
            "agreement.rule",
            "strict",
            r#"agreement.rule is "strict"; it must be tolerance, exact or chained"#,
        ),
        (
            "trust.after_valid",
            "x",
            r#"trust.after_valid is "x"; it must be a whole number"#,
        ),
    ] {
        let mut rules = Rules::default();
        assert_eq!(rules.set(name, value).unwrap_err().to_string(), error);
        assert_eq!(rules, Rules::default(), "changed by an error");
    }
    let error = Rules::default().set("seat", "3").unwrap_err().to_string();
    assert!(
        error.starts_with(r#"no rule is named "seat"; the names are seats, agreement.rule"#),
        "{error}"
    );
}

#[test]
fn a_field_turns_its_group_on_and_off_turns_it_off() {
    let mut rules = Rules::default();
    rules.set("watchdog", "off").unwrap();
    rules.set("watchdog.lag_percent", "180").unwrap();
    rules.set("watchdog", "on").unwrap();
    assert_eq!(rules.watchdog.unwrap().lag_percent, 180);
    rules.set("trust.after_valid", "3").unwrap();
    assert_eq!(rules.trust, Some(Trust::new(3)));
    rules.set("trust", "off").unwrap();
    assert_eq!(rules.trust, None);
    rules.set("referee", "on").unwrap();
    rules.set("agreement.rule", "exact").unwrap();
    let error = rules.validate().unwrap_err().to_string();
    assert_eq!(error, "referee.steps is 0; it must be at least 1");
    rules.set("referee.steps", "9").unwrap();
    rules.set("referee", "on").unwrap();
    assert_eq!(rules.referee, Some(Referee::new(9)));
    rules.validate().unwrap();
    rules.set("referee", "off").unwrap();
    assert_eq!(rules.referee, None);
}
