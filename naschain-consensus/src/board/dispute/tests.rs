use proptest::prelude::*;

use super::*;

fn state(step: u64, how: u64) -> StepState {
    let digest = |tag: u8| {
        let mut bytes = [tag; 32];
        bytes[..8].copy_from_slice(&step.to_le_bytes());
        bytes[8..16].copy_from_slice(&how.to_le_bytes());
        Digest(bytes)
    };
    StepState {
        chain: digest(1),
        state: digest(2),
    }
}

/// Follows a dispute between two trainings until the referee is called, and returns its task and the
/// number of questions about states to each side.
fn follow(steps: u64, sides: [&dyn Fn(u64) -> u64; 2]) -> (RefereeTask, [u32; 2]) {
    let disputable = DisputableSteps::of_whole_training(steps);
    let mut dispute = Dispute::default();
    let mut messages = [0; 2];
    loop {
        match dispute.next_move([0, 1], &disputable) {
            NextMove::Ask(questions) => {
                for (seat, question) in questions {
                    let Question::States { steps: asked } = question else {
                        dispute.received.push(question);
                        continue;
                    };
                    assert!(asked.len() <= 64 && asked.is_sorted_by(|a, b| a < b));
                    messages[seat] += 1;
                    let states = asked.iter().map(|step| state(*step, sides[seat](*step)));
                    let states: Vec<StepState> = states.collect();
                    let answered = state(steps, sides[seat](steps)).chain;
                    assert!(disputable.admits(&asked, &states, answered));
                    dispute.testify(seat, &asked, &states);
                }
            }
            NextMove::Call(task) => return (task, messages),
            NextMove::Decide(..) => panic!("the referee has found nothing yet"),
        }
    }
}

/// The step that the referee has to compute, for trainings that differ from `parting` on.
fn check_parting(steps: u64, parting: u64) -> u32 {
    let (task, messages) = follow(steps, [&|_| 0, &|step| u64::from(step >= parting)]);
    let before = parting.checked_sub(1).map(|step| state(step, 0));
    let step = parting;
    assert_eq!(task, RefereeTask::Step { step, before }, "of {steps} steps");
    assert_eq!(messages[0], messages[1]);
    messages[0]
}

#[test]
fn every_first_difference_is_found_in_fewer_messages_than_bisection_needs() {
    let bound = |steps: u64| steps.next_power_of_two().trailing_zeros();
    for steps in 1..=300 {
        for parting in 0..=steps {
            let messages = check_parting(steps, parting);
            assert!(
                messages <= 2 && (steps < 3 || messages < bound(steps)),
                "{steps}"
            );
        }
    }
    for exponent in 9..63 {
        for steps in [(1 << exponent) - 1, 1 << exponent, (1 << exponent) + 1] {
            for parting in [0, 1, 2, steps / 3, steps / 2, steps - 1, steps] {
                assert!(check_parting(steps, parting) < bound(steps), "{steps}");
            }
        }
    }
}

proptest! {
    /// A liar may return to the honest states for a while: then any step where the two part will do.
    #[test]
    fn the_referee_computes_a_step_whose_state_before_is_agreed(
        steps in 1u64..2_000,
        lies in prop::collection::vec(any::<bool>(), 2_001),
    ) {
        let lie = |step: u64| u64::from(step == steps || lies[step as usize]);
        let (task, _) = follow(steps, [&|_| 0, &lie]);
        let RefereeTask::Step { step, before } = task else {
            panic!("{task:?}");
        };
        prop_assert_eq!(lie(step), 1);
        match before {
            Some(before) => {
                prop_assert_eq!(before, state(step - 1, 0));
                prop_assert_eq!(lie(step - 1), 0);
            }
            None => prop_assert_eq!(step, 0),
        }
    }

    #[test]
    fn points_are_spread_evenly_between_both_ends(from in 0..u64::MAX / 2, span in 0..u64::MAX / 2) {
        let points = spread(from, from + span);
        prop_assert_eq!((points[0], points[points.len() - 1]), (from, from + span));
        prop_assert_eq!(points.len() as u64, (span + 1).min(64));
        let gaps = || points.windows(2).map(|two| two[1] - two[0]);
        if let (Some(least), Some(largest)) = (gaps().min(), gaps().max()) {
            prop_assert!(least > 0 && largest - least <= 1);
        }
    }
}

#[test]
fn testimony_must_be_whole_and_end_with_the_digest_that_was_answered() {
    let states = [state(0, 0), state(5, 0)];
    let whole = DisputableSteps::of_whole_training(5);
    let answered = states[1].chain;
    assert!(whole.admits(&[0, 5], &states, answered));
    assert!(whole.admits(&[0], &states[..1], answered));
    assert!(!whole.admits(&[0, 5], &states[..1], answered));
    assert!(!whole.admits(&[0], &states, answered));
    assert!(!whole.admits(&[0, 5], &states, states[0].chain));
    // Where a training pauses its miners answer the digest of the whole state.
    assert!(!whole.admits(&[0, 5], &states, states[1].state));
    let pauses = true;
    let part = DisputableSteps { pauses, ..whole };
    assert!(part.admits(&[0, 5], &states, states[1].state));
    assert!(!part.admits(&[0, 5], &states, answered));
}

#[test]
fn testimony_about_a_part_begins_with_the_state_that_was_agreed_on() {
    let part = DisputableSteps {
        first: 4,
        last: 6,
        first_state: Some(state(4, 0).state),
        pauses: false,
    };
    let answered = state(6, 0).chain;
    let [right, other] = [0, 1].map(|how| [state(4, how), state(6, 0)]);
    assert!(part.admits(&[4, 6], &right, answered));
    assert!(!part.admits(&[4, 6], &other, answered));
    // Nothing before its first step is asked.
    let NextMove::Ask(asked) = Dispute::default().next_move([0, 2], &part) else {
        panic!("nothing is asked");
    };
    let steps = states(vec![4, 5, 6]);
    assert_eq!(asked, [(0, steps.clone()), (2, steps)]);
}

#[test]
fn an_invented_chain_at_the_start_of_a_part_is_no_difference_there() {
    let part = DisputableSteps {
        first: 4,
        last: 6,
        first_state: Some(state(4, 0).state),
        pauses: true,
    };
    let mut dispute = Dispute::default();
    let honest = [4, 5, 6].map(|step| state(step, 0));
    let mut invented = [state(4, 0), state(5, 1), state(6, 1)];
    invented[0].chain = state(4, 1).chain;
    assert!(part.admits(&[4, 5, 6], &honest, honest[2].state));
    assert!(part.admits(&[4, 5, 6], &invented, invented[2].state));
    dispute.testify(0, &[4, 5, 6], &honest);
    dispute.testify(1, &[4, 5, 6], &invented);
    let checkpoint = |state| Question::Checkpoint { step: 4, state };
    let asked = dispute.next_move([0, 1], &part);
    let question = checkpoint(honest[0]);
    assert_eq!(asked, NextMove::Ask(vec![(0, question.clone())]));
    dispute.received.push(question);
    let before = Some(honest[0]);
    let task = RefereeTask::Step { step: 5, before };
    assert_eq!(dispute.next_move([0, 1], &part), NextMove::Call(task));
    // Where the liar is asked, it has to deliver a checkpoint that nobody can have.
    let question = checkpoint(invented[0]);
    let asked = dispute.next_move([1, 0], &part);
    assert_eq!(asked, NextMove::Ask(vec![(1, question)]));
}

#[test]
fn a_ruling_decides_about_other_miners_with_the_same_states() {
    let disputable = DisputableSteps::of_whole_training(3);
    let mut dispute = Dispute::default();
    for seat in 0..3 {
        let states: Vec<StepState> = (0..=3)
            .map(|step| state(step, u64::from(seat > 0 && step > 1)))
            .collect();
        dispute.testify(seat, &[0, 1, 2, 3], &states);
    }
    let checkpoint = Question::Checkpoint {
        step: 1,
        state: state(1, 0),
    };
    let ask = NextMove::Ask(vec![(0, checkpoint.clone())]);
    assert_eq!(dispute.next_move([0, 1], &disputable), ask);
    dispute.received.push(checkpoint);
    let NextMove::Call(task) = dispute.next_move([0, 1], &disputable) else {
        panic!("not called");
    };
    let found = state(2, 0);
    let ruling = Ruling::Step { step: 2, found };
    dispute.record(task, ruling);
    let next = dispute.next_move([0, 2], &disputable);
    assert_eq!(next, NextMove::Decide(task, ruling));
}
