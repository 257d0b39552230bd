//! One panel of a picture: accuracy against one cost.

use std::ops::Range;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::artifacts::plot::labels::{PixelBox, place_labels};
use crate::artifacts::plot::series::{Mark, Point, Series, drawing, split, steps};
use crate::artifacts::plot::ticks::TickFormat;

/// The most ticks of the axes.
const TICKS: [usize; 2] = [6, 8];
/// Size of the texts beside points, and the room that they take.
const NOTE: i32 = 13;
const NOTE_HEIGHT: i32 = 14;
const NOTE_WIDTH_OF_CHARACTER: i32 = 6;
/// Half the room of a mark, and half that of a line.
const MARK: i32 = 6;
const LINE: i32 = 2;

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
    /// Texts beside points.
    pub(super) notes: &'a [(Point, String)],
}

impl Panel<'_> {
    pub(super) fn draw(&self, area: &Area<'_>) -> Result<()> {
        let points = self.series.iter().flat_map(|series| &series.points);
        let largest = points.map(|p| p.costs[self.cost]).fold(1.0, f64::max);
        let costs = 0.0..largest * 1.06;
        let cost_ticks = TickFormat::of_costs(costs.clone(), TICKS[0]);
        let accuracy_ticks = TickFormat::of_percentages(self.accuracies.clone(), TICKS[1]);
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(48)
            .y_label_area_size(60)
            .build_cartesian_2d(costs, self.accuracies.clone())
            .map_err(drawing)?;
        chart
            .configure_mesh()
            .x_desc(self.cost_name)
            .y_desc(self.accuracy_name)
            .x_labels(TICKS[0])
            .y_labels(TICKS[1])
            .x_label_formatter(&|x| cost_ticks.text(*x))
            .y_label_formatter(&|y| accuracy_ticks.text(*y))
            .max_light_lines(0)
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 15))
            .draw()
            .map_err(drawing)?;
        let mut taken = Vec::new();
        for series in self.series {
            taken.extend(self.draw_series(&mut chart, series)?);
        }
        self.draw_notes(&mut chart, taken)
    }

    /// Draws marks and lines, and returns the room that they take.
    fn draw_series(&self, chart: &mut Chart<'_, '_>, series: &Series) -> Result<Vec<PixelBox>> {
        let (colour, shown) = (series.colour, self.shown(&series.points));
        let at = |points: &[Point]| -> Vec<(f64, f64)> {
            let at = points.iter().map(|p| (p.costs[self.cost], p.accuracy));
            at.collect()
        };
        let marks = at(&shown).into_iter();
        let mut taken: Vec<PixelBox> = marks
            .map(|mark| PixelBox::around(chart.backend_coord(&mark), MARK))
            .collect();
        match series.mark {
            Mark::Dot => draw_marks(chart, at(&shown), Symbol::Dot, colour)?,
            Mark::Cross => draw_marks(chart, at(&shown), Symbol::Cross, colour)?,
            Mark::Front => {
                let (on, off) = split(&shown, self.cost);
                draw_marks(chart, at(&on), Symbol::Disc, colour)?;
                draw_marks(chart, at(&off), Symbol::Ring, colour)?;
                let line = steps(&on, self.cost);
                let corners: Vec<(i32, i32)> =
                    line.iter().map(|at| chart.backend_coord(at)).collect();
                let parts = corners.iter().zip(corners.iter().skip(1));
                taken.extend(parts.map(|(a, b)| PixelBox::of_line(*a, *b, LINE)));
                let line = LineSeries::new(line, colour.stroke_width(2));
                chart.draw_series(line).map_err(drawing)?;
            }
        }
        Ok(taken)
    }

    /// Writes the texts beside their points, where nothing else is.
    fn draw_notes(&self, chart: &mut Chart<'_, '_>, taken: Vec<PixelBox>) -> Result<()> {
        let (across, down) = chart.plotting_area().get_pixel_range();
        let area = PixelBox::of_line((across.start, down.start), (across.end, down.end), -2);
        let at = |point: &Point| (point.costs[self.cost], point.accuracy);
        let labels: Vec<_> = self
            .notes
            .iter()
            .map(|(point, text)| {
                let width = NOTE_WIDTH_OF_CHARACTER * text.chars().count() as i32;
                (chart.backend_coord(&at(point)), (width, NOTE_HEIGHT))
            })
            .collect();
        let places = place_labels(&labels, taken, area);
        let style = ("sans-serif", NOTE).into_font().color(&BLACK);
        let style = style.pos(Pos::new(HPos::Center, VPos::Center));
        for (((point, text), (pixel, _)), place) in self.notes.iter().zip(labels).zip(places) {
            let Some(place) = place else { continue };
            let middle = (
                (place.left + place.right) / 2 - pixel.0,
                (place.top + place.bottom) / 2 - pixel.1,
            );
            let note = EmptyElement::at(at(point)) + Text::new(text.clone(), middle, style.clone());
            chart.draw_series([note]).map_err(drawing)?;
            if place.is_far_from(pixel) {
                let end = place.nearest(pixel);
                let end = (end.0 - pixel.0, end.1 - pixel.1);
                let leader = PathElement::new([(0, 0), end], BLACK.stroke_width(1));
                let leader = EmptyElement::at(at(point)) + leader;
                chart.draw_series([leader]).map_err(drawing)?;
            }
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
