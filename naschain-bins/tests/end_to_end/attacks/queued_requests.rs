//! A signed request is judged when its event is applied, not only when it arrives: it may have waited
//! in the queue for as long as the disk takes.

use std::sync::Arc;
use std::time::Duration;

use naschain_bins::{CallError, Coordinator, JournalPlace, unix_nanos};
use naschain_consensus::{Event, MinerId};
use naschain_identity::{Auth, Hotkey, MAX_AGE_NS, SignedParts};
use naschain_run::Proof;
use serde_json::json;

use crate::operations::simulated;
use crate::programs::folder;

struct Queue {
    coordinator: Arc<Coordinator>,
    ada: Hotkey,
}

impl Queue {
    async fn open(dir: &std::path::Path) -> Queue {
        std::fs::create_dir_all(dir).unwrap();
        let spec = simulated::spec(2, 2, 3);
        let coordinator = Coordinator::open(JournalPlace::of_run(dir), spec).await;
        Queue {
            coordinator: coordinator.unwrap(),
            ada: Hotkey::from_seed(&[1; 32]),
        }
    }

    /// A join as the server hands it over once it has verified the signature.
    fn signed(&self, path: &str, miner: &str, nonce: u64) -> Proof {
        let body = json!({"miner": miner, "jobs": 1, "run": self.coordinator.run()}).to_string();
        let message = SignedParts {
            method: "POST",
            path,
            body: body.as_bytes(),
        };
        let genomaster = Hotkey::from_seed(&[9; 32]);
        let auth = Auth::sign(&self.ada, message, Some(genomaster.address()), nonce);
        Proof::new(&auth, message).unwrap()
    }

    /// Applies the join of ada with this proof; returns the error, and the number of events.
    async fn apply(&self, proof: Proof) -> (Option<CallError>, u64) {
        let join = Event::Register {
            miner: self.ada.address().parse::<MinerId>().unwrap(),
            owner: None,
            capacity: 1,
        };
        let applied = self.coordinator.handle(join, Some(proof)).await;
        let events = self.coordinator.with_state(|state| state.events()).await;
        (applied.err(), events)
    }
}

#[tokio::test]
#[ignore = "takes 10 to 20 seconds; .ci/run runs it"]
async fn a_request_that_has_become_too_old_in_the_queue_is_refused() {
    let dir = folder("queued-too-long");
    let queue = Queue::open(&dir).await;
    let name = queue.ada.address();
    let waited = queue.signed("/v1/join", name, unix_nanos());
    tokio::time::sleep(Duration::from_nanos(MAX_AGE_NS + 500_000_000)).await;
    let (error, events) = queue.apply(waited).await;
    let error = error.expect("it is too old").to_string();
    assert!(
        error.contains("the maximum is 10 s") && events == 0,
        "{error}"
    );

    let fresh = queue.signed("/v1/join", name, unix_nanos());
    assert!(matches!(queue.apply(fresh.clone()).await, (None, 1)));
    let (replayed, events) = queue.apply(fresh).await;
    let replayed = replayed.expect("its nonce is used").to_string();
    assert!(replayed.contains("nonce") && events == 1, "{replayed}");
    queue.coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn what_an_audit_would_refuse_is_not_written() {
    let dir = folder("queued-other-event");
    let queue = Queue::open(&dir).await;
    let (name, bob) = (queue.ada.address(), Hotkey::from_seed(&[2; 32]));
    for (path, miner) in [
        ("/v1/join?x=1", name),
        ("/v1/jo%69n", name),
        ("/v1/leave", name),
        ("/v1/join", bob.address()),
    ] {
        let (error, events) = queue.apply(queue.signed(path, miner, unix_nanos())).await;
        assert!(error.is_some() && events == 0, "{path} {miner}");
    }
    queue.coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}
