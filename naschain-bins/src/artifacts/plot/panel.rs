//! One panel of a picture: accuracy against one cost.

use std::ops::Range;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::artifacts::plot::series::{Mark, Point, Series, drawing, split, steps};

/// The part of the horizontal axis, from the left, where a text to the left of its point would be cut
/// off.
const LEFT_PART: f64 = 0.2;

/// An area of an SVG picture.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Accuracy against one cost.
pub(super) struct Panel<'a> {
    /// 0 for parameters, 1 for FLOPs.
    pub(super) cost: usize,
    /// Label of the horizontal axis.
    pub(super) cost_name: &'a str,
    /// Label of the vertical axis.
    pub(super) accuracy_name: &'a str,
    /// Range of the vertical axis in percent; points outside it are not drawn.
    pub(super) accuracies: Range<f64>,
    /// What is drawn, the last on top.
    pub(super) series: &'a [Series],
    /// Texts above points.
    pub(super) notes: &'a [(Point, String)],
}

impl Panel<'_> {
    pub(super) fn draw(&self, area: &Area<'_>) -> Result<()> {
        let points = self.series.iter().flat_map(|series| &series.points);
        let largest = points.map(|p| p.costs[self.cost]).fold(1.0, f64::max);
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(48)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..largest * 1.06, self.accuracies.clone())
            .map_err(drawing)?;
        chart
            .configure_mesh()
            .x_desc(self.cost_name)
            .y_desc(self.accuracy_name)
            .x_labels(6)
            .x_label_formatter(&|x| short(*x))
            .y_label_formatter(&|y| format!("{y:.1}"))
            .max_light_lines(0)
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 15))
            .draw()
            .map_err(drawing)?;
        for series in self.series {
            let (colour, shown) = (series.colour, self.shown(&series.points));
            let mut marks = |points: &[Point], symbol| {
                let at = points.iter().map(|p| (p.costs[self.cost], p.accuracy));
                draw_marks(&mut chart, at.collect(), symbol, colour)
            };
            match series.mark {
                Mark::Dot => marks(&shown, Symbol::Dot)?,
                Mark::Cross => marks(&shown, Symbol::Cross)?,
                Mark::Front => {
                    let (on, off) = split(&shown, self.cost);
                    marks(&on, Symbol::Disc)?;
                    marks(&off, Symbol::Ring)?;
                    let steps = LineSeries::new(steps(&on, self.cost), colour.stroke_width(2));
                    chart.draw_series(steps).map_err(drawing)?;
                }
            }
        }
        let style = ("sans-serif", 13).into_font().color(&BLACK);
        for (point, text) in self.notes {
            let at = (point.costs[self.cost], point.accuracy);
            // The front rises to the right, so there is room above and to the left of a point. Near
            // the left edge there is none; few networks are below the first of a front.
            let (side, offset) = if at.0 < largest * LEFT_PART {
                (Pos::new(HPos::Left, VPos::Top), (8, 5))
            } else {
                (Pos::new(HPos::Right, VPos::Bottom), (-7, -6))
            };
            let text = Text::new(text.clone(), offset, style.clone().pos(side));
            let note = EmptyElement::at(at) + text;
            chart.draw_series([note]).map_err(drawing)?;
        }
        Ok(())
    }

    fn shown(&self, points: &[Point]) -> Vec<Point> {
        let lowest = self.accuracies.start;
        points
            .iter()
            .copied()
            .filter(|p| p.accuracy >= lowest)
            .collect()
    }
}

/// Formats a number with an SI suffix: 12,000 as 12k.
fn short(number: f64) -> String {
    let trimmed = |number: f64| {
        let text = format!("{number:.1}");
        text.strip_suffix(".0").unwrap_or(&text).to_owned()
    };
    match number {
        n if n >= 1e9 => format!("{}G", trimmed(n / 1e9)),
        n if n >= 1e6 => format!("{}M", trimmed(n / 1e6)),
        n if n >= 1e3 => format!("{}k", trimmed(n / 1e3)),
        n => trimmed(n),
    }
}

/// How a point is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Dot,
    Disc,
    Ring,
    Cross,
    /// A line with a disc, which stands for a front in the legend.
    Line,
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn draw_marks(
    chart: &mut Chart<'_, '_>,
    at: Vec<(f64, f64)>,
    symbol: Symbol,
    colour: RGBColor,
) -> Result<()> {
    let circles = |size, style: ShapeStyle| {
        let at = at.iter();
        at.map(move |at| Circle::new(*at, size, style))
    };
    match symbol {
        Symbol::Dot => chart.draw_series(circles(3, colour.filled())),
        Symbol::Disc | Symbol::Line => chart.draw_series(circles(4, colour.filled())),
        Symbol::Ring => chart.draw_series(circles(5, colour.stroke_width(2))),
        Symbol::Cross => {
            let crosses = at
                .iter()
                .map(|at| Cross::new(*at, 5, colour.stroke_width(2)));
            chart.draw_series(crosses)
        }
    }
    .map(|_| ())
    .map_err(drawing)
}

/// Draws an entry of the legend at a pixel of `area`.
pub(super) fn draw_legend(
    area: &Area<'_>,
    (x, y): (i32, i32),
    symbol: Symbol,
    colour: RGBColor,
    label: &str,
) -> Result<()> {
    if symbol == Symbol::Line {
        let line = PathElement::new([(x - 12, y), (x + 12, y)], colour.stroke_width(2));
        area.draw(&line).map_err(drawing)?;
    }
    match symbol {
        Symbol::Dot => area.draw(&Circle::new((x, y), 3, colour.filled())),
        Symbol::Disc | Symbol::Line => area.draw(&Circle::new((x, y), 4, colour.filled())),
        Symbol::Ring => area.draw(&Circle::new((x, y), 5, colour.stroke_width(2))),
        Symbol::Cross => area.draw(&Cross::new((x, y), 5, colour.stroke_width(2))),
    }
    .map_err(drawing)?;
    let style = ("sans-serif", 14).into_font().color(&BLACK);
    let style = style.pos(Pos::new(HPos::Left, VPos::Center));
    let text = Text::new(label.to_owned(), (x + 20, y), style);
    area.draw(&text).map_err(drawing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_have_si_suffixes() {
        let texts = [950.0, 1_000.0, 12_500.0, 3_000_000.0, 2.5e9].map(short);
        assert_eq!(texts, ["950", "1k", "12.5k", "3M", "2.5G"]);
    }
}
