//! Pictures of fronts as SVG: accuracy against parameters and against FLOPs.

mod labels;
mod panel;
mod series;
mod ticks;

use anyhow::Result;
use naschain_core::{Genome, Measurement};
use plotters::prelude::*;

use crate::artifacts::choice::names_of;
use crate::artifacts::plot::panel::{Panel, Symbol, draw_legend};
use crate::artifacts::plot::series::{Mark, Point, Series, accuracy_range, drawing, split};
use crate::artifacts::results::{Results, hypervolume_share, largest_costs, measured};

/// The second cost, unless a run searches by latency.
const FLOPS: &str = "FLOPs (multiply-adds per image)";
const WIDTH: u32 = 1100;
const PANEL_HEIGHT: u32 = 400;
const LEGEND_ROW: u32 = 24;
const GREY: RGBColor = RGBColor(150, 158, 170);
const RED: RGBColor = RGBColor(211, 63, 43);
const BLUE: RGBColor = RGBColor(47, 119, 201);
/// Colours of compared fronts, which differ for the colour-blind too (Okabe and Ito 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
];
/// Black and white follow the reader's colour scheme; the other colours suit both.
const STYLE: &str = r##"<style>
svg { max-width: 100%; height: auto; }
text { font-family: system-ui, sans-serif; }
@media (prefers-color-scheme: dark) {
  [fill="#FFFFFF"] { fill: #15181d; }
  [fill="#000000"] { fill: #e4e7eb; }
  [stroke="#000000"] { stroke: #e4e7eb; }
}
</style>"##;

/// Draws the evaluated networks of a run, its front, and the test accuracies of the front.
pub(crate) fn front_svg(results: &Results, title: &str) -> Result<String> {
    let with = |genome: &Genome, m: &Measurement, accuracy| {
        let [_, _, second] = results.spec.objective_values(genome, m);
        Point::new(m, second, accuracy)
    };
    let point = |genome: &Genome, m: &Measurement| with(genome, m, m.accuracy);
    let evaluated = measured(&results.ended).map(|(job, m)| point(&job.genome, &m));
    let evaluated = evaluated.collect();
    let front = results.useful_front();
    let members = front
        .iter()
        .map(|member| point(&member.genome, &member.measurement));
    // Where miners measure on the test images, these are the same points.
    let is_validated = !results.spec.recipe.is_measured_on_test();
    let tested = front.iter().filter(|_| is_validated);
    let tested = tested.filter_map(|member| {
        let model = results.model(&member.genome)?;
        let (genome, measured) = (&member.genome, &member.measurement);
        Some(with(genome, measured, model.test_accuracy))
    });
    let on = results.measured_on();
    let series = [
        (
            GREY,
            Mark::Dot,
            format!("evaluated, {on} accuracy"),
            evaluated,
        ),
        (
            RED,
            Mark::Front,
            format!("Pareto front, {on} accuracy"),
            members.collect(),
        ),
        (
            BLUE,
            Mark::Cross,
            "Pareto front, test accuracy".to_owned(),
            tested.collect(),
        ),
    ];
    let series = series.map(|(colour, mark, label, points)| Series {
        label,
        colour,
        mark,
        points,
    });
    let notes: Vec<(Point, String)> = front
        .iter()
        .map(|member| {
            let at = point(&member.genome, &member.measurement);
            (at, names_of(member, &front))
        })
        .filter(|(_, names)| !names.is_empty())
        .collect();
    let none = front.is_empty() && !results.front.is_empty();
    let title = [title, "; none better than guessing"][..1 + usize::from(none)].concat();
    // A legend does not explain what is not there.
    let series: Vec<Series> = series
        .into_iter()
        .filter(|s| !s.points.is_empty())
        .collect();
    let second = match results.spec.latency {
        Some(_) => "predicted latency (µs)",
        None => FLOPS,
    };
    let names = ["parameters", second, "accuracy (%)"];
    picture(&title, names, &series, &notes)
}

/// Draws the fronts of several runs, with the share of the same box that each dominates.
pub(crate) fn fronts_svg(runs: &[Results]) -> Result<(String, Vec<f64>)> {
    let all = runs.iter().flat_map(Results::useful_front);
    let largest = largest_costs(all.map(|member| &member.measurement));
    let mut shares = Vec::new();
    let mut series = Vec::new();
    for (run, colour) in runs.iter().zip(COLOURS.iter().cycle()) {
        let useful = run.useful_front();
        let front: Vec<Measurement> = useful.iter().map(|m| m.measurement).collect();
        let share = hypervolume_share(&front, largest)?;
        let points = useful
            .iter()
            .map(|m| m.measurement)
            .map(|m| Point::new(&m, m.flops as f64, m.accuracy));
        series.push(Series {
            label: format!("{}, hypervolume {share:.4}", run.dir.display()),
            colour: *colour,
            mark: Mark::Front,
            points: points.collect(),
        });
        shares.push(share);
    }
    let title = format!("Pareto fronts of {} runs", runs.len());
    let names = ["parameters", FLOPS, "validation accuracy (%)"];
    let svg = picture(&title, names, &series, &[])?;
    Ok((svg, shares))
}

/// The axes are named parameters, the second cost, and the accuracy.
fn picture(
    title: &str,
    [params, second, accuracy]: [&str; 3],
    series: &[Series],
    notes: &[(Point, String)],
) -> Result<String> {
    let range = accuracy_range(series);
    let entries = legend(series, range.start);
    let rows = entries.len().div_ceil(2) as u32;
    let size = (WIDTH, 40 + PANEL_HEIGHT + rows * LEGEND_ROW + 12);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).map_err(drawing)?;
        let root = root.titled(title, ("sans-serif", 20)).map_err(drawing)?;
        let (panels, below) = root.split_vertically(PANEL_HEIGHT);
        let (left, right) = panels.split_horizontally(WIDTH / 2);
        let costs = [params, second];
        for (cost, (area, name)) in [left, right].iter().zip(costs).enumerate() {
            Panel {
                cost,
                cost_name: name,
                accuracy_name: accuracy,
                accuracies: range.clone(),
                series,
                notes,
            }
            .draw(area)?;
        }
        for (at, (mark, colour, label)) in entries.iter().enumerate() {
            let x = 70 + (at % 2) as i32 * (WIDTH / 2) as i32;
            let y = 12 + (at / 2) as i32 * LEGEND_ROW as i32;
            draw_legend(&below, (x, y), *mark, *colour, label)?;
        }
        root.present().map_err(drawing)?;
    }
    // The library knows no styles; they go behind the first tag, which is `svg`.
    if let Some(end) = svg.find('>') {
        svg.insert_str(end + 1, STYLE);
    }
    Ok(svg)
}

/// The entries of the legend: a series each, and what needs an explanation.
fn legend(series: &[Series], lowest: f64) -> Vec<(Symbol, RGBColor, String)> {
    let mut entries = Vec::new();
    for series in series {
        let below = series.points.iter().filter(|p| p.accuracy < lowest).count();
        let label = match below {
            0 => series.label.clone(),
            below => format!("{} ({below} below {lowest:.1} % not shown)", series.label),
        };
        let symbol = match series.mark {
            Mark::Dot => Symbol::Dot,
            Mark::Front => Symbol::Line,
            Mark::Cross => Symbol::Cross,
        };
        entries.push((symbol, series.colour, label));
    }
    let fronts = series.iter().filter(|series| series.mark == Mark::Front);
    let mut off_the_line = fronts.filter(|series| {
        let is_off = |cost| split(&series.points, cost).1.len();
        is_off(0) + is_off(1) > 0
    });
    if let Some(series) = off_the_line.next_back() {
        let text = "on the front for its other cost, off this line";
        entries.push((Symbol::Ring, series.colour, text.to_owned()));
    }
    entries
}
