//! The macro space of naschain-core as a search space.

use naschain_core::{Genome, MacroSpace};
use naschain_nsga::{Ask, Objective, Outcome, Search, SearchConfig, Space};

fn space() -> MacroSpace {
    MacroSpace {
        phases: 2,
        nodes: 3,
        input: "1x8x8".parse().unwrap(),
        init_channels: 8,
        classes: 10,
    }
}

fn search() -> Search<MacroSpace> {
    let objectives = vec![
        Objective::maximize("accuracy"),
        Objective::minimize("params"),
        Objective::minimize("flops"),
    ];
    let mut config = SearchConfig::new(space().genome_len(), objectives);
    config.generations = 3;
    Search::in_space(config, space()).unwrap()
}

#[test]
fn each_network_is_asked_once_with_its_canonical_form() {
    let mut search = search();
    let mut asked = Vec::new();
    while let Ask::Candidate(candidate) = search.ask() {
        let canonical = space().canonical(&candidate.genome).unwrap();
        assert_eq!(search.canonical(candidate.id), Some(&canonical));
        let costs = space().decode(&canonical).unwrap().costs().unwrap();
        let [params, flops] = [costs.params as f64, costs.flops as f64];
        let known = search.space().known_objectives(&candidate.genome);
        assert_eq!(known, [None, Some(params), Some(flops)]);
        let outcome = Outcome::objectives([params.sqrt(), params, flops]);
        search.tell(candidate.id, outcome).unwrap();
        asked.push(canonical);
    }
    let count = asked.len();
    asked.sort();
    asked.dedup();
    // Of the 256 genomes; a phase of three nodes has few distinct networks.
    assert_eq!(asked.len(), count);
    assert!(count > 20, "{count}");
}

#[test]
fn a_genome_of_another_length_is_its_own_form_without_known_costs() {
    let genome = Genome::zeros(5);
    assert_eq!(Space::canonical(&space(), &genome), genome);
    assert!(space().known_objectives(&genome).is_empty());
}
