//! The tensors of a network as they are stored, from and to the buffers of its parameters.

use super::{Role, Tensor};
use crate::weights::Weights;

/// Every tensor, given all parameters; `running_mean` and `running_var` read those of a batch norm.
pub(crate) fn read_weights(
    tensors: &[Tensor],
    parameters: &[f32],
    running_mean: impl Fn(usize) -> Vec<f32>,
    running_var: impl Fn(usize) -> Vec<f32>,
) -> Weights {
    let tensors = tensors.iter().map(|tensor| {
        tensor.named(match &tensor.role {
            Role::Trained(weight) => weight.get(parameters),
            Role::Idle(values) | Role::IdleStatistic(values) => values.clone(),
            Role::RunningMean(norm) => running_mean(*norm),
            Role::RunningVar(norm) => running_var(*norm),
        })
    });
    Weights {
        tensors: tensors.collect(),
    }
}

/// The velocity of each declared parameter, given all velocities; `None` if it has none.
pub(crate) fn read_velocities<'t>(
    declared: impl Iterator<Item = &'t Tensor>,
    velocities: &[f32],
) -> Vec<Option<Vec<f32>>> {
    let read = declared.map(|tensor| match &tensor.role {
        Role::Trained(weight) => Some(weight.get(velocities)),
        _ => None,
    });
    read.collect()
}

/// The inverse of [`read_velocities`], for `count` parameters.
pub(crate) fn all_velocities<'t>(
    declared: impl Iterator<Item = &'t Tensor>,
    velocities: &[Option<Vec<f32>>],
    count: usize,
) -> Vec<f32> {
    let mut all = vec![0.0; count];
    for (tensor, values) in declared.zip(velocities) {
        if let (Role::Trained(weight), Some(values)) = (&tensor.role, values) {
            weight.put(values, &mut all);
        }
    }
    all
}
