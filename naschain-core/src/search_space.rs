//! The spaces that runs search.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Error, Genome, MacroSpace, MicroSpace, Network, Shape, Stream};

/// A space that a run can search: each of its genomes, which are bits, stands for a network.
///
/// In JSON it is the struct of the space; which one is known from its fields.
///
/// ```
/// use naschain_core::SearchSpace;
/// let json = r#"{"blocks": 2, "layers": 3, "input": "3x32x32", "init_channels": 8, "classes": 10}"#;
/// let space: SearchSpace = serde_json::from_str(json).unwrap();
/// let genome = "0".repeat(space.genome_len()).parse()?;
/// println!("{} parameters", space.decode(&genome)?.costs()?.params);
/// # Ok::<(), naschain_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum SearchSpace {
    /// NSGA-Net's macro space.
    Macro(MacroSpace),
    /// NSGA-Net's micro space.
    Micro(MicroSpace),
}

impl From<MacroSpace> for SearchSpace {
    fn from(space: MacroSpace) -> SearchSpace {
        SearchSpace::Macro(space)
    }
}

impl From<&MacroSpace> for SearchSpace {
    fn from(space: &MacroSpace) -> SearchSpace {
        SearchSpace::Macro(space.clone())
    }
}

impl From<&SearchSpace> for SearchSpace {
    fn from(space: &SearchSpace) -> SearchSpace {
        space.clone()
    }
}

impl From<MicroSpace> for SearchSpace {
    fn from(space: MicroSpace) -> SearchSpace {
        SearchSpace::Micro(space)
    }
}

/// The fields of all spaces.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpaceFields {
    phases: Option<usize>,
    nodes: Option<usize>,
    blocks: Option<usize>,
    layers: Option<usize>,
    input: Shape,
    init_channels: usize,
    classes: usize,
}

impl<'de> Deserialize<'de> for SearchSpace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = SpaceFields::deserialize(deserializer)?;
        let (input, init_channels, classes) = (fields.input, fields.init_channels, fields.classes);
        match (fields.phases, fields.nodes, fields.blocks, fields.layers) {
            (Some(phases), Some(nodes), None, None) => Ok(SearchSpace::Macro(MacroSpace {
                phases,
                nodes,
                input,
                init_channels,
                classes,
            })),
            (None, None, Some(blocks), Some(layers)) => Ok(SearchSpace::Micro(MicroSpace {
                blocks,
                layers,
                input,
                init_channels,
                classes,
            })),
            _ => Err(serde::de::Error::custom(
                "a space has either phases and nodes (macro) or blocks and layers (micro)",
            )),
        }
    }
}

impl fmt::Display for SearchSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl SearchSpace {
    /// Its name: `macro` or `micro`.
    pub fn name(&self) -> &'static str {
        match self {
            SearchSpace::Macro(_) => "macro",
            SearchSpace::Micro(_) => "micro",
        }
    }

    /// What the parts of a genome stand for: `phases` or `cells`.
    pub fn parts(&self) -> &'static str {
        match self {
            SearchSpace::Macro(_) => "phases",
            SearchSpace::Micro(_) => "cells",
        }
    }

    /// Shape of the input images.
    pub fn input(&self) -> Shape {
        match self {
            SearchSpace::Macro(space) => space.input,
            SearchSpace::Micro(space) => space.input,
        }
    }

    /// Channels of the first phase, or of the blocks of the first cell.
    pub fn init_channels(&self) -> usize {
        match self {
            SearchSpace::Macro(space) => space.init_channels,
            SearchSpace::Micro(space) => space.init_channels,
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        match self {
            SearchSpace::Macro(space) => space.classes,
            SearchSpace::Micro(space) => space.classes,
        }
    }

    /// Number of bits of a genome.
    pub fn genome_len(&self) -> usize {
        match self {
            SearchSpace::Macro(space) => space.genome_len(),
            SearchSpace::Micro(space) => space.bit_len(),
        }
    }

    /// Number of bits of each part of a genome, a phase or a cell: the text of a genome has a `-` between
    /// them.
    pub fn part_len(&self) -> usize {
        match self {
            SearchSpace::Macro(space) => space.phase_len(),
            SearchSpace::Micro(space) => space.bit_len() / 2,
        }
    }

    /// Checks the ranges of all fields.
    ///
    /// # Errors
    /// As [`MacroSpace::validate`] or [`MicroSpace::validate`].
    pub fn validate(&self) -> Result<(), Error> {
        match self {
            SearchSpace::Macro(space) => space.validate(),
            SearchSpace::Micro(space) => space.validate(),
        }
    }

    /// Checks the space, and that the genome has [`SearchSpace::genome_len`] bits.
    ///
    /// # Errors
    /// As [`SearchSpace::validate`]; [`Error::GenomeLength`] for another length.
    pub fn check(&self, genome: &Genome) -> Result<(), Error> {
        match self {
            SearchSpace::Macro(space) => space.check(genome),
            SearchSpace::Micro(space) => space.genes_of(genome).map(drop),
        }
    }

    /// The network that a genome stands for.
    ///
    /// # Errors
    /// As [`SearchSpace::check`].
    pub fn decode(&self, genome: &Genome) -> Result<Network, Error> {
        match self {
            SearchSpace::Macro(space) => Ok(Network::Macro(space.decode(genome)?)),
            SearchSpace::Micro(space) => {
                let genes = space.genes_of(genome)?;
                Ok(Network::Micro(space.decode(&genes)?))
            }
        }
    }

    /// The genome that is equal for all genomes of the same network, as far as the space tells
    /// ([`MacroSpace::canonical`], [`MicroSpace::canonical`]).
    ///
    /// # Errors
    /// Those of these.
    pub fn canonical(&self, genome: &Genome) -> Result<Genome, Error> {
        match self {
            SearchSpace::Macro(space) => space.canonical(genome),
            SearchSpace::Micro(space) => {
                let genes = space.genes_of(genome)?;
                space.genome_of(&space.canonical(&genes)?)
            }
        }
    }

    /// The genome of the smallest network: a space whose limits allow it has networks to search.
    ///
    /// # Errors
    /// As [`SearchSpace::validate`].
    pub fn smallest_genome(&self) -> Result<Genome, Error> {
        match self {
            SearchSpace::Macro(space) => {
                space.validate()?;
                Ok(Genome::zeros(space.genome_len()))
            }
            SearchSpace::Micro(space) => space.genome_of(&space.smallest_genes()),
        }
    }

    /// Networks that together have layers of every kind.
    ///
    /// # Errors
    /// As [`SearchSpace::validate`].
    pub fn networks_of_all_layers(&self) -> Result<Vec<Network>, Error> {
        match self {
            SearchSpace::Macro(_) => {
                let mut all = self.largest_networks()?;
                all.push(self.decode(&self.smallest_genome()?)?);
                Ok(all)
            }
            SearchSpace::Micro(space) => {
                space.validate()?;
                let all = space.genes_of_all_operations().into_iter();
                let all = all.map(|genes| Ok(Network::Micro(space.decode(&genes)?)));
                all.collect()
            }
        }
    }

    /// Networks of which one is about the largest of the space, in parameters and in feature maps together:
    /// what the memory of a training is bounded by.
    ///
    /// # Errors
    /// As [`SearchSpace::validate`].
    pub fn largest_networks(&self) -> Result<Vec<Network>, Error> {
        match self {
            SearchSpace::Macro(space) => {
                let ones = std::iter::repeat_n(true, space.genome_len());
                Ok(vec![Network::Macro(
                    space.decode(&Genome::from_bits(ones))?,
                )])
            }
            SearchSpace::Micro(space) => {
                let all = space.largest_genes().into_iter();
                let networks = all.map(|genes| Ok(Network::Micro(space.decode(&genes)?)));
                networks.collect()
            }
        }
    }

    /// Returns a random genome.
    ///
    /// # Errors
    /// As [`SearchSpace::validate`].
    pub fn random_genome(&self, stream: &mut Stream) -> Result<Genome, Error> {
        match self {
            SearchSpace::Macro(space) => space.random_genome(stream),
            SearchSpace::Micro(space) => space.genome_of(&space.random_genes(stream)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn spaces() -> [SearchSpace; 2] {
        let input = "3x32x32".parse().unwrap();
        let (init_channels, classes) = (8, 10);
        let cells = MicroSpace {
            blocks: 2,
            layers: 3,
            input,
            init_channels,
            classes,
        };
        let phases = MacroSpace {
            phases: 2,
            nodes: 3,
            input,
            init_channels,
            classes,
        };
        [phases.into(), cells.into()]
    }

    #[test]
    fn a_space_is_known_from_its_fields() {
        for space in spaces() {
            let json = serde_json::to_string(&space).unwrap();
            let read: SearchSpace = serde_json::from_str(&json).unwrap();
            assert_eq!(read, space);
        }
        let both = r#"{"phases":2,"nodes":2,"blocks":2,"layers":3,"input":"3x8x8","init_channels":8,"classes":2}"#;
        let error = serde_json::from_str::<SearchSpace>(both).unwrap_err();
        let right = "a space has either phases and nodes (macro) or blocks and layers (micro)";
        assert!(error.to_string().starts_with(right), "{error}");
    }

    #[test]
    fn canonical_genomes_have_the_same_network() {
        for space in spaces() {
            for index in 0..50 {
                let mut stream = Stream::new(1, Purpose::User, 0, index);
                let genome = Genome::random(space.genome_len(), &mut stream);
                let canonical = space.canonical(&genome).unwrap();
                assert_eq!(space.canonical(&canonical).unwrap(), canonical);
                let costs = |genome: &Genome| space.decode(genome).unwrap().costs().unwrap();
                assert_eq!(costs(&genome), costs(&canonical), "{space}");
                space
                    .check(&space.random_genome(&mut stream).unwrap())
                    .unwrap();
            }
        }
    }
}
