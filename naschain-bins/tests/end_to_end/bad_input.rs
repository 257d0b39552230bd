//! Random input for everything that reads from the network or from a file. Each property runs a
//! few hundred cases, or the number in PROPTEST_CASES:
//!
//!     PROPTEST_CASES=1000000 cargo test --release -p naschain-bins --test end_to_end bad_input::

use std::sync::OnceLock;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request};
use naschain_bins::{
    AllowList, Coordinator, JournalPlace, LegacyCredentials, create_or_check, read_spec,
};
use naschain_core::Genome;
use naschain_identity::{Auth, Hotkey, SignedParts, ss58};
use naschain_run::{HeartbeatRequest, JobRequest, JoinRequest, Proof, ResultRequest};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::programs::legacy_router;

/// Valid text that is cut, repeated and mixed with unusual characters.
fn nearly(samples: &'static [&'static str]) -> impl Strategy<Value = String> {
    let sample = proptest::sample::select(samples);
    let edits = proptest::collection::vec((any::<u16>(), 0u8..4, any::<char>()), 0..4);
    (sample, edits).prop_map(|(sample, edits)| {
        let mut text: Vec<char> = sample.chars().collect();
        for (place, what, letter) in edits {
            let place = usize::from(place) % (text.len() + 1);
            match what {
                0 => text.insert(place, letter),
                1 => text.truncate(place),
                2 => drop(text.get(place).is_some().then(|| text.remove(place))),
                _ => text.extend_from_within(place..),
            }
        }
        text.into_iter().collect()
    })
}

/// Arbitrary JSON, nested a few levels deep.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let name = "(measured|failed|malformed|accuracy|params|flops|digest|miner|row|run|[a-z]{0,4})";
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const BODIES: &[&str] = &[
    r#"{"miner":"ada"}"#,
    r#"{"miner":"ada","name":"a","jobs":2}"#,
    r#"{"miner":"ada","wait_ms":0}"#,
    r#"{"miner":"ada","epoch":1}"#,
    r#"{"miner":"ada","row":{"failed":"x"},"run":"0000000000000000000000000000000000000000000000000000000000000000"}"#,
    r#"{"miner":"ada","row":{"measured":{"accuracy":97.5,"params":5,"flops":6,"digest":"00"}}}"#,
    r#"{"user_name":7}"#,
    r#"{"user_name":7,"genome_string":"1010-0101","response_values":[90.0,0.5,3.25,100.0,"gpu",1,"0.0.1"]}"#,
    "",
];
const PATHS: &[&str] = &[
    "/healthz",
    "/identity",
    "/v1/run",
    "/v1/join",
    "/v1/jobs",
    "/v1/leases/1/heartbeat",
    "/v1/leases/1/result",
    "/v1/batches?after=0",
    "/v1/front",
    "/request_job",
    "/finish_job",
    "/handle_valid_request",
];
const WALLETS: &[&str] = &[
    r#"{"ss58Address":"5HB7kpn92RS7uF9uWn8bXSvPVKFPg8kPUFDd5sbveGjX6Dbi","cryptoType":1,"secretSeed":"0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"}"#,
    r#"{"secretSeed":"0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f","publicKey":null}"#,
    "$NACLxyz",
];
const PROOFS: &[&str] = &[
    r#"{"method":"POST","path":"/v1/join","body":"{\"miner\":\"ada\"}","nonce":1,"receiver":"a","hotkey":"b","signature":"0x00"}"#,
    "{}",
];
const GENOMES: &[&str] = &["1010-0101", "0", "", "11111111111111111111", "01 01", "1_0"];
const LISTS: &[&str] = &[
    "# a\n5HB7kpn92RS7uF9uWn8bXSvPVKFPg8kPUFDd5sbveGjX6Dbi lab\nuid-7 lab\n",
    "7:token-of-seven\n8:token-of-eight\n",
];

/// The routes of a genomaster that requires signatures and of one that does not, both with those
/// of the reference network.
fn routers() -> &'static (tokio::runtime::Runtime, [Router; 2]) {
    static ROUTERS: OnceLock<(tokio::runtime::Runtime, [Router; 2])> = OnceLock::new();
    ROUTERS.get_or_init(|| {
        let dir = crate::programs::folder("bad-input");
        crate::programs::succeeded(
            crate::programs::search(
                &dir.join("template"),
                &["--generations=1", "--population=2"],
            )
            .output()
            .unwrap(),
        );
        let spec = read_spec(&dir.join("template/run.json")).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let router = |name: &str, hotkey| {
            runtime.block_on(async {
                let run = dir.join(name);
                create_or_check(spec.clone(), &run).unwrap();
                let coordinator = Coordinator::open(JournalPlace::of_run(&run), spec.clone())
                    .await
                    .unwrap();
                legacy_router(coordinator, hotkey)
            })
        };
        let routers = [
            router("signed", Some(Hotkey::from_seed(&[1; 32]))),
            router("unsigned", None),
        ];
        (runtime, routers)
    })
}

proptest! {
    #[test]
    fn every_request_is_answered(
        which in 0usize..2,
        method in proptest::sample::select(&["GET", "POST", "PUT", "HEAD", "PATCH"][..]),
        path in nearly(PATHS),
        body in prop_oneof![nearly(BODIES), value().prop_map(|value| value.to_string())],
        header in (proptest::sample::select(&["X-Bittensor-Nonce", "X-Bittensor-Version", "Content-Type", "Authorization"][..]), "[ -~]{0,40}"),
        signs in any::<bool>(),
    ) {
        // No client can send such a request line; it is rejected before routing.
        let uri = path.parse().ok().filter(|uri: &axum::http::Uri| uri.path().starts_with('/'));
        let Some(uri) = uri else { return Ok(()) };
        let mut request = Request::builder().method(method).uri(uri);
        request = request.header("content-type", "application/json");
        if signs {
            let hotkey = Hotkey::from_seed(&[2; 32]);
            let message = SignedParts { method, path: &path, body: body.as_bytes() };
            let nonce = naschain_bins::unix_nanos();
            let receiver = Hotkey::from_seed(&[1; 32]);
            for (name, value) in Auth::sign(&hotkey, message, Some(receiver.address()), nonce).headers() {
                request = request.header(name, value);
            }
        }
        let mut request = request.body(Body::from(body)).unwrap();
        if let Ok(value) = HeaderValue::from_str(&header.1) && !signs {
            request.headers_mut().insert(header.0, value);
        }
        let (runtime, routers) = routers();
        let answer = runtime.block_on(routers[which].clone().oneshot(request)).unwrap();
        // The reference network answers 503 when there is nothing yet.
        let status = answer.status().as_u16();
        prop_assert!(status < 500 || status == 503, "{status}");
    }

    #[test]
    fn bodies_are_parsed_or_refused(text in nearly(BODIES), row in value()) {
        let _ = serde_json::from_str::<JoinRequest>(&text);
        let _ = serde_json::from_str::<JobRequest>(&text);
        let _ = serde_json::from_str::<HeartbeatRequest>(&text);
        let _ = serde_json::from_str::<ResultRequest>(&text);
        let answer = json!({"miner": "ada", "row": row});
        let row = serde_json::from_value::<ResultRequest>(answer).unwrap().row();
        // What was parsed is stored and parsed again, with the same value.
        let kept = serde_json::to_string(&row).unwrap();
        prop_assert_eq!(serde_json::from_str::<naschain_consensus::Row>(&kept).unwrap(), row);
        prop_assert!(kept.len() < 4000);
    }

    #[test]
    fn headers_are_parsed_or_refused(names in proptest::collection::vec((0usize..6, proptest::collection::vec(any::<u8>(), 0..140)), 0..8)) {
        const NAMES: [&str; 6] = ["version", "hotkey", "receiver", "nonce", "crypto", "signature"];
        let mut headers = HeaderMap::new();
        for (name, value) in names {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(axum::http::HeaderName::try_from(format!("x-bittensor-{}", NAMES[name])).unwrap(), value);
            }
        }
        prop_assert!(Auth::from_headers(&headers).is_err());
    }

    #[test]
    fn files_are_parsed_or_refused(wallet in nearly(WALLETS), list in nearly(LISTS), proof in nearly(PROOFS)) {
        if let Ok(hotkey) = Hotkey::parse(&wallet) {
            prop_assert!(ss58::decode(hotkey.address()).is_ok());
        }
        let _ = AllowList::parse(&list);
        let _ = LegacyCredentials::parse(&list);
        if let Ok(proof) = Proof::parse(&proof) {
            prop_assert!(proof.check_signature().is_err());
        }
    }

    #[test]
    fn genomes_and_addresses_are_parsed_or_refused(genome in nearly(GENOMES), address in "[1-9A-HJ-NP-Za-km-z]{40,50}") {
        if let Ok(genome) = genome.parse::<Genome>() {
            prop_assert_eq!(genome.to_string().parse::<Genome>().unwrap(), genome);
        }
        if let Ok(key) = ss58::decode(&address) {
            prop_assert_eq!(ss58::encode(&key), address);
        }
    }
}
