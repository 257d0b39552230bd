//! Parameters and FLOPs of a network of the mobile space.

use crate::cost::{elements, fitted, wide};
use crate::{Costs, Error, Layer, MobileArchitecture, MobileBlock, Shape};

/// Parameters and FLOPs.
type Counts = [u128; 2];

impl MobileArchitecture {
    /// Counts parameters and FLOPs: the sums over [`MobileArchitecture::layers`], without making a list of them,
    /// since a search counts thousands of networks a step.
    ///
    /// # Errors
    /// [`Error::CostOverflow`] if a count does not fit into 64 bits.
    pub fn costs(&self) -> Result<Costs, Error> {
        let is_resized = u128::from(self.resolution != self.input);
        let resized = [0, is_resized * 4 * elements(self.resolution)];
        let stem = Shape {
            channels: self.stem_channels,
            ..self.resolution
        };
        let last = self.blocks.last().map_or(stem, |block| block.output);
        let head = Shape {
            channels: self.head_channels,
            ..last
        };
        let (features, classes) = (wide(self.head_channels), wide(self.classes));
        let linear = [
            features * classes + classes,
            elements(head) + features * classes,
        ];
        let parts = [
            resized,
            normed(9 * wide(self.resolution.channels), stem, true),
            normed(wide(last.channels), head, true),
            linear,
        ];
        let parts = parts.into_iter().chain(self.blocks.iter().map(of_block));
        let [params, flops] = parts.fold([0, 0], sum);
        fitted(params, flops)
    }

    /// The layers in the order of a forward pass. FLOPs are counted as in [`Costs`]; besides, there is one
    /// for each value of a sum, of an activation, and of a map that squeeze-and-excitation scales, and four
    /// for each value of a resized image. Biases add none.
    ///
    /// # Errors
    /// [`Error::CostOverflow`] if a count does not fit into 64 bits.
    pub fn layers(&self) -> Result<Vec<Layer>, Error> {
        self.graph().computed_layers()
    }
}

fn of_block(block: &MobileBlock) -> Counts {
    let wide_map = Shape {
        channels: block.expanded,
        ..block.input
    };
    let small_map = Shape {
        channels: block.expanded,
        ..block.output
    };
    let area = wide(block.kernel * block.kernel);
    let mut parts = normed(wide(block.input.channels), wide_map, true);
    parts = sum(parts, normed(area, small_map, true));
    parts = sum(parts, normed(wide(block.expanded), block.output, false));
    if let Some(squeezed) = block.squeezed {
        let (channels, squeezed) = (wide(block.expanded), wide(squeezed));
        let weights = 2 * channels * squeezed;
        // Average and scaling; weights, ReLU and hard sigmoid.
        let flops = 2 * elements(small_map) + weights + squeezed + channels;
        parts = sum(parts, [weights + squeezed + channels, flops]);
    }
    if block.is_residual() {
        parts[1] += elements(block.output);
    }
    parts
}

/// A convolution with this number of weights for each channel of its output, batch norm, and perhaps an
/// activation.
fn normed(weights: u128, output: Shape, is_activated: bool) -> Counts {
    let channels = wide(output.channels);
    let each = weights + 2 + u128::from(is_activated);
    [(weights + 2) * channels, each * elements(output)]
}

fn sum(a: Counts, b: Counts) -> Counts {
    [a[0] + b[0], a[1] + b[1]]
}
