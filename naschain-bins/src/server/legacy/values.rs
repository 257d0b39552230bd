//! Converts measurements of the reference network, which are rounded floating-point numbers, from
//! and to exact ones.

use naschain_consensus::Row;
use naschain_core::{Accuracy, Costs, Digest, GeneSpace, Genome, Measurement, SearchSpace};
use serde_json::{Value, json};

/// Maximum number of values of an answer. The reference network's miners send seven: accuracy,
/// parameters, FLOPs, watts, GPU, its memory, version.
const MAX_VALUES: usize = 16;
const MILLION: f64 = 1e6;
/// Maximum difference from the exact FLOPs: MFLOPs are rounded to four decimals, that is to
/// hundreds of FLOPs, which changes them by up to 50. The rest is a margin for the conversion of
/// the floating-point number.
const FLOPS_TOLERANCE: f64 = 50.5;
/// Maximum difference from the exact parameters: they are only divided by a million, so this is a
/// margin for the conversion of the floating-point number.
const PARAMS_TOLERANCE: f64 = 0.5;

/// The row of an answer `[accuracy %, params in millions, MFLOPs, ...]` for this genome.
///
/// A count that equals the architecture's to the given decimals is replaced by that exact count, so
/// that it agrees with the counts of other miners. Any other count is kept, and agrees with that of
/// no honest miner.
pub(crate) fn row(values: &Value, space: &SearchSpace, genome: &Genome) -> Row {
    match measurement(values, space, genome) {
        Ok(measurement) => Row::Measured(measurement),
        Err(problem) => Row::Malformed(problem),
    }
}

fn measurement(
    values: &Value,
    space: &SearchSpace,
    genome: &Genome,
) -> Result<Measurement, String> {
    let values = values.as_array();
    let values = values.filter(|values| (3..=MAX_VALUES).contains(&values.len()));
    let values = values.ok_or_else(|| {
        format!("response_values must be a list of 3 to {MAX_VALUES} values, accuracy, params and MFLOPs first")
    })?;
    let number = |place: usize, name: &str, max: f64| {
        let number = values[place].as_f64();
        number
            .filter(|number| (0.0..=max).contains(number))
            .ok_or_else(|| format!("{name} must be a number from 0 to {max}"))
    };
    let percent = number(0, "accuracy", 100.0)?;
    let params = number(1, "params in millions", 1e9)? * MILLION;
    let flops = number(2, "MFLOPs", 1e12)? * MILLION;
    let costs: Costs = space
        .decode(genome)
        .and_then(|network| network.costs())
        .map_err(|error| error.to_string())?;
    let hundredths = (percent * 100.0).round_ties_even() as u32;
    Ok(Measurement {
        accuracy: Accuracy::from_hundredths(hundredths).map_err(|error| error.to_string())?,
        params: exact(params, costs.params, PARAMS_TOLERANCE),
        flops: exact(flops, costs.flops, FLOPS_TOLERANCE),
        // These miners compute no digest; tolerance and chained agreement do not compare it.
        digest: Digest([0; 32]),
    })
}

/// The exact count if `value` equals it within `tolerance`, else `value` as a whole number.
fn exact(value: f64, count: u64, tolerance: f64) -> u64 {
    if (value - count as f64).abs() <= tolerance {
        count
    } else {
        value.round_ties_even() as u64
    }
}

/// A measurement in the form that the reference network's validator reads. FLOPs are rounded as
/// integers, half to even, so that the result is exact.
pub(crate) fn response(measurement: &Measurement) -> Value {
    let four_decimals = |flops: u64| {
        let (quotient, rest) = (flops / 100, flops % 100);
        let up = rest > 50 || rest == 50 && quotient % 2 == 1;
        (quotient + u64::from(up)) as f64 / 1e4
    };
    json!([
        measurement.accuracy.percent(),
        measurement.params as f64 / MILLION,
        four_decimals(measurement.flops),
    ])
}

/// A genome as these miners read it: the bits of each phase, or for each cell and block two pairs of
/// operation and input.
pub(super) fn genome(space: &SearchSpace, genome: &Genome) -> Value {
    if let SearchSpace::Micro(space) = space
        && let Ok(genes) = space.genes_of(genome)
    {
        let block = |genes: &[u8]| json!([genes[..2], genes[2..]]);
        let cell = |genes: &[u8]| genes.chunks_exact(4).map(block).collect::<Vec<Value>>();
        return genes.chunks_exact(space.cell_len()).map(cell).collect();
    }
    let bits: Vec<u8> = genome.bits().map(u8::from).collect();
    json!(bits.chunks(space.part_len().max(1)).collect::<Vec<_>>())
}

/// The bits of a genome without separators.
pub(super) fn bits(genome: &Genome) -> String {
    let digit = |bit| if bit { '1' } else { '0' };
    genome.bits().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::{MacroSpace, MicroSpace};
    use proptest::prelude::*;

    fn space() -> SearchSpace {
        SearchSpace::Macro(MacroSpace {
            phases: 2,
            nodes: 4,
            input: "3x32x32".parse().unwrap(),
            init_channels: 36,
            classes: 10,
        })
    }

    #[test]
    fn cells_are_lists_of_operations_and_inputs() {
        let space = MicroSpace {
            blocks: 2,
            layers: 6,
            input: "3x32x32".parse().unwrap(),
            init_channels: 16,
            classes: 10,
        };
        let genes = [3, 0, 2, 1, 8, 2, 0, 0, 1, 1, 4, 0, 5, 2, 6, 1];
        let bits = space.genome_of(&genes).unwrap();
        let right = json!([
            [[[3, 0], [2, 1]], [[8, 2], [0, 0]]],
            [[[1, 1], [4, 0]], [[5, 2], [6, 1]]],
        ]);
        assert_eq!(super::genome(&space.into(), &bits), right);
    }

    fn genome() -> Genome {
        "1101010-1001001".parse().unwrap()
    }

    #[test]
    fn rounded_counts_become_exact() {
        let costs = space().decode(&genome()).unwrap().costs().unwrap();
        let mflops = (costs.flops as f64 / 1e6 * 1e4).round() / 1e4;
        let values = json!([
            93.456,
            costs.params as f64 / 1e6,
            mflops,
            210.5,
            "GPU",
            8e9,
            "0.0.1"
        ]);
        let Row::Measured(found) = row(&values, &space(), &genome()) else {
            panic!()
        };
        assert_eq!((found.params, found.flops), (costs.params, costs.flops));
        assert_eq!(found.accuracy.hundredths(), 9346);
        let back = response(&found);
        assert_eq!(back, json!([93.46, costs.params as f64 / 1e6, mflops]));
        // Other numbers are kept.
        let Row::Measured(lie) = row(&json!([99, 1.5, 2]), &space(), &genome()) else {
            panic!()
        };
        assert_eq!((lie.params, lie.flops), (1_500_000, 2_000_000));
    }

    #[test]
    fn answers_without_valid_numbers_are_malformed() {
        for wrong in [
            json!(null),
            json!({}),
            json!([]),
            json!([90.0, 1.0]),
            json!(["90", 1.0, 2.0]),
            json!([-0.1, 1.0, 2.0]),
            json!([100.1, 1.0, 2.0]),
            json!([90.0, -1.0, 2.0]),
            json!([90.0, 1.0, 1e300]),
            json!(vec![1.0; 17]),
        ] {
            let found = row(&wrong, &space(), &genome());
            assert!(matches!(found, Row::Malformed(_)), "{wrong}: {found:?}");
        }
        let other = "010".parse().unwrap();
        let found = row(&json!([1, 1, 1]), &space(), &other);
        assert!(matches!(found, Row::Malformed(_)));
    }

    proptest! {
        #[test]
        fn no_number_causes_a_panic(a: f64, b: f64, c: f64) {
            let _ = row(&json!([a, b, c]), &space(), &genome());
        }

        #[test]
        fn a_response_is_read_back_exactly(hundredths in 0u32..=10_000, bits in proptest::collection::vec(any::<bool>(), 14)) {
            let genome: Genome = bits.iter().map(|bit| if *bit { '1' } else { '0' }).collect::<String>().parse().unwrap();
            let costs = space().decode(&genome).unwrap().costs().unwrap();
            let measurement = Measurement {
                accuracy: Accuracy::from_hundredths(hundredths).unwrap(),
                params: costs.params,
                flops: costs.flops,
                digest: Digest([0; 32]),
            };
            prop_assert_eq!(row(&response(&measurement), &space(), &genome), Row::Measured(measurement));
        }
    }
}
