use super::*;
use proptest::prelude::*;

// Of the test vector that tests/fixtures/btauth_vector.json carries: a throw-away key.
const SEED: [u8; 32] = {
    let mut seed = [0; 32];
    let mut byte = 0;
    while byte < 32 {
        seed[byte as usize] = byte;
        byte += 1;
    }
    seed
};
const ADDRESS: &str = "5HB7kpn92RS7uF9uWn8bXSvPVKFPg8kPUFDd5sbveGjX6Dbi";

fn json() -> Map<String, Value> {
    let hotkey = Hotkey::from_seed(&SEED);
    let hexed = |bytes: &[u8]| Value::from(format!("0x{}", hex::encode(bytes)));
    Map::from_iter([
        ("ss58Address".to_owned(), ADDRESS.into()),
        ("cryptoType".to_owned(), 1.into()),
        (
            "publicKey".to_owned(),
            hexed(&hotkey.pair.public.to_bytes()),
        ),
        (
            "privateKey".to_owned(),
            hexed(&hotkey.pair.secret.to_bytes()),
        ),
        ("secretSeed".to_owned(), hexed(&SEED)),
    ])
}

fn parsed(fields: &Map<String, Value>) -> Result<Hotkey, HotkeyError> {
    Hotkey::parse(&Value::from(fields.clone()).to_string())
}

#[test]
fn either_secret_gives_the_address() {
    assert_eq!(Hotkey::from_seed(&SEED).address(), ADDRESS);
    for missing in ["privateKey", "secretSeed", "cryptoType", "publicKey"] {
        let mut fields = json();
        fields.remove(missing);
        assert_eq!(parsed(&fields).unwrap().address(), ADDRESS);
    }
}

#[test]
fn unusable_files_are_refused_and_nothing_secret_is_shown() {
    let (private, seed) = (json()["privateKey"].clone(), json()["secretSeed"].clone());
    let refused = |name: &str, value: Value| {
        let mut fields = json();
        match value {
            Value::Null => fields.remove(name),
            value => fields.insert(name.to_owned(), value),
        };
        let error = format!("{:#}", parsed(&fields).unwrap_err());
        for secret in [&private, &seed] {
            let secret = secret.as_str().unwrap();
            assert!(!error.contains(&secret[2..20]), "{error}");
        }
        error
    };
    let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    assert!(refused("ss58Address", alice.into()).contains(&format!("is {alice}, but")));
    assert!(refused("ss58Address", "5x".into()).contains("its ss58Address is wrong"));
    assert!(refused("cryptoType", 0.into()).contains("only sr25519"));
    assert!(refused("privateKey", "0x1234".into()).contains("4 characters"));
    assert!(refused("privateKey", 7.into()).contains("not a string"));
    assert!(refused("privateKey", "0xff".repeat(32).into()).contains("128 hexadecimal"));
    assert!(refused("privateKey", "f".repeat(128).into()).contains("not an sr25519"));
    let zeros = "0x".to_owned() + &"0".repeat(64);
    assert!(refused("publicKey", zeros.into()).contains("its publicKey is 5"));
    let mut neither = json();
    neither.remove("privateKey");
    neither.remove("secretSeed");
    let error = parsed(&neither).unwrap_err().to_string();
    assert!(error.contains("neither a privateKey nor a secretSeed"));
    for text in [
        "$NACL\u{1}xyz",
        "$ANSIBLE_VAULT;1.1;AES256\n61",
        "gAAAAABabc",
    ] {
        let error = Hotkey::parse(text).unwrap_err().to_string();
        assert!(error.contains("it is encrypted"), "{error}");
    }
    for text in ["", "[]", "{\"privateKey\": \"0x12", "secret"] {
        let error = Hotkey::parse(text).unwrap_err().to_string();
        assert!(error.contains("not a JSON object"), "{error}");
        assert!(!error.contains("0x12") && !error.contains("secret"));
    }
}

#[test]
fn a_written_file_is_read_again_and_never_overwritten() {
    let dir = std::env::temp_dir().join(format!("naschain-hotkey-{}", std::process::id()));
    let path = dir.join("w").join("hotkeys").join("h");
    let missing = Hotkey::read(&path).unwrap_err();
    assert!(matches!(missing, HotkeyError::Io { .. }), "{missing}");
    let (hotkey, seed) = Hotkey::generate().unwrap();
    hotkey.write(&seed, &path).unwrap();
    assert_eq!(Hotkey::read(&path).unwrap().address(), hotkey.address());
    assert!(format!("{hotkey:?}").len() < 60);
    let again = hotkey.write(&seed, &path).unwrap_err().to_string();
    assert!(again.contains("an existing one is kept"), "{again}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let data = std::fs::metadata(&path).unwrap();
        assert_eq!(data.permissions().mode() & 0o777, 0o600);
        assert!(!readable_by_others(&path));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(readable_by_others(&path));
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_file_that_is_no_text_or_too_large_is_named() {
    let path = std::env::temp_dir().join(format!("naschain-no-hotkey-{}", std::process::id()));
    for (bytes, expected) in [
        (vec![0xff; 10], "not UTF-8"),
        (vec![b' '; 70_000], "more than 65536 bytes"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = Hotkey::read(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("naschain-no-hotkey"), "{error}");
    }
    std::fs::remove_file(path).unwrap();
}

proptest! {
    #[test]
    fn arbitrary_texts_are_rejected_without_panic(text in ".{0,300}") {
        prop_assert!(Hotkey::parse(&text).is_err());
    }

    #[test]
    fn arbitrary_fields_are_rejected_without_panic(
        name in "(ss58Address|cryptoType|publicKey|accountId|privateKey|secretSeed)",
        text in "(0x)?[0-9a-fA-F]{0,130}",
    ) {
        let mut fields = json();
        fields.insert(name, text.into());
        if let Ok(hotkey) = parsed(&fields) {
            prop_assert_eq!(hotkey.address().len(), 48);
        }
    }
}
