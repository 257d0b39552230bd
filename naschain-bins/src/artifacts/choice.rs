//! Which network of a front to use: the best, the knee or the smallest.

use naschain_run::FrontMember;

/// A rule that picks one network of a front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The highest validation accuracy; of equal ones the fewest parameters.
    Best,
    /// Where additional parameters stop paying off: farthest above the straight line from the
    /// smallest to the best network (Branke et al. 2004).
    Knee,
    /// The fewest parameters; of equal ones the highest accuracy.
    Smallest,
}

impl Choice {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Choice; 3] = [Choice::Best, Choice::Knee, Choice::Smallest];

    /// Its name in flags and tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Choice::Best => "best",
            Choice::Knee => "knee",
            Choice::Smallest => "smallest",
        }
    }

    /// The choice with this name.
    pub(crate) fn named(name: &str) -> Option<Choice> {
        Choice::ALL.into_iter().find(|choice| choice.name() == name)
    }

    /// The choice whose name a text probably was meant to be: one that begins with it, or differs by
    /// at most two letters.
    pub(crate) fn similar(text: &str) -> Option<Choice> {
        let text = text.to_lowercase();
        let distance = |choice: &Choice| match choice.name().starts_with(&text) {
            true if text.len() > 2 => 0,
            _ => strsim::damerau_levenshtein(&text, choice.name()),
        };
        // A long text is no misspelt name, and would take long to compare.
        let all = Choice::ALL
            .into_iter()
            .filter(|_| (2..=16).contains(&text.len()));
        let nearest = all.min_by_key(distance);
        nearest.filter(|choice| distance(choice) <= 2.min(choice.name().len() / 2 - 1))
    }

    /// The network of `front` that it picks; `None` if the front is empty.
    ///
    /// Test accuracies do not take part: a network that was chosen by them would look better than
    /// it is.
    pub(crate) fn pick<'m>(self, front: &[&'m FrontMember]) -> Option<&'m FrontMember> {
        let line = line(front);
        match self {
            Choice::Best => line.last().copied(),
            Choice::Knee => knee(&line),
            Choice::Smallest => line.first().copied(),
        }
    }
}

/// The names of the choices that pick this member, such as `best, knee`.
pub(crate) fn names_of(member: &FrontMember, front: &[&FrontMember]) -> String {
    let picks = |choice: &Choice| choice.pick(front).is_some_and(|m| m.job == member.job);
    let names: Vec<&str> = Choice::ALL
        .into_iter()
        .filter(picks)
        .map(Choice::name)
        .collect();
    names.join(", ")
}

/// The members that are not dominated in accuracy and parameters alone, fewest parameters first.
fn line<'m>(front: &[&'m FrontMember]) -> Vec<&'m FrontMember> {
    let mut sorted = front.to_vec();
    sorted.sort_by_key(|member| {
        let m = member.measurement;
        (m.params, std::cmp::Reverse(m.accuracy), m.flops)
    });
    let mut line: Vec<&FrontMember> = Vec::new();
    for member in sorted {
        let accuracy = member.measurement.accuracy;
        if line
            .last()
            .is_none_or(|last| accuracy > last.measurement.accuracy)
        {
            line.push(member);
        }
    }
    line
}

fn knee<'m>(line: &[&'m FrontMember]) -> Option<&'m FrontMember> {
    let (first, last) = (line.first()?, line.last()?);
    let size = |member: &FrontMember| member.measurement.params as f64;
    let accuracy = |member: &FrontMember| member.measurement.accuracy.percent();
    let share = |at: f64, from: f64, to: f64| {
        if to > from {
            (at - from) / (to - from)
        } else {
            0.0
        }
    };
    let height = |member: &FrontMember| {
        let up = share(accuracy(member), accuracy(first), accuracy(last));
        up - share(size(member), size(first), size(last))
    };
    // Where nothing lies above the straight line, parameters pay off up to the best. Of equal ones
    // above it the smallest: `max_by` would take the last.
    let mut highest = *last;
    for member in line {
        if height(member) > height(highest) + 1e-9 {
            highest = member;
        }
    }
    Some(highest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_consensus::JobId;
    use naschain_core::{Accuracy, Digest, Measurement};

    fn front(points: &[(u32, u64)]) -> Vec<FrontMember> {
        let member = |(index, &(hundredths, params)): (usize, &(u32, u64))| FrontMember {
            job: JobId(index as u64),
            genome: "10".parse().unwrap(),
            measurement: Measurement {
                accuracy: Accuracy::from_hundredths(hundredths).unwrap(),
                params,
                flops: 1_000_000 - params,
                digest: Digest([0; 32]),
            },
        };
        points.iter().enumerate().map(member).collect()
    }

    fn picked(points: &[(u32, u64)]) -> [Option<u64>; 3] {
        let front = front(points);
        let front: Vec<&FrontMember> = front.iter().collect();
        Choice::ALL.map(|choice| choice.pick(&front).map(|member| member.measurement.params))
    }

    #[test]
    fn the_knee_is_where_parameters_stop_paying_off() {
        // Doubling from 10 to 20 gains 30 points, from 20 to 40 and 80 one each.
        let points = [(9200, 80), (9100, 40), (9000, 20), (6000, 10)];
        assert_eq!(picked(&points), [Some(80), Some(20), Some(10)]);
        // On the straight line parameters pay off up to the best.
        assert_eq!(
            picked(&[(9000, 30), (8000, 20), (7000, 10)]),
            [Some(30), Some(30), Some(10)]
        );
        assert_eq!(
            picked(&[(10000, 2_007), (7667, 467)]),
            [Some(2_007), Some(2_007), Some(467)]
        );
        // A tiny network that is hardly better than guessing is no knee.
        assert_eq!(
            picked(&[(5500, 226_000), (5000, 40_000), (4000, 2_000), (2000, 24)]),
            [Some(226_000), Some(40_000), Some(24)]
        );
        assert_eq!(picked(&[(9000, 40)]), [Some(40); 3]);
        assert_eq!(picked(&[]), [None; 3]);
    }

    #[test]
    fn a_member_that_is_there_for_its_flops_is_no_choice() {
        // 95 parameters and 90 %: on the front for its FLOPs, worse than 80 and 92 % otherwise.
        let points = [(9200, 80), (9000, 95), (6000, 10)];
        assert_eq!(picked(&points), [Some(80), Some(80), Some(10)]);
        let front = front(&points);
        let front: Vec<&FrontMember> = front.iter().collect();
        assert_eq!(names_of(front[0], &front), "best, knee");
        assert_eq!(names_of(front[1], &front), "");
        assert_eq!(names_of(front[2], &front), "smallest");
        assert_eq!(Choice::named("knee"), Some(Choice::Knee));
        assert_eq!(Choice::named("0101"), None);
    }
}
