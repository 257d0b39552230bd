//! The exact operations with gradients.

mod steps;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

use self::steps::{
    AverageBackward, Conv1Backward, Conv1State, Conv3Backward, ConvNormReluBackward,
    CrossEntropyBackward, GatherBackward, LinearBackward, MaxPool2Backward, NormReluBackward,
    TapBackward, Tracked, untracked,
};
use super::ops::{
    Conv1Shape, Conv3Shape, ConvNormRead, ConvNormed, CrossEntropyOutput, ExactOps, Factors,
    MapShape, NormParameters, Normed, SavedNorm, SgdStep,
};

impl<B: ExactOps, C: CheckpointStrategy> ExactOps for Autodiff<B, C> {
    fn exact_map(shape: MapShape) -> [usize; 5] {
        B::exact_map(shape)
    }

    fn exact_tap(map: Tracked<B>, reader: &Tracked<B>) -> Tracked<B> {
        if !map.is_tracked() {
            return map;
        }
        let nodes = [map.node, reader.node.clone()];
        let prepared = Backward::<B, 2>::prepare::<C>(TapBackward, nodes).compute_bound();
        prepared.stateless(map.primitive)
    }

    fn exact_conv3(x: Tracked<B>, weight: Tracked<B>, shape: Conv3Shape) -> Tracked<B> {
        // Pixels get no gradient.
        let x = match shape.planes {
            Some(_) => untracked::<B>(x.primitive),
            None => x,
        };
        let out = B::exact_conv3(x.primitive.clone(), weight.primitive.clone(), shape);
        let nodes = [x.node, weight.node];
        match Backward::<B, 2>::prepare::<C>(Conv3Backward, nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                prepared.finish((x.primitive, weight.primitive, shape), out)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }

    fn exact_conv3_input(
        dz: Tracked<B>,
        weight: Tracked<B>,
        shape: Conv3Shape,
        sum: Option<Tracked<B>>,
    ) -> Tracked<B> {
        let sum = sum.map(|sum| sum.primitive);
        untracked::<B>(B::exact_conv3_input(
            dz.primitive,
            weight.primitive,
            shape,
            sum,
        ))
    }

    fn exact_conv3_weight(x: Tracked<B>, dz: Tracked<B>, shape: Conv3Shape) -> Tracked<B> {
        untracked::<B>(B::exact_conv3_weight(x.primitive, dz.primitive, shape))
    }

    fn exact_conv1(
        maps: Vec<Tracked<B>>,
        factors: &[Factors],
        weight: Tracked<B>,
        shape: Conv1Shape,
    ) -> Tracked<B> {
        let values = maps.iter().map(|map| map.primitive.clone()).collect();
        let out = B::exact_conv1(values, factors, weight.primitive.clone(), shape);
        // The state names the nodes, but does not keep them alive.
        let named = maps.iter().map(|map| {
            let mut named = untracked::<B>(map.primitive.clone());
            named.node = map.node.clone();
            named
        });
        let state = Conv1State {
            maps: named.collect(),
            factors: factors.to_vec(),
            weight: weight.primitive,
            shape,
        };
        let gathered = maps.into_iter().reduce(|gathered, map| {
            let nodes = [gathered.node, map.node];
            let prepared = Backward::<B, 2>::prepare::<C>(GatherBackward, nodes).compute_bound();
            prepared.stateless(map.primitive)
        });
        let gathered = gathered.unwrap_or_else(|| untracked::<B>(state.weight.clone()));
        let nodes = [gathered.node, weight.node];
        match Backward::<B, 2>::prepare::<C>(Conv1Backward, nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => prepared.finish(state, out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }

    fn exact_conv1_input(
        dz: Tracked<B>,
        weight: Tracked<B>,
        map: usize,
        factors: &Factors,
        shape: Conv1Shape,
        sum: Option<Tracked<B>>,
    ) -> Tracked<B> {
        let (dz, weight, sum) = (dz.primitive, weight.primitive, sum.map(|sum| sum.primitive));
        untracked::<B>(B::exact_conv1_input(dz, weight, map, factors, shape, sum))
    }

    fn exact_conv1_weight(
        maps: Vec<Tracked<B>>,
        factors: &[Factors],
        dz: Tracked<B>,
        shape: Conv1Shape,
    ) -> Tracked<B> {
        let maps = maps.into_iter().map(|map| map.primitive).collect();
        untracked::<B>(B::exact_conv1_weight(maps, factors, dz.primitive, shape))
    }

    fn exact_norm_relu(
        z: Tracked<B>,
        parameters: NormParameters<Tracked<B>>,
        shape: MapShape,
    ) -> Normed<Tracked<B>> {
        let nodes = [
            z.node,
            parameters.weight.node.clone(),
            parameters.bias.node.clone(),
        ];
        let bias = parameters.bias.primitive.clone();
        let normed = B::exact_norm_relu(
            z.primitive.clone(),
            parameters.map(|tensor| tensor.primitive),
            shape,
        );
        let saved = normed.saved;
        let state = (z.primitive, bias, saved.clone(), shape);
        let y = match Backward::<B, 3>::prepare::<C>(NormReluBackward, nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => prepared.finish(state, normed.y),
            OpsKind::UnTracked(prepared) => prepared.finish(normed.y),
        };
        Normed {
            y,
            running_mean: untracked::<B>(normed.running_mean),
            running_var: untracked::<B>(normed.running_var),
            saved: outer::<B>(saved),
        }
    }

    fn exact_conv3_norm_relu(
        x: Tracked<B>,
        weight: Tracked<B>,
        parameters: NormParameters<Tracked<B>>,
        shape: Conv3Shape,
    ) -> ConvNormed<Tracked<B>> {
        let nodes = [
            x.node,
            weight.node,
            parameters.weight.node.clone(),
            parameters.bias.node.clone(),
        ];
        let (x, weight, parameters) = (
            x.primitive,
            weight.primitive,
            parameters.map(|tensor| tensor.primitive),
        );
        let norm_bias = parameters.bias.clone();
        let ConvNormed { z, normed } =
            B::exact_conv3_norm_relu(x.clone(), weight.clone(), parameters, shape);
        let read = ConvNormRead {
            x,
            z: z.clone(),
            weight,
            norm_bias,
            saved: normed.saved.clone(),
        };
        let y = match Backward::<B, 4>::prepare::<C>(ConvNormReluBackward, nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => prepared.finish((read, shape), normed.y),
            OpsKind::UnTracked(prepared) => prepared.finish(normed.y),
        };
        ConvNormed {
            z: untracked::<B>(z),
            normed: Normed {
                y,
                running_mean: untracked::<B>(normed.running_mean),
                running_var: untracked::<B>(normed.running_var),
                saved: outer::<B>(normed.saved),
            },
        }
    }

    fn exact_norm_relu_backward(
        dy: Tracked<B>,
        z: Tracked<B>,
        bias: Tracked<B>,
        saved: SavedNorm<Tracked<B>>,
        shape: MapShape,
    ) -> [Tracked<B>; 3] {
        let saved = SavedNorm {
            mean: saved.mean.primitive,
            inverse: saved.inverse.primitive,
            scale: saved.scale.primitive,
        };
        let (dy, z, bias) = (dy.primitive, z.primitive, bias.primitive);
        B::exact_norm_relu_backward(dy, z, bias, saved, shape).map(untracked::<B>)
    }

    fn exact_norm_relu_running(
        z: Tracked<B>,
        parameters: NormParameters<Tracked<B>>,
        shape: MapShape,
    ) -> Tracked<B> {
        let parameters = parameters.map(|tensor| tensor.primitive);
        untracked::<B>(B::exact_norm_relu_running(z.primitive, parameters, shape))
    }

    fn exact_max_pool2(y: Tracked<B>, shape: MapShape) -> Tracked<B> {
        let out = B::exact_max_pool2(y.primitive.clone(), shape);
        match Backward::<B, 1>::prepare::<C>(MaxPool2Backward, [y.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => prepared.finish((y.primitive, shape), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }

    fn exact_max_pool2_input(dout: Tracked<B>, y: Tracked<B>, shape: MapShape) -> Tracked<B> {
        untracked::<B>(B::exact_max_pool2_input(dout.primitive, y.primitive, shape))
    }

    fn exact_average(y: Tracked<B>, shape: MapShape) -> Tracked<B> {
        let out = B::exact_average(y.primitive, shape);
        match Backward::<B, 1>::prepare::<C>(AverageBackward, [y.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => prepared.finish((out.clone(), shape), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }

    fn exact_average_input(dmeans: Tracked<B>, shape: MapShape) -> Tracked<B> {
        untracked::<B>(B::exact_average_input(dmeans.primitive, shape))
    }

    fn exact_linear(
        x: Tracked<B>,
        weight: Tracked<B>,
        bias: Tracked<B>,
        shape: Conv1Shape,
    ) -> Tracked<B> {
        let nodes = [x.node, weight.node, bias.node];
        let (x, weight) = (x.primitive, weight.primitive);
        let out = B::exact_linear(x.clone(), weight.clone(), bias.primitive, shape);
        match Backward::<B, 3>::prepare::<C>(LinearBackward, nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => prepared.finish((x, weight, shape), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }

    fn exact_linear_backward(
        dlogits: Tracked<B>,
        x: Tracked<B>,
        weight: Tracked<B>,
        shape: Conv1Shape,
    ) -> [Tracked<B>; 3] {
        let (dlogits, x, weight) = (dlogits.primitive, x.primitive, weight.primitive);
        B::exact_linear_backward(dlogits, x, weight, shape).map(untracked::<B>)
    }

    fn exact_cross_entropy(
        logits: Tracked<B>,
        labels: &[u16],
        smoothing: f64,
    ) -> CrossEntropyOutput<Tracked<B>> {
        let entropy = B::exact_cross_entropy(logits.primitive, labels, smoothing);
        let gradient = entropy.gradient.clone();
        let prepared = Backward::<B, 1>::prepare::<C>(CrossEntropyBackward, [logits.node]);
        let mean = match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(gradient, entropy.mean),
            OpsKind::UnTracked(prepared) => prepared.finish(entropy.mean),
        };
        CrossEntropyOutput {
            mean,
            gradient: untracked::<B>(entropy.gradient),
            sum: entropy.sum,
            correct: entropy.correct,
        }
    }

    fn exact_sums_of_squares(gradients: Vec<Tracked<B>>) -> Tracked<B> {
        let gradients = gradients.into_iter().map(|gradient| gradient.primitive);
        untracked::<B>(B::exact_sums_of_squares(gradients.collect()))
    }

    fn exact_sgd(
        parameter: Tracked<B>,
        velocity: Option<Tracked<B>>,
        gradient: Tracked<B>,
        squares: Tracked<B>,
        step: SgdStep,
    ) -> [Tracked<B>; 2] {
        let velocity = velocity.map(|velocity| velocity.primitive);
        let (parameter, gradient) = (parameter.primitive, gradient.primitive);
        B::exact_sgd(parameter, velocity, gradient, squares.primitive, step).map(untracked::<B>)
    }
}

fn outer<B: Backend>(saved: SavedNorm<FloatTensor<B>>) -> SavedNorm<Tracked<B>> {
    SavedNorm {
        mean: untracked::<B>(saved.mean),
        inverse: untracked::<B>(saved.inverse),
        scale: untracked::<B>(saved.scale),
    }
}
