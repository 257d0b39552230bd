//! Parameters and FLOPs of a network of the micro space, counted as by NSGA-Net.

use std::fmt;

use crate::cost::{LayerCosts, convolution, listed, norm, pooling, relu, total, wide};
use crate::{
    Costs, Error, Layer, MicroArchitecture, MicroCell, MicroEdge, MicroOperation, Preprocessing,
    Shape,
};

/// Where a layer is; cells, blocks and sides are counted from 1.
#[derive(Clone, Copy)]
enum MicroPlace {
    Stem,
    Input {
        cell: usize,
        input: usize,
    },
    Side {
        cell: usize,
        block: usize,
        side: usize,
    },
    /// The second half of an operation that is applied twice.
    SecondHalf {
        cell: usize,
        block: usize,
        side: usize,
    },
    Classifier,
}

impl fmt::Display for MicroPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MicroPlace::Stem => f.write_str("stem"),
            MicroPlace::Input { cell, input } => write!(f, "cell {cell}, input {input}"),
            MicroPlace::Side { cell, block, side } => {
                write!(f, "cell {cell}, block {block}, side {side}")
            }
            MicroPlace::SecondHalf { cell, block, side } => {
                write!(f, "cell {cell}, block {block}, side {side}, second half")
            }
            MicroPlace::Classifier => f.write_str("classifier"),
        }
    }
}

type Visit<'v> = &'v mut dyn FnMut(LayerCosts<MicroPlace>);

impl MicroArchitecture {
    /// Counts parameters and FLOPs.
    ///
    /// # Errors
    /// [`Error::CostOverflow`] if a count does not fit into 64 bits.
    pub fn costs(&self) -> Result<Costs, Error> {
        total(|visit| self.for_each_layer(visit))
    }

    /// The layers in the order of a forward pass. Their costs sum up to [`MicroArchitecture::costs`].
    ///
    /// # Errors
    /// [`Error::CostOverflow`] if a count, or a sum, does not fit into 64 bits.
    pub fn layers(&self) -> Result<Vec<Layer>, Error> {
        self.costs()?;
        listed(|visit| self.for_each_layer(visit))
    }

    fn for_each_layer(&self, visit: Visit) {
        let stem = Shape {
            channels: self.stem_channels,
            ..self.input
        };
        let weights = 9 * wide(self.input.channels) * wide(stem.channels);
        visit(convolution(
            MicroPlace::Stem,
            "3x3 convolution",
            stem,
            weights,
        ));
        visit(norm(MicroPlace::Stem, stem));
        for (index, cell) in self.cells.iter().enumerate() {
            cell_layers(index + 1, cell, visit);
        }
        let map = self.cells.last().map_or(stem, MicroCell::output);
        let vector = |channels| Shape {
            channels,
            height: 1,
            width: 1,
        };
        let place = MicroPlace::Classifier;
        visit(pooling(
            place,
            "global average pooling",
            map,
            vector(map.channels),
        ));
        let (features, classes) = (wide(map.channels), wide(self.classes));
        visit(LayerCosts {
            place,
            kind: "linear",
            output: vector(self.classes),
            params: features * classes + classes,
            flops: features * classes,
        });
    }
}

fn cell_layers(number: usize, cell: &MicroCell, visit: Visit) {
    let inputs = [cell.preprocessing, Preprocessing::Convolution];
    for (input, preprocessing) in inputs.into_iter().enumerate() {
        let place = MicroPlace::Input {
            cell: number,
            input,
        };
        let (from, to) = (cell.inputs[input], cell.preprocessed());
        match preprocessing {
            Preprocessing::Convolution => {
                visit(relu(place, from));
                let weights = wide(from.channels) * wide(to.channels);
                visit(convolution(place, "1x1 convolution", to, weights));
                visit(norm(place, to));
            }
            Preprocessing::FactorisedReduction => factorised_reduction(place, from, to, visit),
        }
    }
    for (block, sides) in cell.blocks.iter().enumerate() {
        for (side, edge) in sides.iter().enumerate() {
            let place = (number, block + 1, side + 1);
            let from = [cell.block, cell.preprocessed()][usize::from(edge.input < 2)];
            edge_layers(place, edge, (from, cell.block), visit);
        }
    }
}

fn edge_layers(
    (cell, block, side): (usize, usize, usize),
    edge: &MicroEdge,
    (from, to): (Shape, Shape),
    visit: Visit,
) {
    let place = MicroPlace::Side { cell, block, side };
    let depthwise = match edge.operation {
        MicroOperation::MaxPool3 => return visit(pooling(place, "3x3 max pooling", from, to)),
        MicroOperation::AveragePool3 => {
            return visit(pooling(place, "3x3 average pooling", from, to));
        }
        MicroOperation::Skip if edge.stride == 1 => return,
        MicroOperation::Skip => return factorised_reduction(place, from, to, visit),
        MicroOperation::Convolution7 => return convolution7(place, from, to, visit),
        MicroOperation::Separable3 => (3, "3x3 depthwise convolution"),
        MicroOperation::Separable5 => (5, "5x5 depthwise convolution"),
        MicroOperation::Separable7 => (7, "7x7 depthwise convolution"),
        MicroOperation::Dilated3 => (3, "3x3 dilated depthwise convolution"),
        MicroOperation::Dilated5 => (5, "5x5 dilated depthwise convolution"),
    };
    separable(place, depthwise, (from, to), visit);
    let is_dilated = [MicroOperation::Dilated3, MicroOperation::Dilated5];
    if !is_dilated.contains(&edge.operation) {
        let place = MicroPlace::SecondHalf { cell, block, side };
        separable(place, depthwise, (to, to), visit);
    }
}

/// ReLU, depthwise convolution, 1×1 convolution, batch norm.
fn separable(
    place: MicroPlace,
    (kernel, kind): (u128, &'static str),
    (from, to): (Shape, Shape),
    visit: Visit,
) {
    let channels = wide(to.channels);
    visit(relu(place, from));
    visit(convolution(place, kind, to, kernel * kernel * channels));
    visit(convolution(
        place,
        "1x1 convolution",
        to,
        channels * channels,
    ));
    visit(norm(place, to));
}

/// ReLU, 1×7 convolution across the width, 7×1 convolution down the height, batch norm.
fn convolution7(place: MicroPlace, from: Shape, to: Shape, visit: Visit) {
    let weights = 7 * wide(to.channels) * wide(to.channels);
    let between = Shape {
        height: from.height,
        ..to
    };
    visit(relu(place, from));
    visit(convolution(place, "1x7 convolution", between, weights));
    visit(convolution(place, "7x1 convolution", to, weights));
    visit(norm(place, to));
}

/// ReLU, two 1×1 convolutions with stride 2, each to half of the channels, batch norm.
fn factorised_reduction(place: MicroPlace, from: Shape, to: Shape, visit: Visit) {
    let half = Shape {
        channels: to.channels / 2,
        ..to
    };
    let weights = wide(from.channels) * wide(half.channels);
    visit(relu(place, from));
    for kind in [
        "1x1 convolution with stride 2",
        "1x1 convolution with stride 2, shifted by a pixel",
    ] {
        visit(convolution(place, kind, half, weights));
    }
    visit(norm(place, to));
}
