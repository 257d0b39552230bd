//! The Pareto front as a text table.

use crate::artifacts::choice::names_of;
use crate::artifacts::grouped::grouped;
use crate::artifacts::results::Results;
use crate::printable::counted;

/// The table: one line per network of the front that is better than guessing, most accurate first,
/// with the names by which `--genome` chooses it.
pub(crate) fn front_table(results: &Results) -> String {
    let front = results.useful_front();
    if front.is_empty() {
        let remedy = "search longer, for example with --budget medium";
        return results.none_useful("", remedy) + "\n";
    }
    let phase_len = results.spec.space.part_len();
    let genomes: Vec<String> = front
        .iter()
        .map(|member| member.genome.grouped(phase_len))
        .collect();
    let width = genomes.iter().map(String::len).max().unwrap_or(0).max(6);
    let has_validation = !results.spec.recipe.is_measured_on_test();
    let validation = |text: &str| {
        if has_validation {
            format!("{text:>12}  ")
        } else {
            String::new()
        }
    };
    // Only where a run searches by it.
    let latency = |text: Option<String>| match results.spec.latency {
        Some(_) => format!("  {:>10}", text.unwrap_or_default()),
        None => String::new(),
    };
    let mut text = format!(
        "{:<width$}  {}{:>6}  {:>12}  {:>14}{}\n",
        "genome",
        validation("validation %"),
        "test %",
        "parameters",
        "FLOPs",
        latency(Some("latency us".to_owned()))
    );
    for (genome, member) in genomes.iter().zip(&front) {
        let m = member.measurement;
        let test = results.model(&member.genome);
        let test = test.map_or("-".to_owned(), |model| model.test_accuracy.to_string());
        let line = format!(
            "{genome:<width$}  {}{test:>6}  {:>12}  {:>14}{}  {}",
            validation(&m.accuracy.to_string()),
            grouped(m.params),
            grouped(m.flops),
            latency(results.spec.latency_us_of(&member.genome).map(grouped)),
            names_of(member, &front)
        );
        text += line.trim_end();
        text.push('\n');
    }
    let left_out = results.front.len() - front.len();
    if left_out > 0 {
        text += &format!(
            "not listed: {} of the front, no better than guessing (at most {:.2} %)\n",
            counted(left_out, "network"),
            results.guessing_limit()
        );
    }
    text
}
