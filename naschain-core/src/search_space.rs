//! The spaces that runs search.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    Error, GeneSpace, Genome, MacroSpace, MicroSpace, MobileSpace, Network, Shape, Stream,
};

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
    /// The mobile space.
    Mobile(MobileSpace),
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

impl From<MobileSpace> for SearchSpace {
    fn from(space: MobileSpace) -> SearchSpace {
        SearchSpace::Mobile(space)
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
    stages: Option<usize>,
    depth: Option<usize>,
    input: Shape,
    init_channels: usize,
    classes: usize,
}

impl<'de> Deserialize<'de> for SearchSpace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = SpaceFields::deserialize(deserializer)?;
        let (input, init_channels, classes) = (fields.input, fields.init_channels, fields.classes);
        let of_macro = (fields.phases, fields.nodes);
        let of_micro = (fields.blocks, fields.layers);
        let of_mobile = (fields.stages, fields.depth);
        const NO: (Option<usize>, Option<usize>) = (None, None);
        match (of_macro, of_micro, of_mobile) {
            ((Some(phases), Some(nodes)), NO, NO) => Ok(SearchSpace::Macro(MacroSpace {
                phases,
                nodes,
                input,
                init_channels,
                classes,
            })),
            (NO, (Some(blocks), Some(layers)), NO) => Ok(SearchSpace::Micro(MicroSpace {
                blocks,
                layers,
                input,
                init_channels,
                classes,
            })),
            (NO, NO, (Some(stages), Some(depth))) => Ok(SearchSpace::Mobile(MobileSpace {
                stages,
                depth,
                input,
                init_channels,
                classes,
            })),
            _ => Err(serde::de::Error::custom(
                "a space has either phases and nodes (macro), or blocks and layers (micro), or stages and depth (mobile)",
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
    /// Its name: `macro`, `micro` or `mobile`.
    pub fn name(&self) -> &'static str {
        match self {
            SearchSpace::Macro(_) => "macro",
            SearchSpace::Micro(_) => "micro",
            SearchSpace::Mobile(_) => "mobile",
        }
    }

    /// What the parts of a genome stand for: `phases`, `cells` or `stages`.
    pub fn parts(&self) -> &'static str {
        match self {
            SearchSpace::Macro(_) => "phases",
            SearchSpace::Micro(_) => "cells",
            SearchSpace::Mobile(_) => "stages",
        }
    }

    /// Shape of the input images.
    pub fn input(&self) -> Shape {
        match self {
            SearchSpace::Macro(space) => space.input,
            SearchSpace::Micro(space) => space.input,
            SearchSpace::Mobile(space) => space.input,
        }
    }

    /// Channels of the first phase, or of the blocks of the first cell, or the usual number of the first stage.
    pub fn init_channels(&self) -> usize {
        match self {
            SearchSpace::Macro(space) => space.init_channels,
            SearchSpace::Micro(space) => space.init_channels,
            SearchSpace::Mobile(space) => space.init_channels,
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        match self {
            SearchSpace::Macro(space) => space.classes,
            SearchSpace::Micro(space) => space.classes,
            SearchSpace::Mobile(space) => space.classes,
        }
    }

    /// The macro space, whose genes are bits, or another one with the meaning of its genes.
    fn kind(&self) -> Kind<'_> {
        match self {
            SearchSpace::Macro(space) => Kind::Bits(space),
            SearchSpace::Micro(space) => Kind::Genes(space),
            SearchSpace::Mobile(space) => Kind::Genes(space),
        }
    }

    /// The space of genes that bits encode; `None` in the macro space, whose genes are bits.
    pub fn gene_space(&self) -> Option<&dyn GeneSpace> {
        match self.kind() {
            Kind::Bits(_) => None,
            Kind::Genes(space) => Some(space),
        }
    }

    /// Number of bits of a genome.
    pub fn genome_len(&self) -> usize {
        match self.kind() {
            Kind::Bits(space) => space.genome_len(),
            Kind::Genes(space) => space.bit_len(),
        }
    }

    /// Number of bits of each part of a genome, a phase, a cell or a stage: the text of a genome has a `-`
    /// between them. The last part may be shorter.
    pub fn part_len(&self) -> usize {
        match self.kind() {
            Kind::Bits(space) => space.phase_len(),
            Kind::Genes(space) => space.part_len(),
        }
    }

    /// Checks the ranges of all fields.
    ///
    /// # Errors
    /// As [`MacroSpace::validate`] or [`GeneSpace::validate`].
    pub fn validate(&self) -> Result<(), Error> {
        match self.kind() {
            Kind::Bits(space) => space.validate(),
            Kind::Genes(space) => space.validate(),
        }
    }

    /// Checks the space, and that the genome has [`SearchSpace::genome_len`] bits.
    ///
    /// # Errors
    /// As [`SearchSpace::validate`]; [`Error::GenomeLength`] for another length.
    pub fn check(&self, genome: &Genome) -> Result<(), Error> {
        match self.kind() {
            Kind::Bits(space) => space.check(genome),
            Kind::Genes(space) => space.genes_of(genome).map(drop),
        }
    }

    /// The network that a genome stands for.
    ///
    /// # Errors
    /// As [`SearchSpace::check`].
    pub fn decode(&self, genome: &Genome) -> Result<Network, Error> {
        match self.kind() {
            Kind::Bits(space) => Ok(Network::Macro(space.decode(genome)?)),
            Kind::Genes(space) => space.network(&space.genes_of(genome)?),
        }
    }

    /// The genome that is equal for all genomes of the same network, as far as the space tells
    /// ([`MacroSpace::canonical`], [`GeneSpace::canonical`]).
    ///
    /// # Errors
    /// Those of these.
    pub fn canonical(&self, genome: &Genome) -> Result<Genome, Error> {
        match self.kind() {
            Kind::Bits(space) => space.canonical(genome),
            Kind::Genes(space) => {
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
        self.validate()?;
        match self.kind() {
            Kind::Bits(space) => Ok(Genome::zeros(space.genome_len())),
            Kind::Genes(space) => space.genome_of(&space.smallest_genes()),
        }
    }

    /// Networks that together have layers of every kind.
    ///
    /// # Errors
    /// As [`SearchSpace::validate`].
    pub fn networks_of_all_layers(&self) -> Result<Vec<Network>, Error> {
        self.validate()?;
        match self.kind() {
            Kind::Bits(_) => {
                let mut all = self.largest_networks()?;
                all.push(self.decode(&self.smallest_genome()?)?);
                Ok(all)
            }
            Kind::Genes(space) => networks(space, space.genes_of_all_layers()),
        }
    }

    /// Networks of which one is about the largest of the space, in parameters and in feature maps together:
    /// what the memory of a training is bounded by.
    ///
    /// # Errors
    /// As [`SearchSpace::validate`].
    pub fn largest_networks(&self) -> Result<Vec<Network>, Error> {
        self.validate()?;
        match self.kind() {
            Kind::Bits(space) => {
                let ones = std::iter::repeat_n(true, space.genome_len());
                Ok(vec![self.decode(&Genome::from_bits(ones))?])
            }
            Kind::Genes(space) => networks(space, space.largest_genes()),
        }
    }

    /// Returns a random genome.
    ///
    /// # Errors
    /// As [`SearchSpace::validate`].
    pub fn random_genome(&self, stream: &mut Stream) -> Result<Genome, Error> {
        match self.kind() {
            Kind::Bits(space) => space.random_genome(stream),
            Kind::Genes(space) => space.genome_of(&space.random_genes(stream)?),
        }
    }
}

/// What a genome's bits are.
enum Kind<'s> {
    Bits(&'s MacroSpace),
    Genes(&'s dyn GeneSpace),
}

fn networks(space: &dyn GeneSpace, genes: Vec<Vec<u8>>) -> Result<Vec<Network>, Error> {
    genes.iter().map(|genes| space.network(genes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn spaces() -> [SearchSpace; 3] {
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
        let stages = MobileSpace {
            stages: 2,
            depth: 3,
            input,
            init_channels,
            classes,
        };
        [phases.into(), cells.into(), stages.into()]
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
        let right = "a space has either phases and nodes (macro), or blocks and layers (micro), or";
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
