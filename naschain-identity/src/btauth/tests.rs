use super::*;
use proptest::prelude::*;
use serde_json::Value;

const RECEIVING: &str = "5EyGCs2xUXhBtrZVkopib4jhHFDYifpotn1k1aUKUo1PC86J";

fn vector() -> Value {
    let text = include_str!("../../tests/fixtures/btauth_vector.json");
    serde_json::from_str(text).unwrap()
}

fn headers(vector: &Value) -> HeaderMap {
    let headers = vector["headers"].as_object().unwrap();
    let header = |(name, value): (&String, &Value)| {
        let value = value.as_str().unwrap().parse().unwrap();
        (name.parse().unwrap(), value)
    };
    headers
        .iter()
        .map(header)
        .collect::<Vec<_>>()
        .into_iter()
        .collect()
}

#[test]
fn other_signature_schemes_are_refused_by_name() {
    let problem = |scheme: &str| {
        let mut headers = headers(&vector());
        headers.insert(CRYPTO, scheme.parse().unwrap());
        match Auth::from_headers(&headers) {
            Err(AuthError::Malformed { header, problem }) if header == CRYPTO => problem,
            other => panic!("{scheme}: {other:?}"),
        }
    };
    for scheme in ["ed25519", "hashed", "mldsa"] {
        let expected = format!(
            "is {scheme}; of the schemes of btauth/1 (sr25519, ed25519, hashed, mldsa) only sr25519 is supported, so it must be sr25519, or missing"
        );
        assert_eq!(problem(scheme), expected);
    }
    let unknown = problem(&"x".repeat(5_000));
    assert!(unknown.contains("none of the schemes") && unknown.len() < 200);
    // As the field's own programs name it, when they do.
    let mut named = headers(&vector());
    named.insert(CRYPTO, "sr25519".parse().unwrap());
    assert!(Auth::from_headers(&named).is_ok());
}

#[test]
fn the_vector_of_the_bittensor_package_holds() {
    let vector = vector();
    let text = |name: &str| vector[name].as_str().unwrap();
    let auth = Auth::from_headers(&headers(&vector)).unwrap();
    let message = SignedParts {
        method: text("method"),
        path: text("path"),
        body: text("body").as_bytes(),
    };
    assert_eq!(auth.payload(message), text("payload"));
    auth.check(message, RECEIVING, auth.nonce + MAX_AGE_NS)
        .unwrap();
    auth.check(message, RECEIVING, auth.nonce - MAX_AHEAD_NS)
        .unwrap();

    let mut seed = [0; 32];
    hex::decode_to_slice(&text("seed")[2..], &mut seed).unwrap();
    let hotkey = Hotkey::from_seed(&seed);
    assert_eq!(hotkey.address(), text("ss58"));
    let ours = Auth::sign(&hotkey, message, Some(RECEIVING), auth.nonce);
    assert_eq!((&ours.hotkey, ours.nonce), (&auth.hotkey, auth.nonce));
    ours.check(message, RECEIVING, auth.nonce).unwrap();
}

#[test]
fn changing_any_signed_part_breaks_the_signature() {
    let (hotkey, now) = (Hotkey::from_seed(&[3; 32]), 1_700_000_000_000_000_000);
    let message = SignedParts {
        method: "POST",
        path: "/v1/jobs?x=1",
        body: b"{}",
    };
    let auth = Auth::sign(&hotkey, message, Some(RECEIVING), now);
    auth.check(message, RECEIVING, now).unwrap();
    let kind = |auth: &Auth, message, own, now| match auth.check(message, own, now).unwrap_err() {
        AuthError::WrongReceiver { .. } => "wrong receiver",
        AuthError::Stale { .. } => "stale",
        AuthError::BadSignature { .. } => "bad signature",
        other => panic!("{other}"),
    };
    let changed = [
        SignedParts {
            method: "PUT",
            ..message
        },
        SignedParts {
            path: "/v1/jobs?x=2",
            ..message
        },
        SignedParts {
            body: b"{ }",
            ..message
        },
    ];
    for message in changed {
        assert_eq!(kind(&auth, message, RECEIVING, now), "bad signature");
    }
    let another = Auth {
        hotkey: RECEIVING.to_owned(),
        ..auth.clone()
    };
    assert_eq!(kind(&another, message, RECEIVING, now), "bad signature");
    let later = Auth {
        nonce: now + 1,
        ..auth.clone()
    };
    assert_eq!(kind(&later, message, RECEIVING, now), "bad signature");
    assert_eq!(
        kind(&auth, message, hotkey.address(), now),
        "wrong receiver"
    );
    let unbound = Auth::sign(&hotkey, message, None, now);
    assert_eq!(kind(&unbound, message, RECEIVING, now), "wrong receiver");
    let old = now + MAX_AGE_NS + 1;
    assert_eq!(kind(&auth, message, RECEIVING, old), "stale");
    let early = now - MAX_AHEAD_NS - 1;
    assert_eq!(kind(&auth, message, RECEIVING, early), "stale");
}

#[test]
fn only_canonical_headers_are_accepted() {
    let wrong = |name: &'static str, value: Option<&str>| {
        let mut headers = headers(&vector());
        headers.remove(name);
        if let Some(value) = value {
            headers.insert(name, value.parse().unwrap());
        }
        let error = Auth::from_headers(&headers).unwrap_err();
        assert!(matches!(error, AuthError::Malformed { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    };
    for name in [VERSION, HOTKEY, NONCE, SIGNATURE] {
        wrong(name, None);
        wrong(name, Some(""));
    }
    wrong(VERSION, Some("2"));
    wrong(HOTKEY, Some("5HB7"));
    wrong(RECEIVER, Some("-"));
    wrong(CRYPTO, Some("ed25519"));
    for number in [
        "01",
        "+1",
        "-1",
        " 1",
        "1.0",
        "1e9",
        "0x1",
        "18446744073709551616",
        "١",
    ] {
        if number.is_ascii() {
            wrong(NONCE, Some(number));
        }
    }
    let digits = "0".repeat(128);
    for text in [
        "0x",
        "0x12",
        &digits,
        &format!("0x{digits}00"),
        &format!("0x{}", "g".repeat(128)),
    ] {
        wrong(SIGNATURE, Some(text));
    }
    let mut twice = headers(&vector());
    twice.append(NONCE, "5".parse().unwrap());
    assert!(Auth::from_headers(&twice).is_err());
}

proptest! {
    #[test]
    fn arbitrary_headers_are_rejected_without_panic(
        name in 0usize..6,
        value in prop_oneof!["[ -~]{0,140}", "0x[0-9a-f]{128}", "[0-9]{1,21}"],
    ) {
        let name = [VERSION, HOTKEY, RECEIVER, NONCE, CRYPTO, SIGNATURE][name];
        let vector = vector();
        let mut headers = headers(&vector);
        prop_assume!(headers.get(name).is_none_or(|before| before.as_bytes() != value.as_bytes()));
        headers.insert(name, value.parse().unwrap());
        let message = SignedParts {
            method: "POST",
            path: vector["path"].as_str().unwrap(),
            body: vector["body"].as_str().unwrap().as_bytes(),
        };
        if let Ok(auth) = Auth::from_headers(&headers) {
            let believed = auth.check(message, RECEIVING, 1_700_000_000_000_000_001);
            // The scheme's default may be spelled out.
            prop_assert!(believed.is_err() || name == CRYPTO && value == SCHEME);
        }
    }
}
