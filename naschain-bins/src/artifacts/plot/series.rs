//! What a picture of fronts shows: series of networks, and the line of a front.

use std::ops::Range;

use anyhow::anyhow;
use naschain_core::{Accuracy, Measurement};
use plotters::style::RGBColor;

/// A network in a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// Parameters, and FLOPs or the predicted latency.
    pub(super) costs: [f64; 2],
    /// Accuracy in percent.
    pub(super) accuracy: f64,
}

impl Point {
    /// A network with one of its accuracies; `second` is its FLOPs, or its latency.
    pub(super) fn new(m: &Measurement, second: f64, accuracy: Accuracy) -> Point {
        Point {
            costs: [m.params as f64, second],
            accuracy: accuracy.percent(),
        }
    }
}

/// How the points of a series are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A small dot.
    Dot,
    /// A step function through the best for each cost, with a disc at each of its points; the
    /// others, which are on the front for their other cost, are rings.
    Front,
    /// A cross.
    Cross,
}

/// Points that are drawn alike.
pub(super) struct Series {
    /// Its text in the legend.
    pub(super) label: String,
    /// The colour of its points.
    pub(super) colour: RGBColor,
    /// How they are drawn.
    pub(super) mark: Mark,
    /// The networks.
    pub(super) points: Vec<Point>,
}

/// The points that have the best accuracy up to their cost, by cost, and the others.
pub(super) fn split(points: &[Point], cost: usize) -> (Vec<Point>, Vec<Point>) {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| {
        let by_cost = a.costs[cost].total_cmp(&b.costs[cost]);
        by_cost.then(b.accuracy.total_cmp(&a.accuracy))
    });
    let mut best = f64::NEG_INFINITY;
    sorted.into_iter().partition(|point| {
        let is_best = point.accuracy > best;
        best = best.max(point.accuracy);
        is_best
    })
}

/// The best accuracy for each cost as a step function through these points.
pub(super) fn steps(points: &[Point], cost: usize) -> Vec<(f64, f64)> {
    let mut line: Vec<(f64, f64)> = Vec::new();
    for point in points {
        if let Some(&(_, before)) = line.last() {
            line.push((point.costs[cost], before));
        }
        line.push((point.costs[cost], point.accuracy));
    }
    line
}

/// The accuracies to show: one network at chance level must not compress the range of the good
/// ones, so points farther below the median than three times its distance to the highest are out.
pub(super) fn accuracy_range(series: &[Series]) -> Range<f64> {
    let points = series.iter().flat_map(|series| &series.points);
    let mut sorted: Vec<f64> = points.map(|point| point.accuracy).collect();
    sorted.sort_by(f64::total_cmp);
    let high = sorted.last().copied().unwrap_or(100.0);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(high);
    let cutoff = median - 3.0 * (high - median).max(1.0);
    let lowest = sorted.first().copied().unwrap_or(high);
    let low = sorted.into_iter().find(|a| *a >= cutoff).unwrap_or(high);
    // The networks of a front are always shown, and without a front all are.
    let fronts = series.iter().filter(|series| series.mark == Mark::Front);
    let mut members = fronts.flat_map(|series| &series.points).peekable();
    let low = if members.peek().is_some() {
        low
    } else {
        lowest
    };
    let low = members.fold(low, |low, member| low.min(member.accuracy));
    let margin = ((high - low) * 0.08).max(0.25);
    low - margin..high + margin
}

/// An error of the drawing library.
pub(super) fn drawing(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw the front: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(pairs: &[(f64, f64)]) -> Vec<Point> {
        let point = |&(cost, accuracy): &(f64, f64)| Point {
            costs: [cost; 2],
            accuracy,
        };
        pairs.iter().map(point).collect()
    }

    #[test]
    fn the_front_is_a_step_function() {
        let members = points(&[(30.0, 97.0), (10.0, 90.0), (20.0, 89.0), (40.0, 98.0)]);
        let (on, off) = split(&members, 0);
        let expected = [
            (10.0, 90.0),
            (30.0, 90.0),
            (30.0, 97.0),
            (40.0, 97.0),
            (40.0, 98.0),
        ];
        assert_eq!(steps(&on, 0), expected);
        assert_eq!(off, points(&[(20.0, 89.0)]));
        assert!(steps(&[], 0).is_empty());
    }

    #[test]
    fn a_point_at_chance_level_does_not_compress_the_axis() {
        let drawn = |mark, pairs: &[(f64, f64)]| Series {
            label: String::new(),
            colour: RGBColor(0, 0, 0),
            mark,
            points: points(pairs),
        };
        let all = [(1.0, 10.0), (2.0, 90.0), (3.0, 95.0), (4.0, 97.0)];
        let dots = drawn(Mark::Dot, &all);
        let range = accuracy_range(&[dots, drawn(Mark::Front, &all[2..])]);
        assert!(range.start > 85.0 && range.start < 90.0 && range.end > 97.0);
        // Where no network is better than guessing there is no front, and nothing is left out.
        let range = accuracy_range(&[drawn(Mark::Dot, &all)]);
        assert!(range.start < 10.0, "{range:?}");
    }
}
