//! The layers of a network of the micro space.

use std::collections::BTreeMap;

use crate::{
    LayerGraph, LayerOperation, MicroArchitecture, MicroCell, MicroEdge, MicroOperation,
    Preprocessing, Shape,
};

impl MicroArchitecture {
    /// The layers of the network. A map whose ReLU several operations read has one layer of ReLU.
    pub fn graph(&self) -> LayerGraph {
        let mut builder = Builder {
            graph: LayerGraph::new(self.input, self.classes),
            relus: BTreeMap::new(),
        };
        let stem = Shape {
            channels: self.stem_channels,
            ..self.input
        };
        let convolution = builder.convolution("stem.convolution", [3, 3], [1, 1], vec![0], stem);
        let stem = builder.norm("stem.norm", convolution);
        // The outputs of the last two cells, each one map for each block.
        let mut states = [vec![stem], vec![stem]];
        for (index, cell) in self.cells.iter().enumerate() {
            let output = builder.cell(&format!("cells.{index}"), cell, &states);
            let [_, last] = states;
            states = [last, output];
        }
        let [_, outputs] = states;
        LayerGraph {
            outputs,
            ..builder.graph
        }
    }
}

struct Builder {
    graph: LayerGraph,
    /// The map of the ReLU of a map.
    relus: BTreeMap<usize, usize>,
}

impl Builder {
    fn cell(&mut self, name: &str, cell: &MicroCell, states: &[Vec<usize>; 2]) -> Vec<usize> {
        let preprocessing = [cell.preprocessing, Preprocessing::Convolution];
        let mut maps = Vec::new();
        for (input, (preprocessing, read)) in preprocessing.into_iter().zip(states).enumerate() {
            let name = format!("{name}.inputs.{input}");
            maps.push(match preprocessing {
                Preprocessing::Convolution => {
                    let read = self.relu_all(read);
                    let name_of = format!("{name}.convolution");
                    let to = cell.preprocessed();
                    let map = self.convolution(&name_of, [1, 1], [1, 1], read, to);
                    self.norm(&format!("{name}.norm"), map)
                }
                Preprocessing::FactorisedReduction => {
                    self.factorised_reduction(&name, read, cell.preprocessed())
                }
            });
        }
        for (block, sides) in cell.blocks.iter().enumerate() {
            let name = format!("{name}.blocks.{block}");
            let mut apply = |side: usize| {
                let edge = &sides[side];
                let name = format!("{name}.sides.{side}");
                self.edge(&name, edge, maps[edge.input], cell.block)
            };
            let inputs = vec![apply(0), apply(1)];
            // NSGA-Net drops no identity.
            let is_identity =
                |edge: &MicroEdge| edge.operation == MicroOperation::Skip && edge.stride == 1;
            let droppable = [0, 1].map(|side| !is_identity(&sides[side]));
            let operation = LayerOperation::Add { droppable };
            maps.push(self.graph.add(name, operation, inputs, cell.block));
        }
        cell.outputs.iter().map(|number| maps[*number]).collect()
    }

    fn edge(&mut self, name: &str, edge: &MicroEdge, map: usize, to: Shape) -> usize {
        let stride = edge.stride;
        let mut pool = |operation| self.graph.add(name.to_owned(), operation, vec![map], to);
        let (kernel, dilation, repeats) = match edge.operation {
            MicroOperation::MaxPool3 => return pool(LayerOperation::MaxPool { stride }),
            MicroOperation::AveragePool3 => return pool(LayerOperation::AveragePool { stride }),
            MicroOperation::Skip if stride == 1 => return map,
            MicroOperation::Skip => return self.factorised_reduction(name, &[map], to),
            MicroOperation::Convolution7 => return self.convolution7(name, map, stride, to),
            MicroOperation::Separable3 => (3, 1, 2),
            MicroOperation::Separable5 => (5, 1, 2),
            MicroOperation::Separable7 => (7, 1, 2),
            MicroOperation::Dilated3 => (3, 2, 1),
            MicroOperation::Dilated5 => (5, 2, 1),
        };
        let (mut map, mut stride) = (map, stride);
        for half in 0..repeats {
            let name = match repeats {
                1 => name.to_owned(),
                _ => format!("{name}.{half}"),
            };
            let read = vec![self.relu(map)];
            let operation = LayerOperation::Depthwise {
                kernel,
                stride,
                dilation,
            };
            let depthwise = format!("{name}.depthwise");
            let each = self.graph.add(depthwise, operation, read, to);
            let pointwise = format!("{name}.pointwise");
            let all = self.convolution(&pointwise, [1, 1], [1, 1], vec![each], to);
            map = self.norm(&format!("{name}.norm"), all);
            stride = 1;
        }
        map
    }

    /// ReLU, 1×7 convolution across the width, 7×1 convolution down the height, batch norm.
    fn convolution7(&mut self, name: &str, map: usize, stride: usize, to: Shape) -> usize {
        let from = self.graph.shape(map);
        let between = Shape {
            height: from.height,
            ..to
        };
        let read = vec![self.relu(map)];
        let across = format!("{name}.across");
        let across = self.convolution(&across, [1, 7], [1, stride], read, between);
        let down = format!("{name}.down");
        let down = self.convolution(&down, [7, 1], [stride, 1], vec![across], to);
        self.norm(&format!("{name}.norm"), down)
    }

    /// ReLU, two 1×1 convolutions with stride 2, one of them shifted by a pixel, each to half of the
    /// channels, batch norm.
    fn factorised_reduction(&mut self, name: &str, maps: &[usize], to: Shape) -> usize {
        let read = self.relu_all(maps);
        let half = Shape {
            channels: to.channels / 2,
            ..to
        };
        let mut halves = Vec::new();
        for offset in 0..2 {
            let mut small = Vec::new();
            for (index, map) in read.iter().enumerate() {
                let shape = Shape {
                    channels: self.graph.shape(*map).channels,
                    ..to
                };
                let name = format!("{name}.pixels.{offset}.{index}");
                let operation = LayerOperation::Subsample { offset };
                small.push(self.graph.add(name, operation, vec![*map], shape));
            }
            let name = format!("{name}.halves.{offset}");
            halves.push(self.convolution(&name, [1, 1], [1, 1], small, half));
        }
        let both = format!("{name}.both");
        let both = self
            .graph
            .add(both, LayerOperation::Concatenate, halves, to);
        self.norm(&format!("{name}.norm"), both)
    }

    fn convolution(
        &mut self,
        name: &str,
        kernel: [usize; 2],
        stride: [usize; 2],
        inputs: Vec<usize>,
        to: Shape,
    ) -> usize {
        let operation = LayerOperation::Convolution { kernel, stride };
        self.graph.add(name.to_owned(), operation, inputs, to)
    }

    fn norm(&mut self, name: &str, map: usize) -> usize {
        let shape = self.graph.shape(map);
        let operation = LayerOperation::BatchNorm;
        self.graph.add(name.to_owned(), operation, vec![map], shape)
    }

    fn relu(&mut self, map: usize) -> usize {
        if let Some(relu) = self.relus.get(&map) {
            return *relu;
        }
        let shape = self.graph.shape(map);
        let name = format!("relu.{map}");
        let relu = self.graph.add(name, LayerOperation::Relu, vec![map], shape);
        self.relus.insert(map, relu);
        relu
    }

    fn relu_all(&mut self, maps: &[usize]) -> Vec<usize> {
        maps.iter().map(|map| self.relu(*map)).collect()
    }
}
