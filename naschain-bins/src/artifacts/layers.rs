//! The layers of a network with their shapes and costs.

use naschain_core::{Architecture, Phase};

use crate::cli::grouped::grouped;

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    /// Its place, such as `phase 1, node 2`.
    pub place: String,
    /// What it computes.
    pub operation: String,
    /// Channels, height and width of its output.
    pub output: [usize; 3],
    /// Trainable parameters.
    pub params: u64,
    /// FLOPs for one image, counted as [`naschain_core::Costs::flops`].
    pub flops: u64,
}

/// The layers in the order of a forward pass. Their costs add up to those of the network.
pub(crate) fn layers(architecture: &Architecture) -> Vec<Layer> {
    let mut list = List::default();
    let input = architecture.input;
    let mut map = [input.channels, input.height, input.width];
    for (index, phase) in architecture.phases.iter().enumerate() {
        if index > 0 {
            let read = elements(map);
            let pooled = [map[0], phase.height, phase.width];
            let place = format!("before phase {}", phase.number);
            list.push(&place, "2x2 max pooling", pooled, 0, read);
        }
        map = [phase.channels, phase.height, phase.width];
        list.phase(phase, map);
    }
    let [features, classes] = [map[0], architecture.classes].map(|size| size as u64);
    let vector = [map[0], 1, 1];
    list.push("head", "global average pooling", vector, 0, elements(map));
    list.push(
        "head",
        "linear, with bias",
        [architecture.classes, 1, 1],
        features * classes + classes,
        features * classes,
    );
    list.0
}

fn elements(map: [usize; 3]) -> u64 {
    map.iter().map(|&size| size as u64).product()
}

#[derive(Default)]
struct List(Vec<Layer>);

impl List {
    fn push(&mut self, place: &str, operation: &str, output: [usize; 3], params: u64, flops: u64) {
        self.0.push(Layer {
            place: place.to_owned(),
            operation: operation.to_owned(),
            output,
            params,
            flops,
        });
    }

    fn phase(&mut self, phase: &Phase, map: [usize; 3]) {
        let entry = &phase.entry;
        let (kernel, inputs) = (entry.kernel, entry.in_channels);
        let weights = (kernel * kernel * inputs * phase.channels) as u64;
        let pixels = (phase.height * phase.width) as u64;
        let place = format!("phase {}, entry", phase.number);
        if entry.applied {
            let operation = format!("{kernel}x{kernel} convolution of {inputs} channels");
            self.push(&place, &operation, map, weights, weights * pixels);
        } else {
            let operation = format!("{kernel}x{kernel} convolution, counted but not applied");
            self.push(&place, &operation, map, weights, 0);
        }
        for node in &phase.nodes {
            let place = format!("phase {}, node {}", phase.number, node.number);
            self.join(&place, &node.inputs, map);
            let weights = 9 * (map[0] * map[0]) as u64;
            self.push(&place, "3x3 convolution", map, weights, weights * pixels);
            self.norm(&place, map);
        }
        let place = format!("phase {}, output", phase.number);
        self.join(&place, &phase.output, map);
        self.norm(&place, map);
    }

    fn join(&mut self, place: &str, inputs: &[usize], map: [usize; 3]) {
        if inputs.len() < 2 {
            return;
        }
        let name = |&input: &usize| match input {
            0 => "entry".to_owned(),
            number => number.to_string(),
        };
        let names: Vec<String> = inputs.iter().map(name).collect();
        let operation = format!("1x1 convolution of {}", names.join(" + "));
        let weights = (inputs.len() * map[0] * map[0]) as u64;
        let pixels = (map[1] * map[2]) as u64;
        self.push(place, &operation, map, weights, weights * pixels);
    }

    fn norm(&mut self, place: &str, map: [usize; 3]) {
        let params = 2 * map[0] as u64;
        self.push(place, "batch norm, ReLU", map, params, 3 * elements(map));
    }
}

/// The layers as a text table with their sums.
pub(crate) fn layer_table(layers: &[Layer]) -> String {
    let width = |text: fn(&Layer) -> &str| layers.iter().map(|l| text(l).len()).max();
    let place = width(|layer| &layer.place).unwrap_or(0).max(5);
    let operation = width(|layer| &layer.operation).unwrap_or(0).max(9);
    let row = |cells: [&str; 5]| {
        let [name, what, output, params, flops] = cells;
        format!("{name:<place$}  {what:<operation$}  {output:>10}  {params:>12}  {flops:>14}\n")
    };
    let mut text = row(["layer", "operation", "output", "parameters", "FLOPs"]);
    for layer in layers {
        let [channels, height, width] = layer.output;
        let output = format!("{channels}x{height}x{width}");
        let (params, flops) = (grouped(layer.params), grouped(layer.flops));
        text += &row([&layer.place, &layer.operation, &output, &params, &flops]);
    }
    let params = grouped(layers.iter().map(|layer| layer.params).sum());
    let flops = grouped(layers.iter().map(|layer| layer.flops).sum());
    text + &row(["total", "", "", &params, &flops])
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::{Genome, MacroSpace};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_costs_of_layers_add_up_to_those_of_the_network(
            bits in proptest::collection::vec(any::<bool>(), 21),
            channels in 1usize..6,
            input in 1usize..6,
        ) {
            let space = MacroSpace {
                phases: 3,
                nodes: 4,
                input: format!("{input}x20x18").parse().unwrap(),
                init_channels: channels,
                classes: 7,
            };
            let architecture = space.decode(&Genome::from_bits(bits)).unwrap();
            let (layers, costs) = (layers(&architecture), architecture.costs().unwrap());
            let params: u64 = layers.iter().map(|layer| layer.params).sum();
            let flops: u64 = layers.iter().map(|layer| layer.flops).sum();
            prop_assert_eq!((params, flops), (costs.params, costs.flops));
        }
    }
}
