//! The validator's calls against Subtensor's own runtime, which chopsticks executes.
//!
//! `NASCHAIN_SUBTENSOR_SPEC` is the path of a chain specification with that runtime: `aura-dev.json`
//! of the public repository opentensor/subtensor, commit f59e608b2. `NASCHAIN_CHOPSTICKS` is the
//! folder `node_modules` with @acala-network/chopsticks 1.5.1, as `npm install` makes it. Without
//! a specification the test is skipped; with one, chopsticks has to be there.

mod actors;
mod chopsticks;
mod commits;
mod metagraph;
mod refusals;
#[path = "../skipping/mod.rs"]
mod skipping;
mod weights;

use actors::Subnet;
use chopsticks::Chopsticks;
use skipping::skipped;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_and_commits_are_accepted_by_the_runtime_of_subtensor() {
    let Some(spec) = std::env::var_os("NASCHAIN_SUBTENSOR_SPEC") else {
        skipped("NASCHAIN_SUBTENSOR_SPEC names no chain specification of Subtensor");
        return;
    };
    let modules = std::env::var_os("NASCHAIN_CHOPSTICKS");
    let modules = modules.expect(
        "NASCHAIN_CHOPSTICKS is the folder node_modules after `npm install @acala-network/chopsticks@1.5.1`",
    );
    let chopsticks = Chopsticks::start(spec.as_ref(), modules.as_ref()).await;
    let mut subnet = Subnet::create(chopsticks.url()).await;
    metagraph::three_ways_agree(&mut subnet).await;
    refusals::each_has_its_name(&mut subnet).await;
    weights::plain_weights_are_set_once(&mut subnet, &chopsticks.folder).await;
    commits::a_commit_is_revealed_by_the_runtime(&mut subnet, &chopsticks.folder).await;
}
