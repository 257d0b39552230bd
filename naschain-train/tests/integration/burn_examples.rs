//! The examples of training by burn: the loop by hand and burn's Learner reach the digest of a miner,
//! and a residual network has one digest with all instruction sets and numbers of threads. They fail
//! otherwise.

#[path = "../../examples/burn_learner.rs"]
mod learner;
#[path = "../../examples/burn_resnet.rs"]
mod resnet;
#[path = "../../examples/burn_training.rs"]
mod training;

#[test]
fn a_loop_of_burn_reaches_the_digest_of_a_miner() {
    training::main().unwrap();
}

#[test]
fn the_learner_of_burn_reaches_the_digest_of_a_miner() {
    learner::main().unwrap();
}

#[test]
fn a_residual_network_has_one_digest() {
    resnet::main().unwrap();
}
