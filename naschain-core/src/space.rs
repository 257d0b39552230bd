//! The macro space: the length and meaning of a genome.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Genome, Stream};

/// The shape of one image: channels × height × width, written `3x32x32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Number of channels.
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Pixels per row.
    pub width: usize,
}

impl Shape {
    /// Number of values in one image.
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether an image has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

impl FromStr for Shape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Shape {
            found: text.to_owned(),
        };
        let numbers: Vec<usize> = text
            .split('x')
            .map(|part| part.parse().map_err(|_| wrong()))
            .collect::<Result<_, _>>()?;
        match numbers[..] {
            [channels, height, width] if channels > 0 && height > 0 && width > 0 => Ok(Shape {
                channels,
                height,
                width,
            }),
            _ => Err(wrong()),
        }
    }
}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The macro search space of NSGA-Net (Lu et al., GECCO 2019): phases of densely wired nodes.
///
/// A genome consists of `phases` parts of equal length. Each part has one connection bit per pair of
/// nodes and then one skip bit. The connection bits come row by row: row i, from 2 to `nodes`, has one
/// bit per earlier node, which is 1 if node i reads it. The skip bit is 1 if the phase's output also
/// reads the phase's input.
///
/// The five fields define the meaning of a genome; another one would make another space. So the
/// struct may be written as a literal.
///
/// ```
/// use naschain_core::MacroSpace;
/// let space = MacroSpace {
///     phases: 3,
///     nodes: 10,
///     input: "3x32x32".parse()?,
///     init_channels: 36,
///     classes: 10,
/// };
/// assert_eq!(space.genome_len(), 138);
/// # Ok::<(), naschain_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MacroSpace {
    /// Number of phases, 1 to 10. From one to the next the resolution halves and the channels double.
    pub phases: usize,
    /// Nodes per phase, 2 to 32.
    pub nodes: usize,
    /// Shape of the input images; each number is 1 to 4,096.
    pub input: Shape,
    /// Channels of the first phase, 1 to 4,096.
    pub init_channels: usize,
    /// Number of classes, 2 to 65,536.
    pub classes: usize,
}

impl MacroSpace {
    /// Number of bits of one phase: the connections and the skip bit.
    pub fn phase_len(&self) -> usize {
        self.nodes * self.nodes.saturating_sub(1) / 2 + 1
    }

    /// Number of bits of a genome of this space.
    pub fn genome_len(&self) -> usize {
        self.phases * self.phase_len()
    }

    /// Checks the ranges of all fields, and that the feature maps of every phase have at least one pixel.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] names the first field out of its range. [`Error::InputTooSmall`] names the
    /// first phase without pixels.
    pub fn validate(&self) -> Result<(), Error> {
        Error::check_ranges(&[
            ("phases", self.phases, 1, 10),
            ("nodes", self.nodes, 2, 32),
            ("init-channels", self.init_channels, 1, 4096),
            ("classes", self.classes, 2, 65_536),
            ("input channels", self.input.channels, 1, 4096),
            ("input height", self.input.height, 1, 4096),
            ("input width", self.input.width, 1, 4096),
        ])?;
        let mut side = self.input.height.min(self.input.width);
        for phase in 1..=self.phases {
            // The first convolution has no padding and removes a border of one pixel; each later phase
            // starts with 2×2 pooling.
            side = if phase == 1 {
                side.saturating_sub(2)
            } else {
                side / 2
            };
            if side == 0 {
                return Err(Error::InputTooSmall {
                    height: self.input.height,
                    width: self.input.width,
                    phase,
                });
            }
        }
        Ok(())
    }

    /// Checks the space, and that the genome has [`MacroSpace::genome_len`] bits.
    ///
    /// # Errors
    /// As [`MacroSpace::validate`]; [`Error::GenomeLength`] for another length.
    pub fn check(&self, genome: &Genome) -> Result<(), Error> {
        self.validate()?;
        if genome.len() != self.genome_len() {
            return Err(Error::GenomeLength {
                found: genome.len(),
                expected: self.genome_len(),
                space: format!("{} phases of {} nodes", self.phases, self.nodes),
            });
        }
        Ok(())
    }

    /// Returns a random genome of this space, uniformly distributed ([`Genome::random`]).
    ///
    /// # Errors
    /// As [`MacroSpace::validate`].
    ///
    /// ```
    /// use naschain_core::{MacroSpace, Purpose, Stream};
    /// let space = MacroSpace {
    ///     phases: 2,
    ///     nodes: 3,
    ///     input: "1x8x8".parse()?,
    ///     init_channels: 8,
    ///     classes: 10,
    /// };
    /// let genome = space.random_genome(&mut Stream::new(7, Purpose::Initialisation, 0, 0))?;
    /// println!("{} parameters", space.decode(&genome)?.costs()?.params);
    /// # Ok::<(), naschain_core::Error>(())
    /// ```
    pub fn random_genome(&self, stream: &mut Stream) -> Result<Genome, Error> {
        self.validate()?;
        Ok(Genome::random(self.genome_len(), stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(phases: usize, nodes: usize, input: &str) -> MacroSpace {
        MacroSpace {
            phases,
            nodes,
            input: input.parse().unwrap(),
            init_channels: 8,
            classes: 10,
        }
    }

    #[test]
    fn the_smallest_inputs_that_fit() {
        assert!(space(1, 2, "1x3x3").validate().is_ok());
        assert!(space(3, 2, "1x6x6").validate().is_ok());
        let too_small = |phases, input: &str| {
            let error = space(phases, 2, input).validate().unwrap_err();
            assert!(matches!(error, Error::InputTooSmall { phase, .. } if phase == phases));
        };
        too_small(1, "1x2x9");
        too_small(2, "1x3x3");
        too_small(3, "1x9x5");
    }

    #[test]
    fn errors_name_the_value_and_its_range() {
        let error = space(3, 1, "1x28x28").validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "nodes is 1; it must be a whole number from 2 to 32"
        );
        let error = space(2, 3, "1x8x8").check(&Genome::zeros(7)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "genome has 7 bits; 2 phases of 3 nodes needs 8"
        );
    }

    #[test]
    fn random_genomes_fit_their_space() {
        let mut stream = Stream::new(1, crate::Purpose::Simulation, 0, 0);
        let space = space(3, 10, "1x28x28");
        let genomes = [(); 2].map(|()| space.random_genome(&mut stream).unwrap());
        assert_ne!(genomes[0], genomes[1]);
        for genome in genomes {
            space.check(&genome).unwrap();
            // Half of 138 bits, with a standard deviation of 6.
            assert!((39..100).contains(&genome.count_ones(0..138)), "{genome}");
        }
    }

    #[test]
    fn an_invalid_space_has_no_random_genome() {
        let mut stream = Stream::new(1, crate::Purpose::Simulation, 0, 0);
        let error = space(usize::MAX, 32, "1x28x28").random_genome(&mut stream);
        assert!(matches!(
            error,
            Err(Error::OutOfRange { name: "phases", .. })
        ));
    }

    #[test]
    fn shapes_are_three_positive_numbers() {
        assert_eq!("3x32x32".parse::<Shape>().unwrap().len(), 3072);
        for wrong in ["", "3x32", "3x0x3", "3x32x32x1", "axbxc", "-1x2x3"] {
            assert!(wrong.parse::<Shape>().is_err(), "{wrong}");
        }
    }
}
