//! Parameters and FLOPs of a network.

use serde::{Deserialize, Serialize};

use crate::architecture::Phase;
use crate::{Architecture, Error};

/// The exact costs of a network, which are known without training it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Number of trainable parameters.
    pub params: u64,
    /// Operations of one forward pass of one image, counted as by NSGA-Net: one per multiply-add of a
    /// convolution or linear layer, 2 per input element of batch norm, 1 per output element of ReLU
    /// and 1 per input element of pooling.
    pub flops: u64,
}

impl Architecture {
    /// Counts parameters and FLOPs.
    ///
    /// # Errors
    /// [`Error::CostOverflow`] if a count does not fit into 64 bits.
    pub fn costs(&self) -> Result<Costs, Error> {
        let mut sum = Sum::default();
        for (index, phase) in self.phases.iter().enumerate() {
            sum.phase(phase);
            if index + 1 < self.phases.len() {
                sum.flops += elements(phase);
            }
        }
        let (features, pooled) = match self.phases.last() {
            Some(last) => (wide(last.channels), elements(last)),
            None => (wide(self.input.channels), wide(self.input.len())),
        };
        let classes = wide(self.classes);
        sum.params += features * classes + classes;
        sum.flops += pooled + features * classes;
        let fit = |what, count| u64::try_from(count).map_err(|_| Error::CostOverflow { what });
        Ok(Costs {
            params: fit("parameters", sum.params)?,
            flops: fit("FLOPs", sum.flops)?,
        })
    }
}

// 128 bits suffice for the counts of every valid space, so only the final sums are checked.
#[derive(Default)]
struct Sum {
    params: u128,
    flops: u128,
}

impl Sum {
    fn phase(&mut self, phase: &Phase) {
        let (channels, pixels) = (wide(phase.channels), wide(phase.height * phase.width));
        let entry = &phase.entry;
        let weights = wide(entry.kernel * entry.kernel * entry.in_channels) * channels;
        self.params += weights;
        if entry.applied {
            self.flops += weights * pixels;
        }
        for node in &phase.nodes {
            self.join(node.inputs.len(), channels, pixels);
            self.params += 9 * channels * channels;
            self.flops += 9 * channels * channels * pixels;
            self.norm_relu(channels, pixels);
        }
        self.join(phase.output.len(), channels, pixels);
        self.norm_relu(channels, pixels);
    }

    fn join(&mut self, inputs: usize, channels: u128, pixels: u128) {
        if inputs > 1 {
            let weights = wide(inputs) * channels * channels;
            self.params += weights;
            self.flops += weights * pixels;
        }
    }

    fn norm_relu(&mut self, channels: u128, pixels: u128) {
        self.params += 2 * channels;
        self.flops += (2 + 1) * channels * pixels;
    }
}

fn elements(phase: &Phase) -> u128 {
    wide(phase.channels) * wide(phase.height) * wide(phase.width)
}

fn wide(number: usize) -> u128 {
    number as u128
}
