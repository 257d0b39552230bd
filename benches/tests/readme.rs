//! The programs of the project's README for naschain-core, naschain-nsga and naschain-consensus:
//! they are here to the letter, and run. Those for naschain-train are in its own tests, which have
//! burn.

use std::error::Error;

#[test]
#[rustfmt::skip]
fn the_costs_of_a_genome() -> Result<(), Box<dyn Error>> {
    use naschain_core::{Genome, MacroSpace};

    let space = MacroSpace { phases: 3, nodes: 4, input: "1x28x28".parse()?, init_channels: 16, classes: 10 };
    let genome: Genome = "1101010-1001001-0100110".parse()?;
    let costs = space.decode(&genome)?.costs()?;
    assert_eq!((costs.params, costs.flops), (201_018, 18_255_712));
    Ok(())
}

#[test]
#[rustfmt::skip]
fn optimising_a_function() -> Result<(), Box<dyn Error>> {
    use naschain_nsga::{Mode, Objective, Outcome, Search, SearchConfig};

    let objectives = vec![Objective::maximize("ones"), Objective::minimize("changes")];
    let mut config = SearchConfig::new(24, objectives);
    config.mode = Mode::Nsga2; // The default mode is for evaluations as expensive as a training.
    config.generations = 100;
    let mut search = Search::new(config)?;
    search.run(2, |candidate| {
        let bits: Vec<bool> = candidate.genome.bits().collect();
        let ones = bits.iter().filter(|bit| **bit).count();
        let changes = bits.windows(2).filter(|pair| pair[0] != pair[1]).count();
        Outcome::objectives([ones as f64, changes as f64])
    })?;
    assert_eq!(search.front()[0].objectives(), Some(&[24.0, 0.0][..]));
    Ok(())
}

#[test]
#[rustfmt::skip]
fn judging_answers() {
    use naschain_consensus::{Agreement, Row, judge};
    use naschain_core::{Accuracy, Digest, Measurement};

    let row = |hundredths| Row::Measured(Measurement {
        accuracy: Accuracy::from_hundredths(hundredths).unwrap(),
        params: 583_102,
        flops: 224_629_920,
        digest: Digest([0; 32]),
    });
    let verdict = judge(&[row(9000), row(9080), row(8000)], &Agreement::default());
    assert_eq!(verdict.agreed, [true, true, false]);
}

/// Without indentation, since the programs are in functions here.
fn lines(text: &str) -> Vec<&str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn the_programs_of_the_readme_are_tested() {
    let readme = include_str!("../../README.md");
    let tested = [
        lines(include_str!("readme.rs")),
        lines(include_str!(
            "../../naschain-train/tests/integration/readme.rs"
        )),
    ]
    .concat();
    let mut found = 0;
    for block in readme.split("```rust").skip(1) {
        let program = lines(block.split("```").next().unwrap_or_default());
        let is_tested = tested
            .windows(program.len())
            .any(|window| window == program);
        assert!(is_tested, "not tested:\n{}", program.join("\n"));
        found += 1;
    }
    assert_eq!(found, 5);
}
