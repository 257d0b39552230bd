//! Spaces whose genomes are genes, and their genes as bits.

use std::fmt;

use crate::{Error, Genome, Network, Shape, Stream};

/// A space whose genomes are **genes**: whole numbers, each with a few values of its own.
///
/// In runs genomes are bits: each gene is a binary number of as many bits as its largest value needs, highest
/// bit first.
///
/// ```
/// use naschain_core::{GeneSpace, MicroSpace};
/// let space = MicroSpace {
///     blocks: 1,
///     layers: 1,
///     input: "1x8x8".parse()?,
///     init_channels: 4,
///     classes: 10,
/// };
/// let genes = [3, 0, 2, 1, 8, 1, 0, 0];
/// let bits = space.genome_of(&genes)?;
/// assert_eq!(bits.grouped(space.part_len()), "0011000101-1000100000");
/// assert_eq!(space.genes_of(&bits)?, genes);
/// # Ok::<(), naschain_core::Error>(())
/// ```
pub trait GeneSpace: fmt::Debug {
    /// Checks the ranges of all fields.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] names the first field out of its range.
    fn validate(&self) -> Result<(), Error>;

    /// What its genomes are, such as `2 cells of 5 blocks`.
    fn description(&self) -> String;

    /// How many values each gene has, at most 256: it is a whole number from 0 to one less.
    fn choices(&self) -> Vec<usize>;

    /// What each gene stands for, such as `normal cell, block 1, side 2, operation`.
    fn gene_names(&self) -> Vec<String>;

    /// Number of bits of each part of a genome, such as a cell; the last part may be shorter.
    fn part_len(&self) -> usize;

    /// The network that genes encode.
    ///
    /// # Errors
    /// As [`GeneSpace::check`].
    fn network(&self, genes: &[u8]) -> Result<Network, Error>;

    /// The genes in a form that is equal for all genomes of the same network, as far as the space tells.
    ///
    /// # Errors
    /// As [`GeneSpace::check`].
    fn canonical(&self, genes: &[u8]) -> Result<Vec<u8>, Error>;

    /// Genes of the smallest network.
    fn smallest_genes(&self) -> Vec<u8>;

    /// Genes of networks of which one is about the largest, in parameters and in feature maps together.
    fn largest_genes(&self) -> Vec<Vec<u8>>;

    /// Genes of networks that together have layers of every kind.
    fn genes_of_all_layers(&self) -> Vec<Vec<u8>>;

    /// Number of bits of a genome.
    fn bit_len(&self) -> usize {
        self.choices().into_iter().map(width).sum()
    }

    /// Checks the space, and that the genes are one of its genomes.
    ///
    /// # Errors
    /// As [`GeneSpace::validate`]; [`Error::GeneCount`] for another number of genes, and [`Error::Gene`]
    /// for the first gene that is not one of its [choices](GeneSpace::choices).
    fn check(&self, genes: &[u8]) -> Result<(), Error> {
        self.validate()?;
        let choices = self.choices();
        if genes.len() != choices.len() {
            return Err(Error::GeneCount {
                found: genes.len(),
                expected: choices.len(),
            });
        }
        let mut choices = genes.iter().zip(choices).enumerate();
        match choices.find(|(_, (gene, choices))| usize::from(**gene) >= *choices) {
            None => Ok(()),
            Some((position, (gene, choices))) => Err(Error::Gene {
                position,
                found: *gene,
                choices,
            }),
        }
    }

    /// The genes that bits stand for. A number that is not one of a gene's values stands for the rest of
    /// its division by their number, so that every bitstring of this length is a genome.
    ///
    /// # Errors
    /// As [`GeneSpace::validate`]; [`Error::GenomeLength`] for another number of bits.
    fn genes_of(&self, genome: &Genome) -> Result<Vec<u8>, Error> {
        self.validate()?;
        if genome.len() != self.bit_len() {
            return Err(Error::GenomeLength {
                found: genome.len(),
                expected: self.bit_len(),
                space: self.description(),
            });
        }
        let mut bits = genome.bits();
        let genes = self.choices().into_iter().map(|choices| {
            let number = bits.by_ref().take(width(choices));
            let number = number.fold(0, |number, bit| 2 * number + usize::from(bit));
            // At most 256 choices.
            (number % choices) as u8
        });
        Ok(genes.collect())
    }

    /// The bits of genes.
    ///
    /// # Errors
    /// As [`GeneSpace::check`].
    fn genome_of(&self, genes: &[u8]) -> Result<Genome, Error> {
        self.check(genes)?;
        let genes = genes.iter().zip(self.choices());
        let bits = genes.flat_map(|(gene, choices)| {
            (0..width(choices))
                .rev()
                .map(move |bit| gene >> bit & 1 == 1)
        });
        Ok(Genome::from_bits(bits))
    }

    /// What each bit stands for, such as `normal cell, block 1, side 2, operation, bit 1`.
    fn bit_names(&self) -> Vec<String> {
        let of_gene = |(name, choices): (String, usize)| {
            (1..=width(choices)).map(move |bit| format!("{name}, bit {bit}"))
        };
        let genes = self.gene_names().into_iter().zip(self.choices());
        genes.flat_map(of_gene).collect()
    }

    /// Returns random genes of this space, each uniformly distributed.
    ///
    /// # Errors
    /// As [`GeneSpace::validate`].
    fn random_genes(&self, stream: &mut Stream) -> Result<Vec<u8>, Error> {
        self.validate()?;
        // At most 256 choices.
        let gene = |choices: usize| stream.below(choices as u64) as u8;
        Ok(self.choices().into_iter().map(gene).collect())
    }
}

/// Checks that a space of this size can divide height and width of the images by `factor`.
pub(crate) fn check_sides(
    input: Shape,
    factor: usize,
    size: impl fmt::Display,
) -> Result<(), Error> {
    let sides = [("input height", input.height), ("input width", input.width)];
    match sides.into_iter().find(|(_, side)| side % factor != 0) {
        None => Ok(()),
        Some((name, found)) => {
            let expected = format_args!("a multiple of {factor} with {size}");
            Err(Error::out_of_range(name, found, expected))
        }
    }
}

/// Number of bits of the largest value of a gene with this number of values.
fn width(choices: usize) -> usize {
    (usize::BITS - choices.saturating_sub(1).leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MicroSpace, MobileSpace, Purpose};

    #[test]
    fn all_bits_are_genes_and_all_genes_have_bits() {
        let input = "3x32x32".parse().unwrap();
        let (init_channels, classes) = (16, 10);
        let cells = MicroSpace {
            blocks: 5,
            layers: 8,
            input,
            init_channels,
            classes,
        };
        let stages = MobileSpace {
            stages: 3,
            depth: 3,
            input,
            init_channels,
            classes,
        };
        // Per cell ten operations of four bits, and inputs of 1, 2, 2, 3 and 3 bits, each twice. Per
        // stage 2 bits of depth and of width, 1 of squeeze-and-excitation, and 4 for each block.
        let spaces: [(&dyn GeneSpace, usize); 2] =
            [(&cells, 2 * (40 + 22)), (&stages, 3 * (5 + 12) + 2)];
        for (space, len) in spaces {
            assert_eq!(space.bit_len(), len, "{space:?}");
            assert_eq!(space.bit_names().len(), len);
            for index in 0..200 {
                let mut stream = Stream::new(1, Purpose::User, 0, index);
                let genome = Genome::random(space.bit_len(), &mut stream);
                let genes = space.genes_of(&genome).unwrap();
                space.check(&genes).unwrap();
                let genes = space.random_genes(&mut stream).unwrap();
                let bits = space.genome_of(&genes).unwrap();
                assert_eq!(space.genes_of(&bits).unwrap(), genes);
            }
        }
        let names = cells.bit_names();
        assert_eq!(names[4], "normal cell, block 1, side 1, input, bit 1");
        assert_eq!(
            names[62],
            "reduction cell, block 1, side 1, operation, bit 1"
        );
        let error = cells.genes_of(&Genome::zeros(3)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "genome has 3 bits; 2 cells of 5 blocks needs 124"
        );
    }
}
