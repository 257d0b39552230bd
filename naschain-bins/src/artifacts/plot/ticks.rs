//! The texts at the ticks of an axis.

use std::ops::Range;

use plotters::coord::ranged1d::{BoldPoints, Ranged};
use plotters::coord::types::RangedCoordf64;

/// More decimals than this are never shown.
const MAX_DECIMALS: usize = 4;

/// How the ticks of an axis are written: all with the same unit and number of decimals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TickFormat {
    unit: f64,
    suffix: &'static str,
    decimals: usize,
}

impl TickFormat {
    /// For an axis of costs with at most `count` ticks: 12,000 becomes 12k.
    pub(super) fn of_costs(range: Range<f64>, count: usize) -> TickFormat {
        let (unit, suffix) = match range.end {
            end if end >= 1e9 => (1e9, "G"),
            end if end >= 1e6 => (1e6, "M"),
            end if end >= 1e3 => (1e3, "k"),
            _ => (1.0, ""),
        };
        TickFormat::new(range, count, unit, suffix)
    }

    /// For an axis of percentages with at most `count` ticks.
    pub(super) fn of_percentages(range: Range<f64>, count: usize) -> TickFormat {
        TickFormat::new(range, count, 1.0, "")
    }

    fn new(range: Range<f64>, count: usize, unit: f64, suffix: &'static str) -> TickFormat {
        let ticks = RangedCoordf64::from(range).key_points(BoldPoints(count));
        let is_enough = |decimals: &usize| {
            ticks.iter().all(|tick| {
                let scaled = tick / unit * 10_f64.powi(*decimals as i32);
                (scaled - scaled.round()).abs() < 1e-3
            })
        };
        let decimals = (0..MAX_DECIMALS).find(is_enough);
        TickFormat {
            unit,
            suffix,
            decimals: decimals.unwrap_or(MAX_DECIMALS),
        }
    }

    /// The text at a tick.
    pub(super) fn text(&self, tick: f64) -> String {
        if tick == 0.0 {
            return "0".to_owned();
        }
        format!("{:.*}{}", self.decimals, tick / self.unit, self.suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_an_axis_have_one_unit_and_as_many_decimals() {
        let texts = |range: Range<f64>, ticks: &[f64]| {
            let format = TickFormat::of_costs(range, 6);
            let texts: Vec<String> = ticks.iter().map(|tick| format.text(*tick)).collect();
            texts.join(" ")
        };
        // The first axis has a tick every 500 thousand, the second every ten.
        assert_eq!(
            texts(0.0..2.2e6, &[0.0, 5e5, 1e6, 1.5e6]),
            "0 0.5M 1.0M 1.5M"
        );
        assert_eq!(texts(0.0..58_000.0, &[0.0, 1e4, 5e4]), "0 10k 50k");
        assert_eq!(texts(0.0..950.0, &[200.0]), "200");
        assert_eq!(texts(0.0..2.5e9, &[2e9]), "2.0G");
        let narrow = TickFormat::of_percentages(97.51..97.58, 8);
        assert_eq!(narrow.text(97.52), "97.52");
        assert_eq!(TickFormat::of_percentages(20.0..52.0, 8).text(25.0), "25");
    }
}
