//! Parameters and FLOPs of a network.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::architecture::Phase;
use crate::{Architecture, Error, Shape};

/// The exact costs of a network, which are known without training it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Number of trainable parameters.
    pub params: u64,
    /// Operations of one forward pass of one image, counted as by NSGA-Net: one per multiply-add of a
    /// convolution or linear layer, 2 per input element of batch norm, 1 per output element of ReLU
    /// and 1 per input element of pooling. [`MobileArchitecture::layers`](crate::MobileArchitecture::layers) says
    /// what else its networks have.
    pub flops: u64,
}

/// One layer of a network with its share of the costs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Layer {
    /// Its place and kind, such as `phase 1, node 2: 3x3 convolution`; unique within a network.
    pub name: String,
    /// The shape of its output for one image.
    pub output: Shape,
    /// Its parameters and FLOPs, counted as in [`Costs`].
    pub costs: Costs,
}

impl Layer {
    /// A layer of this kind, with its parameters and FLOPs.
    pub(crate) fn new(
        place: &str,
        kind: &str,
        output: Shape,
        [params, flops]: [u128; 2],
    ) -> Result<Layer, Error> {
        Ok(Layer {
            name: format!("{place}: {kind}"),
            output,
            costs: fitted(params, flops)?,
        })
    }
}

impl Architecture {
    /// Counts parameters and FLOPs.
    ///
    /// # Errors
    /// [`Error::CostOverflow`] if a count does not fit into 64 bits.
    pub fn costs(&self) -> Result<Costs, Error> {
        total(|visit| self.for_each_layer(visit))
    }

    /// The layers in the order of a forward pass. Their costs sum up to [`Architecture::costs`].
    ///
    /// # Errors
    /// [`Error::CostOverflow`] if a count, or a sum, does not fit into 64 bits.
    ///
    /// ```
    /// use naschain_core::MacroSpace;
    /// let space = MacroSpace {
    ///     phases: 1,
    ///     nodes: 2,
    ///     input: "1x8x8".parse()?,
    ///     init_channels: 8,
    ///     classes: 10,
    /// };
    /// let layers = space.decode(&"10".parse()?)?.layers()?;
    /// assert_eq!(layers[0].name, "phase 1, entry: 3x3 convolution");
    /// assert_eq!(layers[0].output, "8x6x6".parse()?);
    /// assert_eq!(layers[0].costs.params, 72);
    /// assert_eq!(layers.last().map(|last| last.costs.params), Some(8 * 10 + 10));
    /// # Ok::<(), naschain_core::Error>(())
    /// ```
    pub fn layers(&self) -> Result<Vec<Layer>, Error> {
        self.costs()?;
        listed(|visit| self.for_each_layer(visit))
    }

    fn for_each_layer(&self, visit: &mut dyn FnMut(LayerCosts<Place>)) {
        for (index, phase) in self.phases.iter().enumerate() {
            phase_layers(phase, visit);
            if index + 1 < self.phases.len() {
                let map = map_of(phase);
                let output = Shape {
                    height: map.height / 2,
                    width: map.width / 2,
                    ..map
                };
                let place = Place::After(phase.number);
                visit(pooling(place, "2x2 max pooling", map, output));
            }
        }
        let map = self.phases.last().map_or(self.input, map_of);
        let (features, classes) = (wide(map.channels), wide(self.classes));
        let vector = |channels| Shape {
            channels,
            height: 1,
            width: 1,
        };
        let (place, output) = (Place::Classifier, vector(map.channels));
        visit(pooling(place, "global average pooling", map, output));
        visit(LayerCosts {
            place: Place::Classifier,
            kind: "linear",
            output: vector(self.classes),
            params: features * classes + classes,
            flops: features * classes,
        });
    }
}

/// The sum of the costs of all layers, which `for_each` visits.
pub(crate) fn total<P>(
    for_each: impl FnOnce(&mut dyn FnMut(LayerCosts<P>)),
) -> Result<Costs, Error> {
    // 128 bits suffice for the counts of every valid space, so only the final sums are checked.
    let (mut params, mut flops) = (0, 0);
    for_each(&mut |layer| {
        params += layer.params;
        flops += layer.flops;
    });
    fitted(params, flops)
}

/// All layers, which `for_each` visits, with their names.
pub(crate) fn listed<P: fmt::Display>(
    for_each: impl FnOnce(&mut dyn FnMut(LayerCosts<P>)),
) -> Result<Vec<Layer>, Error> {
    let mut layers = Vec::new();
    for_each(&mut |layer| layers.push(layer));
    let layers = layers.into_iter().map(|layer| {
        Ok(Layer {
            name: format!("{}: {}", layer.place, layer.kind),
            output: layer.output,
            costs: fitted(layer.params, layer.flops)?,
        })
    });
    layers.collect()
}

/// Counts as 64-bit numbers.
pub(crate) fn fitted(params: u128, flops: u128) -> Result<Costs, Error> {
    let fit = |what, count| u64::try_from(count).map_err(|_| Error::CostOverflow { what });
    Ok(Costs {
        params: fit("parameters", params)?,
        flops: fit("FLOPs", flops)?,
    })
}

/// A layer before its name is written: counting must not allocate.
#[derive(Clone, Copy)]
pub(crate) struct LayerCosts<P> {
    pub(crate) place: P,
    pub(crate) kind: &'static str,
    pub(crate) output: Shape,
    pub(crate) params: u128,
    pub(crate) flops: u128,
}

/// Where a layer is; the first number is the phase's.
#[derive(Clone, Copy)]
enum Place {
    Entry(usize),
    Node(usize, usize),
    Output(usize),
    After(usize),
    Classifier,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Entry(phase) => write!(f, "phase {phase}, entry"),
            Place::Node(phase, node) => write!(f, "phase {phase}, node {node}"),
            Place::Output(phase) => write!(f, "phase {phase}, output"),
            Place::After(phase) => write!(f, "after phase {phase}"),
            Place::Classifier => f.write_str("classifier"),
        }
    }
}

fn phase_layers(phase: &Phase, visit: &mut dyn FnMut(LayerCosts<Place>)) {
    let map = map_of(phase);
    let channels = wide(phase.channels);
    let square = channels * channels;
    let entry = &phase.entry;
    let weights = wide(entry.kernel * entry.kernel * entry.in_channels) * channels;
    let kind = match (entry.applied, entry.kernel) {
        (false, _) => "convolution that is not applied",
        (true, 1) => "1x1 convolution",
        (true, _) => "3x3 convolution",
    };
    let mut layer = convolution(Place::Entry(phase.number), kind, map, weights);
    if !entry.applied {
        // Its parameters are counted all the same, as in NSGA-Net.
        layer.flops = 0;
    }
    visit(layer);
    let joined = |place, inputs: &[usize], visit: &mut dyn FnMut(LayerCosts<Place>)| {
        if inputs.len() > 1 {
            let weights = wide(inputs.len()) * square;
            visit(convolution(place, "1x1 convolution", map, weights));
        }
    };
    for node in &phase.nodes {
        let place = Place::Node(phase.number, node.number);
        joined(place, &node.inputs, visit);
        visit(convolution(place, "3x3 convolution", map, 9 * square));
        norm_relu(place, map).into_iter().for_each(&mut *visit);
    }
    let place = Place::Output(phase.number);
    joined(place, &phase.output, visit);
    norm_relu(place, map).into_iter().for_each(visit);
}

/// A convolution without bias.
pub(crate) fn convolution<P>(
    place: P,
    kind: &'static str,
    output: Shape,
    weights: u128,
) -> LayerCosts<P> {
    LayerCosts {
        place,
        kind,
        output,
        params: weights,
        flops: weights * wide(output.height) * wide(output.width),
    }
}

/// Batch norm.
pub(crate) fn norm<P>(place: P, output: Shape) -> LayerCosts<P> {
    LayerCosts {
        place,
        kind: "batch norm",
        output,
        params: 2 * wide(output.channels),
        flops: 2 * elements(output),
    }
}

pub(crate) fn relu<P>(place: P, output: Shape) -> LayerCosts<P> {
    LayerCosts {
        place,
        kind: "ReLU",
        output,
        params: 0,
        flops: elements(output),
    }
}

/// Pooling, which is counted by its input.
pub(crate) fn pooling<P>(
    place: P,
    kind: &'static str,
    input: Shape,
    output: Shape,
) -> LayerCosts<P> {
    LayerCosts {
        place,
        kind,
        output,
        params: 0,
        flops: elements(input),
    }
}

/// Batch norm and ReLU.
fn norm_relu(place: Place, output: Shape) -> [LayerCosts<Place>; 2] {
    [norm(place, output), relu(place, output)]
}

fn map_of(phase: &Phase) -> Shape {
    Shape {
        channels: phase.channels,
        height: phase.height,
        width: phase.width,
    }
}

pub(crate) fn elements(map: Shape) -> u128 {
    wide(map.channels) * wide(map.height) * wide(map.width)
}

pub(crate) fn wide(number: usize) -> u128 {
    number as u128
}
