//! The backward steps of the exact operations.
//!
//! burn adds the gradients of a map with several readers in an order of its own. A tap
//! ([`TapBackward`]) between two readers makes it that of our own backward pass, from the last
//! reader to the first: it hands over the sum so far, to which the reader before adds in place.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::FloatTensor;

use super::super::ops::{
    Conv1Shape, Conv3Shape, ConvNormRead, ExactOps, Factors, MapShape, SavedNorm,
};

pub(super) type Tracked<B> = FloatTensor<Autodiff<B>>;

/// Takes the gradient so far of a node; `name` sets the node of a tensor.
fn sum_so_far<B: Backend>(
    gradients: &mut Gradients,
    like: &FloatTensor<B>,
    name: impl FnOnce(&mut Tracked<B>),
) -> Option<FloatTensor<B>> {
    let mut tensor = untracked::<B>(like.clone());
    name(&mut tensor);
    gradients.remove::<B>(&tensor)
}

/// The gradient of a step's result; `None` if nothing that reaches the loss reads the result. A tap
/// makes burn run the step of such a reader too.
fn gradient_of<B: Backend>(
    gradients: &mut Gradients,
    like: &FloatTensor<B>,
    name: impl FnOnce(&mut Tracked<B>),
) -> Option<FloatTensor<B>> {
    let mut tensor = untracked::<B>(like.clone());
    name(&mut tensor);
    gradients.get::<B>(&tensor)?;
    Some(gradients.consume::<B>(&tensor.node))
}

pub(super) fn untracked<B: Backend>(tensor: FloatTensor<B>) -> Tracked<B> {
    <Autodiff<B>>::from_inner(tensor)
}

/// An identity with the parents map and output of the map's reader before, so that its backward
/// step comes before that of this reader.
#[derive(Debug)]
pub(super) struct TapBackward;

impl<B: Backend> Backward<B, 2> for TapBackward {
    type State = ();

    fn backward(self, ops: Ops<(), 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        if let [Some(map), _] = ops.parents {
            gradients.register::<B>(map.id, gradient);
        }
    }
}

#[derive(Debug)]
pub(super) struct Conv3Backward;

impl<B: ExactOps> Backward<B, 2> for Conv3Backward {
    type State = (FloatTensor<B>, FloatTensor<B>, Conv3Shape);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, shape) = ops.state;
        let Some(dz) = gradient_of::<B>(gradients, &x, |tensor| tensor.node = ops.node.clone())
        else {
            return;
        };
        let [map, weight_node] = ops.parents;
        if let Some(node) = weight_node {
            let gradient = B::exact_conv3_weight(x, dz.clone(), shape);
            gradients.register::<B>(node.id, gradient);
        }
        if let Some(node) = map {
            let sum = sum_so_far::<B>(gradients, &dz, |tensor| tensor.node = node.clone());
            let gradient = B::exact_conv3_input(dz, weight, shape, sum);
            gradients.register::<B>(node.id, gradient);
        }
    }
}

/// Makes two maps, or gathered maps and one more, parents of one node. The operation that reads
/// them registers their gradients itself, so that it can have any number of parents.
#[derive(Debug)]
pub(super) struct GatherBackward;

impl<B: Backend> Backward<B, 2> for GatherBackward {
    type State = ();

    fn backward(self, _: Ops<(), 2>, _: &mut Gradients, _: &mut Checkpointer) {}
}

#[derive(Debug)]
pub(super) struct Conv1Backward;

#[derive(Clone, Debug)]
pub(super) struct Conv1State<B: Backend> {
    /// The nodes of the maps, with the maps.
    pub(super) maps: Vec<Tracked<B>>,
    pub(super) factors: Vec<Factors>,
    pub(super) weight: FloatTensor<B>,
    pub(super) shape: Conv1Shape,
}

impl<B: ExactOps> Backward<B, 2> for Conv1Backward {
    type State = Conv1State<B>;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let Conv1State {
            maps,
            factors,
            weight,
            shape,
        } = ops.state;
        let Some(dz) =
            gradient_of::<B>(gradients, &weight, |tensor| tensor.node = ops.node.clone())
        else {
            return;
        };
        if let [_, Some(node)] = ops.parents {
            let maps = maps.iter().map(|map| map.primitive.clone()).collect();
            let gradient = B::exact_conv1_weight(maps, &factors, dz.clone(), shape);
            gradients.register::<B>(node.id, gradient);
        }
        for (index, (map, factors)) in maps.into_iter().zip(&factors).enumerate() {
            if map.is_tracked() {
                let sum = gradients.remove::<B>(&map);
                let (dz, weight) = (dz.clone(), weight.clone());
                let gradient = B::exact_conv1_input(dz, weight, index, factors, shape, sum);
                gradients.register::<B>(map.node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct NormReluBackward;

impl<B: ExactOps> Backward<B, 3> for NormReluBackward {
    /// `z`, bias, statistics, shape.
    type State = (
        FloatTensor<B>,
        FloatTensor<B>,
        SavedNorm<FloatTensor<B>>,
        MapShape,
    );

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (z, bias, saved, shape) = ops.state;
        let Some(dy) = gradient_of::<B>(gradients, &z, |tensor| tensor.node = ops.node.clone())
        else {
            return;
        };
        let found = B::exact_norm_relu_backward(dy, z, bias, saved, shape);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct ConvNormReluBackward;

impl<B: ExactOps> Backward<B, 4> for ConvNormReluBackward {
    type State = (ConvNormRead<FloatTensor<B>>, Conv3Shape);

    fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (read, shape) = ops.state;
        let Some(dy) =
            gradient_of::<B>(gradients, &read.z, |tensor| tensor.node = ops.node.clone())
        else {
            return;
        };
        let [map, weight, norm_weight, norm_bias] = ops.parents;
        let sum = map
            .as_ref()
            .and_then(|node| sum_so_far::<B>(gradients, &dy, |tensor| tensor.node = node.clone()));
        let found = B::exact_conv3_norm_relu_backward(dy, read, shape, map.is_some(), sum);
        for (node, gradient) in [
            (weight, Some(found.weight)),
            (norm_weight, Some(found.norm_weight)),
            (norm_bias, Some(found.norm_bias)),
            (map, found.x),
        ] {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct MaxPool2Backward;

impl<B: ExactOps> Backward<B, 1> for MaxPool2Backward {
    type State = (FloatTensor<B>, MapShape);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (y, shape) = ops.state;
        let Some(dout) = gradient_of::<B>(gradients, &y, |tensor| tensor.node = ops.node.clone())
        else {
            return;
        };
        if let [Some(node)] = ops.parents {
            gradients.register::<B>(node.id, B::exact_max_pool2_input(dout, y, shape));
        }
    }
}

#[derive(Debug)]
pub(super) struct AverageBackward;

impl<B: ExactOps> Backward<B, 1> for AverageBackward {
    /// The result, and the shape of the map.
    type State = (FloatTensor<B>, MapShape);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (means, shape) = ops.state;
        let Some(dmeans) =
            gradient_of::<B>(gradients, &means, |tensor| tensor.node = ops.node.clone())
        else {
            return;
        };
        if let [Some(node)] = ops.parents {
            gradients.register::<B>(node.id, B::exact_average_input(dmeans, shape));
        }
    }
}

#[derive(Debug)]
pub(super) struct LinearBackward;

impl<B: ExactOps> Backward<B, 3> for LinearBackward {
    type State = (FloatTensor<B>, FloatTensor<B>, Conv1Shape);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, shape) = ops.state;
        let Some(dlogits) =
            gradient_of::<B>(gradients, &x, |tensor| tensor.node = ops.node.clone())
        else {
            return;
        };
        let found = B::exact_linear_backward(dlogits, x, weight, shape);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct CrossEntropyBackward;

impl<B: ExactOps> Backward<B, 1> for CrossEntropyBackward {
    /// The gradient of the mean loss.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        // A factor of 1 changes no bit.
        let Some(factor) = gradient_of::<B>(gradients, &ops.state, |tensor| {
            tensor.node = ops.node.clone()
        }) else {
            return;
        };
        let factor = B::float_reshape(factor, [1, 1].into());
        if let [Some(node)] = ops.parents {
            gradients.register::<B>(node.id, B::float_mul(ops.state, factor));
        }
    }
}
