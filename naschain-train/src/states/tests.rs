use std::ops::ControlFlow::{self, Break, Continue};

use naschain_core::{Architecture, Digest, MacroSpace, Purpose, Recipe, Stream};
use proptest::prelude::*;

use super::*;
use crate::batches::Normalisation;
use crate::cpu::CpuNetwork;
use crate::engine::StepInput;
use crate::progress::steps_an_epoch;
use crate::schedule::LearningRates;
use crate::weights::{TensorSource, Weights};
use crate::{Epoch, Isa, Trained, drop_path, measure_accuracy, train, train_from, train_until};

/// A training of some seconds' fraction.
#[derive(Clone, Debug)]
pub(crate) struct Small {
    pub(crate) architecture: Architecture,
    pub(crate) dataset: Dataset,
    pub(crate) recipe: Recipe,
}

/// The training number `index`: network, sizes and options are drawn.
pub(crate) fn small(index: u64) -> Small {
    let mut stream = Stream::new(1, Purpose::Simulation, 17, index);
    let mut number = |least: usize, most: usize| least + stream.index(most - least + 1);
    let space = MacroSpace {
        phases: number(1, 2),
        nodes: number(2, 3),
        input: "1x8x8".parse().unwrap(),
        // With one channel the first convolution is not applied, and has no velocity.
        init_channels: number(1, 9),
        classes: 10,
    };
    let bits: String = (0..space.genome_len())
        .map(|_| ['0', '1', '1'][number(0, 2)])
        .collect();
    let genome = naschain_core::Genome::from_bits(bits.chars().map(|bit| bit == '1'));
    let mut recipe = Recipe::default();
    recipe.seed = index;
    recipe.epochs = number(1, 3) as u32;
    recipe.batch_size = number(5, 40);
    recipe.train_images = number(10, 80);
    recipe.validation_images = 30;
    recipe.learning_rate = 0.05;
    recipe.momentum = [0.9, 0.0][usize::from(number(0, 3) == 0)];
    recipe.nesterov = recipe.momentum > 0.0 && number(0, 1) == 1;
    recipe.augmentation.crop_padding = number(0, 2);
    recipe.augmentation.horizontal_flip = number(0, 1) == 1;
    recipe.augmentation.cutout = number(0, 3);
    recipe.label_smoothing = [0.0, 0.1][number(0, 1)];
    recipe.warmup_epochs = number(0, 1).min(recipe.epochs as usize - 1) as u32;
    recipe.drop_path = [0.0, 0.3][number(0, 1)];
    Small {
        architecture: space.decode(&genome).unwrap(),
        dataset: Dataset::digits(),
        recipe,
    }
}

fn proceed(_: u64) -> ControlFlow<()> {
    Continue(())
}

impl Small {
    pub(crate) fn states(&self, from: Option<Checkpoint>, wanted: &[u64]) -> Vec<StepState> {
        self.states_with(Options::default(), from, wanted).unwrap()
    }

    fn states_with(
        &self,
        options: Options,
        from: Option<Checkpoint>,
        wanted: &[u64],
    ) -> Result<Vec<StepState>, Error> {
        let (network, data, recipe) = (&self.architecture, &self.dataset, &self.recipe);
        step_states(network, data, recipe, options, from, wanted, &mut proceed)
    }

    pub(crate) fn at(&self, from: Option<Checkpoint>, step: u64) -> Checkpoint {
        let (network, data, recipe) = (&self.architecture, &self.dataset, &self.recipe);
        let options = Options::default();
        state_at(network, data, recipe, options, from, step, &mut proceed).unwrap()
    }

    fn replay(&self, before: Option<Checkpoint>) -> Result<StepState, Error> {
        let (network, data, recipe) = (&self.architecture, &self.dataset, &self.recipe);
        replay_step(network, data, recipe, Options::default(), before)
    }

    pub(crate) fn whole(&self) -> Trained {
        let (network, data, recipe) = (&self.architecture, &self.dataset, &self.recipe);
        let mut proceed = |_: &Epoch| Continue(());
        train(network, data, recipe, Options::default(), &mut proceed).unwrap()
    }

    fn until(&self, from: Option<Checkpoint>, last: u32) -> Result<Trained, Error> {
        let (network, data, recipe) = (&self.architecture, &self.dataset, &self.recipe);
        let mut proceed = |_: &Epoch, _: &Checkpoint| Continue(());
        let options = Options::default();
        train_until(network, data, recipe, options, from, last, &mut proceed)
    }

    /// All states, by plain loops over epochs and steps and with the bytes of a state in one piece.
    fn expected(&self) -> Vec<StepState> {
        let recipe = &self.recipe;
        let split = Split::draw(&self.dataset, recipe).unwrap();
        let normalisation = Normalisation::new(&self.dataset);
        let source = TensorSource::drawn(recipe.seed);
        let mut network =
            CpuNetwork::build((&self.architecture).into(), source, &Isa::best()).unwrap();
        network.start_training(&[]);
        let images = &self.dataset.train;
        let each = recipe.train_images.div_ceil(recipe.batch_size);
        let rates = LearningRates::new(recipe, each);
        let start = blake3::hash(b"naschain arithmetic 1");
        let mut chain = link(Digest(*start.as_bytes()), &network.read());
        let mut states = vec![state(0, chain, &network)];
        for epoch in 1..=recipe.epochs {
            for indices in split.order(recipe.seed, epoch).chunks(recipe.batch_size) {
                let pixels = normalisation.augmented(images, indices, recipe, epoch);
                let labels = indices.iter().map(|&index| images.labels()[index]);
                let batch = StepInput {
                    pixels: pixels.unwrap(),
                    labels: labels.collect(),
                    factors: drop_path::draw(recipe, epoch, network.paths(), indices),
                };
                network.step(&batch, recipe, rates.rate(states.len() - 1));
                if states.len() % each == 0 {
                    chain = link(chain, &network.read());
                }
                states.push(state(states.len() as u64, chain, &network));
            }
        }
        states
    }
}

fn bytes(weights: &Weights) -> Vec<u8> {
    let tensors = weights.tensors.iter();
    let values = tensors.flat_map(|tensor| &tensor.values);
    values.flat_map(|value| value.to_le_bytes()).collect()
}

fn link(before: Digest, weights: &Weights) -> Digest {
    let whole = [&before.0[..], &bytes(weights)].concat();
    Digest(*blake3::hash(&whole).as_bytes())
}

fn state(step: u64, chain: Digest, network: &CpuNetwork) -> StepState {
    let weights = network.read();
    let mut whole = b"naschain step state 2".to_vec();
    whole.extend(step.to_le_bytes());
    whole.extend(chain.0);
    whole.extend(bytes(&weights));
    for (parameter, velocity) in weights.parameters().zip(network.read_velocities()) {
        let velocity = velocity.unwrap_or_else(|| vec![0.0; parameter.values.len()]);
        whole.extend(velocity.iter().flat_map(|value| value.to_le_bytes()));
    }
    StepState {
        chain,
        state: Digest(*blake3::hash(&whole).as_bytes()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_step_replayed_from_the_state_before_leads_to_the_states_of_the_whole_training(
        index in 0..10_000_u64
    ) {
        let small = small(index);
        let last = steps(&small.recipe);
        let expected = small.expected();
        prop_assert_eq!(expected.len() as u64, last + 1);
        let all: Vec<u64> = (0..=last).collect();
        prop_assert_eq!(&small.states(None, &all), &expected);
        prop_assert_eq!(small.replay(None).unwrap(), expected[0]);
        let mut before = small.at(None, 0);
        for step in 0..last {
            // Each state goes through the bytes that another party would send.
            let sent = before.to_bytes().unwrap();
            let received = Checkpoint::from_bytes(&sent).unwrap();
            prop_assert_eq!(&received, &before);
            let (network, data, recipe) = (&small.architecture, &small.dataset, &small.recipe);
            let right = expected[step as usize];
            received.check_state(network, data, recipe, step, right).unwrap();
            let next = small.replay(Some(received)).unwrap();
            prop_assert_eq!(next, expected[step as usize + 1]);
            before = small.at(Some(before), step + 1);
        }
        prop_assert_eq!(expected[last as usize].chain, small.whole().measurement.digest);
    }

    #[test]
    fn a_training_that_resumes_within_an_epoch_ends_with_the_same_bits(
        index in 0..10_000_u64,
        at in any::<proptest::sample::Index>(),
    ) {
        let small = small(index);
        let last = steps(&small.recipe);
        let step = at.index(last as usize + 1) as u64;
        let checkpoint = small.at(None, step);
        prop_assert_eq!(checkpoint.step(&small.recipe), step);
        let mut report = |_: &Epoch, _: &Checkpoint| Continue(());
        let (network, data, recipe) = (&small.architecture, &small.dataset, &small.recipe);
        let from = Some(checkpoint.clone());
        let options = Options::default();
        let resumed = train_from(network, data, recipe, options, from, &mut report).unwrap();
        prop_assert_eq!(resumed, small.whole());
        let rest: Vec<u64> = (step..=last).collect();
        let states = small.states(Some(checkpoint), &rest);
        prop_assert_eq!(&states[..], &small.expected()[step as usize..]);
    }
}

#[test]
fn threads_and_instruction_sets_do_not_change_the_states() {
    let mut small = small(1);
    small.recipe.batch_size = 70; // three blocks
    small.recipe.train_images = 200;
    let wanted = [0, 1, 2, steps(&small.recipe)];
    let right = small.states(None, &wanted);
    let mut options = Options::default();
    for isa in Isa::ALL {
        if !isa.is_available() {
            println!("{isa:?} is not available on this machine, skipped");
            continue;
        }
        options.isa = Some(isa);
        for threads in [1, 2, 4] {
            options.threads = threads;
            let states = small.states_with(options, None, &wanted).unwrap();
            assert_eq!(states, right, "{isa:?}, {threads} threads");
        }
    }
}

#[test]
fn steps_before_the_checkpoint_out_of_order_or_after_the_last_are_refused() {
    let small = small(2);
    let last = steps(&small.recipe);
    let problem = |from, wanted: &[u64]| {
        let refused = small.states_with(Options::default(), from, wanted);
        refused.unwrap_err().to_string()
    };
    let two = small.at(None, 2);
    let text = problem(Some(two.clone()), &[1]);
    assert!(text.contains("step 1") && text.contains("from 2"), "{text}");
    assert!(problem(None, &[2, 1]).contains("from 2"));
    assert!(problem(None, &[last + 1]).contains(&format!("to {last}")));
    let end = small.at(None, last);
    assert!(matches!(
        small.replay(Some(end)),
        Err(Error::NoSuchStep { found, .. }) if found == last + 1
    ));
    assert_eq!(
        small.states(Some(two.clone()), &[2, 2]),
        [two.step_state(&small.recipe); 2]
    );
}

#[test]
fn a_callback_stops_between_two_steps() {
    let small = small(3);
    let mut seen = Vec::new();
    let mut stop = |step| {
        seen.push(step);
        if step == 2 { Break(()) } else { Continue(()) }
    };
    let (network, data, recipe) = (&small.architecture, &small.dataset, &small.recipe);
    let options = Options::default();
    let wanted = [steps(recipe)];
    let stopped = step_states(network, data, recipe, options, None, &wanted, &mut stop);
    assert!(matches!(stopped, Err(Error::Stopped { .. })));
    assert_eq!(seen, [1, 2]);
}

#[test]
fn a_training_that_pauses_at_epochs_measures_them_and_ends_with_the_same_bits() {
    let mut small = small(4);
    small.recipe.epochs = 3;
    let each = steps_an_epoch(&small.recipe);
    let whole = small.whole();
    let first = small.until(None, 1).unwrap();
    let state = small.states(None, &[each])[0];
    // The training goes on, so that its digest is that of everything that this depends on.
    let digest = first.measurement.digest;
    assert_eq!(digest, state.state);
    let (network, data, recipe) = (&small.architecture, &small.dataset, &small.recipe);
    let options = Options::default();
    let measured = measure_accuracy(network, &first.weights, data, recipe, options).unwrap();
    assert_eq!(measured, first.measurement.accuracy);
    let paused = small.at(None, each);
    let check = |epoch, digest| paused.check_pause(network, data, recipe, epoch, digest);
    check(1, digest).unwrap();
    let refused = check(2, digest).unwrap_err().to_string();
    assert!(
        refused.ends_with("it is after epoch 1 and 0 steps, not after epoch 2"),
        "{refused}"
    );
    let refused = check(1, state.chain).unwrap_err().to_string();
    let text = format!("its digest is {digest}; it must be {}", state.chain);
    assert!(refused.ends_with(&text), "{refused}");
    assert_eq!(small.until(Some(paused.clone()), 1).unwrap(), first);
    assert_eq!(small.until(Some(paused.clone()), 3).unwrap(), whole);
    let within = small.at(Some(paused), each + 1);
    let refused = small.until(Some(within), 1).unwrap_err().to_string();
    assert_eq!(
        refused,
        "the training cannot end after epoch 1; it can after epochs 2 to 3"
    );
    assert!(matches!(
        small.until(None, 4),
        Err(Error::NoSuchEpoch { .. })
    ));
}
