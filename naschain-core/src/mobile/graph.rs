//! The layers of a network of the mobile space.

use crate::{Activation, LayerGraph, LayerOperation, MobileArchitecture, MobileBlock, Shape};

impl MobileArchitecture {
    /// The layers of the network.
    pub fn graph(&self) -> LayerGraph {
        let mut graph = LayerGraph::new(self.input, self.classes);
        let mut map = 0;
        if self.resolution != self.input {
            let (name, operation) = ("resolution".to_owned(), LayerOperation::Resize);
            map = graph.add(name, operation, vec![map], self.resolution);
        }
        let stem = Shape {
            channels: self.stem_channels,
            ..self.resolution
        };
        map = graph.convolution("stem", 3, map, stem);
        map = graph.activation("stem", Activation::HardSwish, map);
        for (index, block) in self.blocks.iter().enumerate() {
            map = graph.block(&format!("blocks.{index}"), block, map);
        }
        let head = Shape {
            channels: self.head_channels,
            ..graph.shape(map)
        };
        map = graph.convolution("head", 1, map, head);
        map = graph.activation("head", Activation::HardSwish, map);
        graph.outputs = vec![map];
        graph
    }
}

/// Layers of these networks.
impl LayerGraph {
    fn block(&mut self, name: &str, block: &MobileBlock, input: usize) -> usize {
        let (activation, stride) = (block.activation, block.stride);
        let wide = Shape {
            channels: block.expanded,
            ..block.input
        };
        let expand = format!("{name}.expand");
        let mut map = self.convolution(&expand, 1, input, wide);
        map = self.activation(&expand, activation, map);
        let small = Shape {
            channels: block.expanded,
            ..block.output
        };
        let depthwise = format!("{name}.depthwise");
        let operation = LayerOperation::Depthwise {
            kernel: block.kernel,
            stride,
            dilation: 1,
        };
        map = self.add(
            format!("{depthwise}.convolution"),
            operation,
            vec![map],
            small,
        );
        map = self.norm(&depthwise, map);
        map = self.activation(&depthwise, activation, map);
        if let Some(squeezed) = block.squeezed {
            map = self.squeeze(&format!("{name}.squeeze"), map, squeezed);
        }
        map = self.convolution(&format!("{name}.project"), 1, map, block.output);
        if block.is_residual() {
            let droppable = [false, true];
            let operation = LayerOperation::Add { droppable };
            map = self.add(
                format!("{name}.sum"),
                operation,
                vec![input, map],
                block.output,
            );
        }
        map
    }

    /// Squeeze-and-excitation (Hu et al., CVPR 2018), with a hard sigmoid as in MobileNetV3.
    fn squeeze(&mut self, name: &str, map: usize, squeezed: usize) -> usize {
        let shape = self.shape(map);
        let pixel = Shape {
            height: 1,
            width: 1,
            ..shape
        };
        let small = Shape {
            channels: squeezed,
            ..pixel
        };
        let part = |part: &str| format!("{name}.{part}");
        let mut factors = self.add(
            part("means"),
            LayerOperation::GlobalAverage,
            vec![map],
            pixel,
        );
        factors = self.biased(&part("reduce"), factors, small);
        factors = self.add(
            part("activation"),
            LayerOperation::Relu,
            vec![factors],
            small,
        );
        factors = self.biased(&part("restore"), factors, pixel);
        factors = self.add(
            part("factors"),
            LayerOperation::HardSigmoid,
            vec![factors],
            pixel,
        );
        self.add(
            part("scaled"),
            LayerOperation::Scale,
            vec![map, factors],
            shape,
        )
    }

    /// A 1×1 convolution with bias.
    fn biased(&mut self, name: &str, map: usize, to: Shape) -> usize {
        let operation = LayerOperation::Convolution {
            kernel: [1; 2],
            stride: [1; 2],
        };
        let map = self.add(name.to_owned(), operation, vec![map], to);
        self.add(format!("{name}.bias"), LayerOperation::Bias, vec![map], to)
    }

    /// A convolution with stride 1, and batch norm.
    fn convolution(&mut self, name: &str, kernel: usize, map: usize, to: Shape) -> usize {
        let operation = LayerOperation::Convolution {
            kernel: [kernel; 2],
            stride: [1; 2],
        };
        let map = self.add(format!("{name}.convolution"), operation, vec![map], to);
        self.norm(name, map)
    }

    fn norm(&mut self, name: &str, map: usize) -> usize {
        let shape = self.shape(map);
        self.add(
            format!("{name}.norm"),
            LayerOperation::BatchNorm,
            vec![map],
            shape,
        )
    }

    fn activation(&mut self, name: &str, activation: Activation, map: usize) -> usize {
        let operation = match activation {
            Activation::Relu => LayerOperation::Relu,
            Activation::HardSwish => LayerOperation::HardSwish,
        };
        let shape = self.shape(map);
        self.add(format!("{name}.activation"), operation, vec![map], shape)
    }
}
