//! The Pareto front as a text table.

use naschain_run::FrontMember;

/// The table, one line per member in the order of `front`.
pub(crate) fn front_table(front: &[FrontMember], phase_len: usize) -> String {
    let genomes: Vec<String> = front
        .iter()
        .map(|member| member.genome.grouped(phase_len))
        .collect();
    let width = genomes.iter().map(String::len).max().unwrap_or(0).max(6);
    let mut text = format!(
        "{:<width$}  {:>10}  {:>12}  {:>14}\n",
        "genome", "accuracy %", "parameters", "FLOPs"
    );
    for (genome, member) in genomes.iter().zip(front) {
        let m = member.measurement;
        text += &format!(
            "{genome:<width$}  {:>10}  {:>12}  {:>14}\n",
            m.accuracy.to_string(),
            grouped(m.params),
            grouped(m.flops)
        );
    }
    text
}

/// Formats a number with commas between groups of three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(224_629_920), "224,629,920");
    }
}
