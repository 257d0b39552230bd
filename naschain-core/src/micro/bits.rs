//! The genes of the micro space as bits.

use super::MAX_BLOCKS;
use crate::{Error, Genome, MicroOperation, MicroSpace};

impl MicroSpace {
    /// Number of bits of a genome: each gene is a binary number of as many bits as its largest value
    /// needs, highest bit first. Blocks above the largest number of a valid space are not counted.
    pub fn bit_len(&self) -> usize {
        let sides = |block: usize| 2 * (width(MicroOperation::ALL.len()) + width(block + 2));
        2 * (0..self.blocks.min(MAX_BLOCKS)).map(sides).sum::<usize>()
    }

    /// The genes that bits stand for. A number that is not one of a gene's values stands for the rest of
    /// its division by their number, so that every bitstring of this length is a genome.
    ///
    /// # Errors
    /// As [`MicroSpace::validate`]; [`Error::GenomeLength`] for another number of bits.
    ///
    /// ```
    /// use naschain_core::MicroSpace;
    /// let space = MicroSpace {
    ///     blocks: 1,
    ///     layers: 1,
    ///     input: "1x8x8".parse()?,
    ///     init_channels: 4,
    ///     classes: 10,
    /// };
    /// let genes = [3, 0, 2, 1, 8, 1, 0, 0];
    /// let bits = space.genome_of(&genes)?;
    /// assert_eq!(bits.grouped(10), "0011000101-1000100000");
    /// assert_eq!(space.genes_of(&bits)?, genes);
    /// # Ok::<(), naschain_core::Error>(())
    /// ```
    pub fn genes_of(&self, genome: &Genome) -> Result<Vec<u8>, Error> {
        self.validate()?;
        if genome.len() != self.bit_len() {
            return Err(Error::GenomeLength {
                found: genome.len(),
                expected: self.bit_len(),
                space: format!("2 cells of {} blocks", self.blocks),
            });
        }
        let mut bits = genome.bits();
        let genes = self.choices().into_iter().map(|choices| {
            let number = bits.by_ref().take(width(choices));
            let number = number.fold(0, |number, bit| 2 * number + usize::from(bit));
            // At most 17 choices.
            (number % choices) as u8
        });
        Ok(genes.collect())
    }

    /// What each bit stands for, such as `normal cell, block 1, side 2, operation, bit 1`.
    pub fn bit_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (gene, choices) in self.choices().into_iter().enumerate() {
            let cell = ["normal", "reduction"][gene / self.cell_len().max(1)];
            let (block, side) = (gene % self.cell_len() / 4 + 1, gene % 4 / 2 + 1);
            let what = ["operation", "input"][gene % 2];
            let of_bit = |bit: usize| {
                format!(
                    "{cell} cell, block {block}, side {side}, {what}, bit {}",
                    bit + 1
                )
            };
            names.extend((0..width(choices)).map(of_bit));
        }
        names
    }

    /// The bits of genes.
    ///
    /// # Errors
    /// As [`MicroSpace::check`].
    pub fn genome_of(&self, genes: &[u8]) -> Result<Genome, Error> {
        self.check(genes)?;
        let genes = genes.iter().zip(self.choices());
        let bits = genes.flat_map(|(gene, choices)| {
            (0..width(choices))
                .rev()
                .map(move |bit| gene >> bit & 1 == 1)
        });
        Ok(Genome::from_bits(bits))
    }
}

/// Number of bits of the largest value of a gene with this number of values.
fn width(choices: usize) -> usize {
    (usize::BITS - choices.saturating_sub(1).leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Purpose, Stream};

    #[test]
    fn all_bits_are_genes_and_all_genes_have_bits() {
        let space = MicroSpace {
            blocks: 5,
            layers: 8,
            input: "3x32x32".parse().unwrap(),
            init_channels: 16,
            classes: 10,
        };
        // Per cell ten operations of four bits, and inputs of 1, 2, 2, 3 and 3 bits, each twice.
        assert_eq!(space.bit_len(), 2 * (40 + 22));
        let names = space.bit_names();
        assert_eq!(names.len(), space.bit_len());
        assert_eq!(names[4], "normal cell, block 1, side 1, input, bit 1");
        assert_eq!(
            names[62],
            "reduction cell, block 1, side 1, operation, bit 1"
        );
        for index in 0..200 {
            let mut stream = Stream::new(1, Purpose::User, 0, index);
            let genome = Genome::random(space.bit_len(), &mut stream);
            let genes = space.genes_of(&genome).unwrap();
            space.check(&genes).unwrap();
            let genes = space.random_genes(&mut stream).unwrap();
            let bits = space.genome_of(&genes).unwrap();
            assert_eq!(space.genes_of(&bits).unwrap(), genes);
        }
        let error = space.genes_of(&Genome::zeros(3)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "genome has 3 bits; 2 cells of 5 blocks needs 124"
        );
    }
}
