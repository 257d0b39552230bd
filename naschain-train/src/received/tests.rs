use std::ops::ControlFlow::Continue;

use naschain_core::{Digest, StepState};

use super::*;
use crate::states::tests::{Small, small};
use crate::weights::Weights;
use crate::{Epoch, Options, train_from};

fn refused(small: &Small, checkpoint: &Checkpoint) -> String {
    let (network, data, recipe) = (&small.architecture, &small.dataset, &small.recipe);
    let found = checkpoint.check(network, data, recipe);
    let text = found.unwrap_err().to_string();
    // What is refused is not trained on either.
    let mut proceed = |_: &Epoch, _: &Checkpoint| Continue(());
    let from = Some(checkpoint.clone());
    let trained = train_from(
        network,
        data,
        recipe,
        Options::default(),
        from,
        &mut proceed,
    );
    assert_eq!(trained.unwrap_err().to_string(), text);
    text
}

/// A training of three epochs, with a checkpoint within the second and one at its end.
fn checkpoints() -> (Small, Checkpoint, Checkpoint) {
    let mut small = small(5);
    small.recipe.epochs = 3;
    small.recipe.train_images = 4 * small.recipe.batch_size;
    let within = small.at(None, 6);
    let end = small.at(Some(within.clone()), 8);
    (small, within, end)
}

#[test]
fn one_bit_of_any_weight_statistic_or_velocity_changes_the_state() {
    let (small, within, _) = checkpoints();
    let right = within.step_state(&small.recipe);
    let mut changed = within.clone();
    let flip = |value: &mut f32, bit: usize| *value = f32::from_bits(value.to_bits() ^ (1 << bit));
    let mut count = 0;
    for tensor in 0..within.state.weights.tensors.len() {
        for index in 0..within.state.weights.tensors[tensor].values.len() {
            flip(
                &mut changed.state.weights.tensors[tensor].values[index],
                count % 32,
            );
            assert_ne!(changed.step_state(&small.recipe).state, right.state);
            flip(
                &mut changed.state.weights.tensors[tensor].values[index],
                count % 32,
            );
            count += 1;
        }
    }
    for tensor in 0..within.state.velocities.len() {
        let Some(values) = &within.state.velocities[tensor] else {
            continue;
        };
        for index in 0..values.len() {
            let velocity = changed.state.velocities[tensor].as_mut();
            flip(&mut velocity.unwrap()[index], count % 32);
            assert_ne!(changed.step_state(&small.recipe).state, right.state);
            changed.state.velocities[tensor].clone_from(&within.state.velocities[tensor]);
            count += 1;
        }
    }
    assert!(count > 500, "{count} values");
    assert_eq!(changed.step_state(&small.recipe), right);
    changed.state.step += 1;
    assert_ne!(changed.step_state(&small.recipe).state, right.state);
}

#[test]
fn a_checkpoint_of_another_state_is_refused_with_both() {
    let (small, within, end) = checkpoints();
    let (network, data, recipe) = (&small.architecture, &small.dataset, &small.recipe);
    let [a, b] = [&within, &end].map(|checkpoint| checkpoint.step_state(recipe));
    within.check_state(network, data, recipe, 6, a).unwrap();
    end.check_state(network, data, recipe, 8, b).unwrap();
    let refused = |step, expected: StepState| {
        let found = end.check_state(network, data, recipe, step, expected);
        found.unwrap_err().to_string()
    };
    assert_eq!(
        refused(6, a),
        "the checkpoint cannot be used: it is after step 8, not 6"
    );
    let text = refused(8, a);
    for digest in [a.chain, a.state, b.chain, b.state] {
        assert!(text.contains(&digest.to_string()), "{text}");
    }
}

#[test]
fn a_checkpoint_that_no_training_could_resume_from_is_refused() {
    let (small, within, end) = checkpoints();
    let change = |change: &dyn Fn(&mut Checkpoint), of: &Checkpoint| {
        let mut changed = of.clone();
        change(&mut changed);
        // Whoever sends it also writes a checksum.
        let sent = Checkpoint::from_bytes(&changed.to_bytes().unwrap());
        refused(&small, &sent.unwrap())
    };
    let swap = |c: &mut Checkpoint| {
        c.state.weights.tensors.swap(0, 1);
        c.state.velocities.swap(0, 1);
    };
    let text = change(&swap, &within);
    assert!(text.contains("not in declaration order"), "{text}");
    let drop_last = |c: &mut Checkpoint| {
        c.state.weights.tensors.pop();
        c.state.velocities.pop();
    };
    let text = change(&drop_last, &within);
    assert!(text.contains("linear.bias is missing"), "{text}");
    let text = change(
        &|c| c.state.weights.tensors[0].values[0] = f32::NAN,
        &within,
    );
    assert!(text.contains("has the value NaN"), "{text}");
    let infinite = |c: &mut Checkpoint| {
        let velocity = c.state.velocities.iter_mut().flatten().next();
        velocity.unwrap()[0] = f32::INFINITY;
    };
    let text = change(&infinite, &within);
    assert!(
        text.contains("velocity of") && text.contains("inf"),
        "{text}"
    );
    let text = change(&|c| c.state.step = 4, &within);
    assert!(
        text.contains("after epoch 1 and 4 steps; the training has 3 epochs of 4"),
        "{text}"
    );
    let text = change(&|c| c.state.epoch = 3, &within);
    assert!(text.contains("after epoch 3 and 2 steps"), "{text}");
    let text = change(&|c| c.state.epoch = u32::MAX, &end);
    assert!(text.contains("epoch 4294967295 and 0 steps"), "{text}");
    let text = change(&|c| c.state.digest_before = Digest([7; 32]), &end);
    assert!(text.contains("its weights have the digest"), "{text}");
    let mut other = small.clone();
    other.recipe.seed += 1;
    let text = refused(&other, &within);
    assert!(text.contains("a different recipe"), "{text}");
}

#[test]
fn absent_velocities_are_velocities_of_zero() {
    let (small, ..) = checkpoints();
    let mut start = small.at(None, 0);
    let right = start.step_state(&small.recipe);
    for velocity in &mut start.state.velocities {
        *velocity = None;
    }
    assert_eq!(start.step_state(&small.recipe), right);
    start.state.velocities.clear();
    assert_eq!(start.step_state(&small.recipe), right);
    assert_eq!(small.states(Some(start), &[8]), small.states(None, &[8]));
}

#[test]
fn bytes_sent_are_those_of_a_file_and_an_epochs_end_has_no_step() {
    let (_, within, end) = checkpoints();
    let path = std::env::temp_dir().join(format!("naschain-received-{}", std::process::id()));
    for (checkpoint, has_step) in [(&within, true), (&end, false)] {
        checkpoint.save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(checkpoint.to_bytes().unwrap(), bytes);
        let header = bytes.windows(8).any(|part| part == br#"\"step\""#);
        assert_eq!(header, has_step);
        let mut cut = bytes.clone();
        cut.truncate(bytes.len() - 1);
        let text = Checkpoint::from_bytes(&cut).unwrap_err().to_string();
        assert!(
            text.starts_with("the checkpoint cannot be used: not a safetensors"),
            "{text}"
        );
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn only_the_weights_of_the_digest_pass() {
    let (small, ..) = checkpoints();
    let trained = small.whole();
    let digest = trained.measurement.digest;
    let sent = LinkedWeights::from(trained);
    let bytes = sent.to_bytes().unwrap();
    let received = LinkedWeights::from_bytes(&bytes).unwrap();
    received.check(&small.architecture, digest).unwrap();
    sent.check(&small.architecture, digest).unwrap();
    let problem = |change: &dyn Fn(&mut LinkedWeights)| {
        let mut changed = sent.clone();
        change(&mut changed);
        let found = changed.check(&small.architecture, digest);
        found.unwrap_err().to_string()
    };
    let other = |weights: &mut Weights| weights.tensors[3].values[0] += 1.0;
    assert!(problem(&|sent| other(&mut sent.weights)).contains("its training digest is"));
    assert!(problem(&|sent| sent.digest_before = Digest([0; 32])).contains("must be"));
    assert!(problem(&|sent| sent.weights.tensors[0].values[0] = f32::NAN).contains("NaN"));
    assert!(problem(&|sent| drop(sent.weights.tensors.pop())).contains("is missing"));
    let longer = |sent: &mut LinkedWeights| {
        let tensor = sent.weights.tensors[0].clone();
        let name = "other".to_owned();
        sent.weights
            .tensors
            .push(crate::NamedTensor { name, ..tensor });
    };
    assert!(problem(&longer).contains("other is not a tensor"));
    let path = std::env::temp_dir().join(format!("naschain-plain-{}", std::process::id()));
    sent.weights.save(&path).unwrap();
    let plain = LinkedWeights::from_bytes(&std::fs::read(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    assert!(
        plain
            .unwrap_err()
            .to_string()
            .contains("no entry naschain-weights")
    );
}
