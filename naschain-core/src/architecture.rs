//! The network that a genome encodes.

use serde::{Deserialize, Serialize};

use crate::{Error, Genome, MacroSpace, Shape};

/// The network that a genome encodes, as a graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Shape of one input image.
    pub input: Shape,
    /// Number of outputs of the last layer.
    pub classes: usize,
    /// The remaining phases in order. Between two phases there is 2×2 max pooling; after the last one,
    /// global average pooling and a linear layer with bias.
    pub phases: Vec<Phase>,
    /// Numbers, counted from 1, of the genome's phases that were left out because they have no
    /// connection.
    pub left_out: Vec<usize>,
}

/// One phase: an entry convolution, nodes, and batch norm with ReLU at its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Its number within the genome, counted from 1.
    pub number: usize,
    /// The convolution without bias that maps the input to `channels`.
    pub entry: EntryConvolution,
    /// Number of channels of all nodes and of the output.
    pub channels: usize,
    /// Height of its feature maps in pixels.
    pub height: usize,
    /// Width of its feature maps in pixels.
    pub width: usize,
    /// The remaining nodes in order.
    pub nodes: Vec<Node>,
    /// The inputs of the output: 0 is the phase's input, k is node k.
    pub output: Vec<usize>,
    /// Numbers of the nodes that were dropped because they read nothing and nothing reads them.
    pub dropped: Vec<usize>,
}

/// The convolution that maps a phase's input to the phase's number of channels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryConvolution {
    /// Number of input channels.
    pub in_channels: usize,
    /// Kernel size: 3 (without padding) in the first remaining phase, 1 in the others.
    pub kernel: usize,
    /// False if the number of channels fits already. Then it is not applied, but its parameters are
    /// counted, as in NSGA-Net.
    pub applied: bool,
}

/// A node: 3×3 convolution (padding 1, no bias), batch norm, ReLU.
///
/// Several inputs are concatenated along channels and reduced to the phase's number of channels by a
/// 1×1 convolution without bias.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its number within the phase, counted from 1.
    pub number: usize,
    /// Its inputs: 0 is the phase's input, k is node k.
    pub inputs: Vec<usize>,
}

impl MacroSpace {
    /// Decodes `genome` into its network, as the residual decoder of NSGA-Net does.
    ///
    /// # Errors
    /// As [`MacroSpace::check`].
    ///
    /// ```
    /// use naschain_core::MacroSpace;
    /// let space = MacroSpace {
    ///     phases: 2,
    ///     nodes: 3,
    ///     input: "1x8x8".parse()?,
    ///     init_channels: 8,
    ///     classes: 10,
    /// };
    /// let architecture = space.decode(&"1010-0001".parse()?)?;
    /// assert_eq!(architecture.phases[0].output, [3]);
    /// assert_eq!(architecture.left_out, [2]);
    /// assert_eq!(architecture.costs()?.params, 1954);
    /// # Ok::<(), naschain_core::Error>(())
    /// ```
    pub fn decode(&self, genome: &Genome) -> Result<Architecture, Error> {
        self.check(genome)?;
        let mut architecture = Architecture {
            input: self.input,
            classes: self.classes,
            phases: Vec::new(),
            left_out: Vec::new(),
        };
        let mut map = self.input;
        for number in 1..=self.phases {
            let wiring = Wiring::read(genome, (number - 1) * self.phase_len(), self.nodes);
            if wiring.inputs.iter().all(Vec::is_empty) {
                architecture.left_out.push(number);
                continue;
            }
            let first = architecture.phases.is_empty();
            let channels = self.init_channels << architecture.phases.len();
            let entry = EntryConvolution {
                in_channels: map.channels,
                kernel: if first { 3 } else { 1 },
                applied: map.channels != channels,
            };
            if !first {
                (map.height, map.width) = (map.height / 2, map.width / 2);
            } else if entry.applied {
                (map.height, map.width) = (map.height - 2, map.width - 2);
            }
            map.channels = channels;
            architecture.phases.push(wiring.repair(number, entry, map));
        }
        Ok(architecture)
    }
}

/// The bits of one phase as lists: `inputs[i]` are the nodes that node i + 1 reads.
struct Wiring {
    inputs: Vec<Vec<usize>>,
    skip: bool,
}

impl Wiring {
    fn read(genome: &Genome, mut at: usize, nodes: usize) -> Self {
        let mut inputs = vec![Vec::new(); nodes];
        for reader in 2..=nodes {
            for read in 1..reader {
                if genome.get(at) {
                    inputs[reader - 1].push(read);
                }
                at += 1;
            }
        }
        Wiring {
            inputs,
            skip: genome.get(at),
        }
    }

    fn repair(self, number: usize, entry: EntryConvolution, map: Shape) -> Phase {
        let mut phase = Phase {
            number,
            entry,
            channels: map.channels,
            height: map.height,
            width: map.width,
            nodes: Vec::new(),
            output: if self.skip { vec![0] } else { Vec::new() },
            dropped: Vec::new(),
        };
        let mut is_read = vec![false; self.inputs.len() + 1];
        for &read in self.inputs.iter().flatten() {
            is_read[read] = true;
        }
        for (index, mut inputs) in self.inputs.into_iter().enumerate() {
            let number = index + 1;
            match (inputs.is_empty(), is_read[number]) {
                (true, false) => {
                    phase.dropped.push(number);
                    continue;
                }
                (true, true) => inputs.push(0),
                (false, false) => phase.output.push(number),
                (false, true) => {}
            }
            phase.nodes.push(Node { number, inputs });
        }
        phase
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str, phases: usize, nodes: usize) -> Architecture {
        MacroSpace {
            phases,
            nodes,
            input: "1x28x28".parse().unwrap(),
            init_channels: 8,
            classes: 10,
        }
        .decode(&text.parse().unwrap())
        .unwrap()
    }

    #[test]
    fn unconnected_nodes_are_dropped_and_loose_ends_connected() {
        // Of four nodes, 2 reads 1; 3 and 4 are connected to nothing.
        let phase = &decode("1-00-000-0", 1, 4).phases[0];
        assert_eq!(phase.dropped, [3, 4]);
        assert_eq!(phase.nodes[0].inputs, [0]);
        assert_eq!(phase.nodes[1].inputs, [1]);
        assert_eq!(phase.output, [2]);
        // Nodes 2, 3 and 4 read node 1 and feed the output, which also reads the phase's input.
        let phase = &decode("1-10-100-1", 1, 4).phases[0];
        assert_eq!(phase.output, [0, 2, 3, 4]);
    }

    #[test]
    fn a_skip_bit_alone_does_not_make_a_phase() {
        let architecture = decode("0001-1110-0001", 3, 3);
        assert_eq!(architecture.left_out, [1, 3]);
        let phase = &architecture.phases[0];
        assert_eq!((phase.number, phase.channels, phase.height), (2, 8, 26));
        assert_eq!(phase.entry.kernel, 3);
    }

    #[test]
    fn channels_double_and_maps_halve() {
        let architecture = decode("10-10-10", 3, 2);
        let sizes: Vec<_> = architecture
            .phases
            .iter()
            .map(|phase| (phase.entry.in_channels, phase.channels, phase.height))
            .collect();
        assert_eq!(sizes, [(1, 8, 26), (8, 16, 13), (16, 32, 6)]);
    }
}
