use super::*;
use naschain_consensus::QuestionId;
use naschain_identity::Hotkey;
use serde_json::json;

const RUN: Digest = Digest([5; 32]);

fn verify(event: &Event, proof: &str, run: Digest) -> Result<(), ProofError> {
    Proof::parse(proof)?.check(event, &RequestRules::new(run, true))
}

fn hotkey() -> Hotkey {
    Hotkey::from_seed(&[1; 32])
}

fn miner() -> MinerId {
    hotkey().address().parse().unwrap()
}

fn proof(path: &str, body: serde_json::Value) -> String {
    let body = body.to_string();
    let message = SignedParts {
        method: "POST",
        path,
        body: body.as_bytes(),
    };
    let receiver = Hotkey::from_seed(&[2; 32]);
    let auth = Auth::sign(&hotkey(), message, Some(receiver.address()), 77);
    serde_json::to_string(&Proof::new(&auth, message).unwrap()).unwrap()
}

fn cases() -> Vec<(Event, String)> {
    let (miner, name) = (miner(), hotkey().address().to_owned());
    let (lease, row) = (LeaseId(4), Row::Failed("x".to_owned()));
    vec![
        (
            Event::Join {
                miner: miner.clone(),
            },
            proof("/v1/join", json!({"miner": name, "run": RUN})),
        ),
        (
            Event::Register {
                miner: miner.clone(),
                owner: Some("o".parse().unwrap()),
                capacity: 3,
            },
            proof("/v1/join", json!({"miner": name, "jobs": 3, "run": RUN})),
        ),
        (
            Event::Request {
                miner: miner.clone(),
            },
            proof("/v1/jobs", json!({"miner": name, "wait_ms": 9, "run": RUN})),
        ),
        (
            Event::Heartbeat {
                miner: miner.clone(),
                lease,
                epoch: 2,
            },
            proof(
                "/v1/leases/4/heartbeat",
                json!({"miner": name, "epoch": 2, "run": RUN}),
            ),
        ),
        (
            Event::Leave {
                miner: miner.clone(),
            },
            proof("/v1/leave", json!({"miner": name, "run": RUN})),
        ),
        (
            Event::Testify {
                miner: miner.clone(),
                question: QuestionId(4),
                states: vec![StepState {
                    chain: RUN,
                    state: RUN,
                }],
            },
            proof(
                "/v1/questions/4/states",
                json!({"miner": name, "run": RUN, "states": [{"chain": RUN, "state": RUN}]}),
            ),
        ),
        (
            Event::Submit { miner, lease, row },
            proof(
                "/v1/leases/4/result",
                json!({"miner": name, "row": {"failed": "x"}, "run": RUN}),
            ),
        ),
    ]
}

#[test]
fn a_proof_proves_its_own_event_and_no_other() {
    let cases = cases();
    for (place, (event, _)) in cases.iter().enumerate() {
        for (other, (_, proof)) in cases.iter().enumerate() {
            let found = verify(event, proof, RUN);
            assert_eq!(
                found.is_ok(),
                place == other,
                "{event:?} by {proof}: {found:?}"
            );
        }
    }
    assert!(verify(&Event::Tick, &cases[0].1, RUN).is_err());
    let (submit, proof) = &cases[6];
    let other_run = verify(submit, proof, Digest([6; 32])).unwrap_err();
    assert!(matches!(other_run, ProofError::OtherEvent(_)));
    assert_eq!(Proof::parse(proof).unwrap().lease(), Some(LeaseId(4)));
}

#[test]
fn requests_name_their_run_except_in_runs_of_the_first_version() {
    let miner = miner();
    let body = |run: Option<Digest>| json!({"miner": miner, "wait_ms": 9, "run": run});
    let event = Event::Request {
        miner: miner.clone(),
    };
    for (named, must_name_run, valid) in [
        (Some(RUN), true, true),
        (Some(RUN), false, true),
        (None, true, false),
        (None, false, true),
        (Some(Digest([6; 32])), true, false),
        (Some(Digest([6; 32])), false, false),
    ] {
        let proof = Proof::parse(&proof("/v1/jobs", body(named))).unwrap();
        let found = proof.check(&event, &RequestRules::new(RUN, must_name_run));
        assert_eq!(found.is_ok(), valid, "{named:?} {must_name_run}");
    }
}

#[test]
fn numbers_and_texts_have_one_spelling() {
    for path in ["01", "+1", "%31", "1.0", "", "18446744073709551616"] {
        assert_eq!(lease_in_path(&format!("/v1/leases/{path}/result")), None);
    }
    assert_eq!(lease_in_path("/v1/leases/10/result"), Some(LeaseId(10)));
    let (_, proof) = &cases()[0];
    assert!(Proof::parse(proof).is_ok());
    assert!(Proof::parse(&format!("{proof} ")).is_err());
    assert!(Proof::parse(&proof.replace("\"method\":", "\"method\": ")).is_err());
}

#[test]
fn every_changed_byte_is_found() {
    let (event, proof) = &cases()[6];
    for place in 0..proof.len() {
        for change in [1, 2] {
            let mut bytes = proof.clone().into_bytes();
            bytes[place] ^= change;
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            // Hexadecimal digits may be written in capitals; these changes make none.
            assert!(verify(event, &text, RUN).is_err(), "byte {place}: {text}");
        }
    }
}
