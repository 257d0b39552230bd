//! `front.svg`: plots of accuracy against parameters and against FLOPs.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use naschain_run::{EndedJob, FrontMember};

const SIZE: (u32, u32) = (1100, 460);
const DOT: RGBColor = RGBColor(150, 158, 170);
const FRONT: RGBColor = RGBColor(200, 60, 40);

/// Draws every accepted genome as a dot and the front as a line, in two panels.
pub(crate) fn front_svg(ended: &[EndedJob], front: &[FrontMember], title: &str) -> Result<String> {
    let all: Vec<_> = ended
        .iter()
        .filter_map(|job| job.verdict.consensus)
        .collect();
    let best: Vec<_> = front.iter().map(|member| member.measurement).collect();
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(drawing)?;
        let root = root.titled(title, ("sans-serif", 20)).map_err(drawing)?;
        let (left, right) = root.split_horizontally(SIZE.0 / 2);
        let points = |cost: fn(&naschain_core::Measurement) -> u64| {
            let pair = |m: &naschain_core::Measurement| (cost(m) as f64, m.accuracy.percent());
            (
                all.iter().map(pair).collect::<Vec<_>>(),
                best.iter().map(pair).collect::<Vec<_>>(),
            )
        };
        let (dots, members) = points(|m| m.params);
        panel(&left, "parameters", &dots, &members)?;
        let (dots, members) = points(|m| m.flops);
        panel(&right, "FLOPs (multiply-adds per image)", &dots, &members)?;
        root.present().map_err(drawing)?;
    }
    Ok(svg)
}

type Point = (f64, f64);

fn panel(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    cost: &str,
    dots: &[Point],
    members: &[Point],
) -> Result<()> {
    let (x_range, y_range) = (cost_range(dots), accuracy_range(dots));
    let below = dots.iter().filter(|dot| dot.1 < y_range.start).count();
    let label = match below {
        0 => "evaluated genomes".to_owned(),
        below => format!("evaluated genomes ({below} below the axis)"),
    };
    let edge = y_range.start;
    // Points below the axis are drawn at its edge instead of outside the panel.
    let clamped = |points: &[Point]| -> Vec<Point> {
        points.iter().map(|&(x, y)| (x, y.max(edge))).collect()
    };
    let (dots, members) = (clamped(dots), clamped(members));
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(48)
        .y_label_area_size(60)
        .build_cartesian_2d(x_range, y_range)
        .map_err(drawing)?;
    chart
        .configure_mesh()
        .x_desc(cost)
        .y_desc("validation accuracy (%)")
        .x_labels(6)
        .x_label_formatter(&|x| short(*x))
        .y_label_formatter(&|y| format!("{y:.1}"))
        .max_light_lines(0)
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .draw()
        .map_err(drawing)?;
    chart
        .draw_series(
            dots.iter()
                .map(|&point| Circle::new(point, 3, DOT.filled())),
        )
        .map_err(drawing)?
        .label(label)
        .legend(|(x, y)| Circle::new((x + 10, y), 3, DOT.filled()));
    chart
        .draw_series(LineSeries::new(staircase(&members), FRONT.stroke_width(2)))
        .map_err(drawing)?
        .label("Pareto front")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], FRONT.stroke_width(2)));
    chart
        .draw_series(
            members
                .iter()
                .map(|&point| Circle::new(point, 4, FRONT.filled())),
        )
        .map_err(drawing)?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(DOT)
        .label_font(("sans-serif", 14))
        .draw()
        .map_err(drawing)
}

/// The best accuracy for each cost, as a step function: members that are dominated in these two
/// objectives alone are left out.
fn staircase(members: &[Point]) -> Vec<Point> {
    let mut sorted = members.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut line: Vec<Point> = Vec::new();
    for (cost, accuracy) in sorted {
        match line.last() {
            Some(&(_, best)) if accuracy <= best => {}
            Some(&(_, best)) => line.extend([(cost, best), (cost, accuracy)]),
            None => line.push((cost, accuracy)),
        }
    }
    line
}

fn cost_range(points: &[Point]) -> std::ops::Range<f64> {
    let max = points.iter().map(|point| point.0).fold(1.0, f64::max);
    0.0..max * 1.06
}

fn accuracy_range(points: &[Point]) -> std::ops::Range<f64> {
    let accuracies = || points.iter().map(|point| point.1);
    let lowest = accuracies().fold(100.0, f64::min);
    let high = accuracies().fold(lowest, f64::max);
    // One network at chance level must not compress the range of the good ones: points farther
    // below the median than three times the distance from it to the highest are drawn at the edge.
    let mut sorted: Vec<f64> = accuracies().collect();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(high);
    let cutoff = median - 3.0 * (high - median).max(1.0);
    let low = accuracies().filter(|&a| a >= cutoff).fold(high, f64::min);
    let margin = ((high - low) * 0.06).max(0.25);
    low - margin..high + margin
}

/// Formats a number with an SI suffix: 12,000 as 12k.
fn short(number: f64) -> String {
    match number {
        n if n >= 1e9 => format!("{}G", trimmed(n / 1e9)),
        n if n >= 1e6 => format!("{}M", trimmed(n / 1e6)),
        n if n >= 1e3 => format!("{}k", trimmed(n / 1e3)),
        n => trimmed(n),
    }
}

fn trimmed(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn drawing(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw the front: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_a_step_function() {
        let line = staircase(&[(30.0, 97.0), (10.0, 90.0), (20.0, 89.0), (40.0, 98.0)]);
        let expected = [
            (10.0, 90.0),
            (30.0, 90.0),
            (30.0, 97.0),
            (40.0, 97.0),
            (40.0, 98.0),
        ];
        assert_eq!(line, expected);
        assert!(staircase(&[]).is_empty());
    }

    #[test]
    fn costs_have_si_suffixes() {
        let texts = [950.0, 1_000.0, 12_500.0, 3_000_000.0, 2.5e9].map(short);
        assert_eq!(texts, ["950", "1k", "12.5k", "3M", "2.5G"]);
    }

    #[test]
    fn an_empty_run_can_be_drawn() {
        assert!(
            front_svg(&[], &[], "nothing yet")
                .unwrap()
                .contains("</svg>")
        );
    }
}
