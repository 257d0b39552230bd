//! Wallets and signed requests against the bittensor package, in both directions.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use axum::http::HeaderMap;
use naschain_bins::programs::WalletArgs;
use naschain_identity::{Auth, Hotkey, SignedParts};
use serde_json::{Value, json};

const NOW: u64 = 1_750_000_000_000_000_000;

/// Calls the bittensor package; `None` if it is not installed.
fn peer(asked: &Value) -> Option<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join("target/python-bittensor/bin/python");
    let check = Command::new(&python)
        .args(["-c", "import bittensor"])
        .output();
    if !check.is_ok_and(|output| output.status.success()) {
        crate::programs::skipped(
            "the bittensor package is not in target/python-bittensor; python/install gets it",
        );
        return None;
    }
    let mut child = Command::new(python)
        .arg(root.join("python/btauth_peer.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(asked.to_string().as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{asked}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn wallet(test: &str) -> WalletArgs {
    let path = std::env::temp_dir().join(format!("naschain-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    WalletArgs {
        path,
        name: "cold".to_owned(),
        hotkey: "hot".to_owned(),
    }
}

/// A request to the bittensor package about a wallet.
fn asked(what: &str, wallet: &WalletArgs) -> Value {
    json!({"do": what, "path": wallet.path, "name": wallet.name, "hotkey": wallet.hotkey})
}

/// Requests with various methods, paths and bodies.
fn requests() -> Vec<Value> {
    let bodies = ["", "{}", "{\"a\":1}", "ümlaut\n\u{0}", &"x".repeat(70_000)];
    let paths = ["/", "/v1/jobs", "/v1/batches?after=10", "/a%20b?c=d&e=%2F"];
    let mut requests = Vec::new();
    for (place, body) in bodies.iter().enumerate() {
        for (number, path) in paths.iter().enumerate() {
            let method = ["GET", "POST", "DELETE"][(place + number) % 3];
            let nonce = NOW + (place * 7 + number) as u64;
            requests.push(json!({"method": method, "path": path, "body": body, "nonce": nonce}));
        }
    }
    requests
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

fn message(request: &Value) -> SignedParts<'_> {
    SignedParts {
        method: text(request, "method"),
        path: text(request, "path"),
        body: text(request, "body").as_bytes(),
    }
}

#[test]
fn bittensor_reads_our_wallets_and_signatures() {
    let wallet = wallet("bittensor-ours");
    let (hotkey, seed) = Hotkey::generate().unwrap();
    hotkey.write(&seed, &wallet.file().unwrap()).unwrap();
    let Some(address) = peer(&asked("address", &wallet)) else {
        return;
    };
    assert_eq!(address, hotkey.address());

    let receiver = Hotkey::from_seed(&[2; 32]);
    let mut signed = requests();
    let mut wanted = Vec::new();
    for (number, request) in signed.iter_mut().enumerate() {
        let nonce = request["nonce"].as_u64().unwrap();
        let auth = Auth::sign(&hotkey, message(request), Some(receiver.address()), nonce);
        let headers = auth.headers().into_iter();
        let headers: serde_json::Map<String, Value> = headers
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        request["headers"] = headers.into();
        request["now"] = NOW.into();
        // Some signatures are invalid, to detect a peer that accepts everything.
        wanted.push(match number % 5 {
            1 => {
                request["path"] = "/other".into();
                "BadSignature"
            }
            3 => {
                request["now"] = (NOW + 11_000_000_000).into();
                "StaleRequest"
            }
            _ => "",
        });
    }
    let asked = json!({"do": "verify", "receiver": receiver.address(), "requests": signed});
    assert_eq!(peer(&asked).unwrap(), json!(wanted));
    std::fs::remove_dir_all(&wallet.path).unwrap();
}

#[test]
fn we_read_wallets_and_signatures_of_bittensor() {
    let wallet = wallet("bittensor-theirs");
    let Some(address) = peer(&asked("create", &wallet)) else {
        return;
    };
    let hotkey = wallet.load().unwrap();
    assert_eq!(address, hotkey.address());

    let receiver = Hotkey::from_seed(&[2; 32]);
    let requests = requests();
    let mut asked = asked("sign", &wallet);
    asked["receiver"] = receiver.address().into();
    asked["requests"] = requests.clone().into();
    let signed = peer(&asked).unwrap();
    for (request, headers) in requests.iter().zip(signed.as_array().unwrap()) {
        let header = |(name, value): (&String, &Value)| {
            let value = value.as_str().unwrap().parse().unwrap();
            (name.parse().unwrap(), value)
        };
        let headers = headers
            .as_object()
            .unwrap()
            .iter()
            .map(header)
            .collect::<Vec<_>>();
        let auth = Auth::from_headers(&HeaderMap::from_iter(headers)).unwrap();
        auth.check(message(request), receiver.address(), NOW)
            .unwrap();
        let other = SignedParts {
            method: "PATCH",
            ..message(request)
        };
        assert!(auth.check(other, receiver.address(), NOW).is_err());
    }
    std::fs::remove_dir_all(&wallet.path).unwrap();
}
