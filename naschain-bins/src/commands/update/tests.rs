use naschain_identity::Hotkey;

use super::*;
use crate::test_folder::test_folder;

const OWN: &str = env!("CARGO_PKG_VERSION");

fn release(version: &str, arithmetic: u32) -> ReleaseManifest {
    let signed = "2026-11-29T00:00:00Z".to_owned();
    let file = ReleaseFile {
        program: "genomaster".to_owned(),
        target: target_here(),
        bytes: 3,
        sha256: sha256(b"abc"),
    };
    let mut manifest = ReleaseManifest::of_this_version(signed, vec![file]);
    (manifest.version, manifest.arithmetic) = (version.to_owned(), arithmetic);
    manifest
}

/// The next version, and the next one with another series.
fn newer() -> [String; 2] {
    let [major, minor, patch] = numbers(OWN).unwrap();
    [
        format!("{major}.{minor}.{}", patch + 1),
        format!("{}.0.0", major + 1),
    ]
}

#[test]
fn a_release_with_the_same_arithmetic_is_told_from_one_that_ends_runs() {
    let own = naschain_train::ARITHMETIC_VERSION;
    let [next, other_series] = newer();
    for (version, arithmetic, state, text) in [
        (
            OWN,
            own,
            UpdateState::UpToDate,
            "is not the one of the release",
        ),
        ("0.0.1", own, UpdateState::Ahead, "newer than the release"),
        (
            &next,
            own,
            UpdateState::UpdateNow,
            "digests stay equal, and a run goes on",
        ),
        (
            &next,
            own + 1,
            UpdateState::UpdateAfterRun,
            "digests will differ: finish the run first",
        ),
        (
            &other_series,
            own,
            UpdateState::UpdateAfterRun,
            "may replay the journal",
        ),
    ] {
        let release = release(version, arithmetic);
        let report = UpdateReport::new(&release, "genomaster").unwrap();
        assert_eq!(report.state, state, "{version}");
        assert!(report.text().contains(text), "{}", report.text());
    }
    let mut protocols = release(&next, own);
    protocols.protocols.insert("btauth".to_owned(), 2);
    let report = UpdateReport::new(&protocols, "genomaster").unwrap();
    assert_eq!(report.state, UpdateState::UpdateAfterRun);
    assert!(
        report.text().contains("other protocols"),
        "{}",
        report.text()
    );
    let report = UpdateReport::new(&protocols, "miner").unwrap();
    assert!(
        report.text().contains("it has no miner for"),
        "{}",
        report.text()
    );
}

/// What `--check` says of a manifest and its signature.
async fn checked(place: &str, key: &str) -> String {
    let args = UpdateArgs {
        check: true,
        manifest: Some(place.to_owned()),
        release_key: Some(key.to_owned()),
        json: false,
        sign: None,
        wallet: WalletArgs {
            path: "/nowhere".into(),
            name: "w".to_owned(),
            hotkey: "h".to_owned(),
        },
        builds: Vec::new(),
    };
    match update(args, "genomaster").await {
        Ok(code) => format!("{code:?}"),
        Err(error) => format!("{error:#}"),
    }
}

#[tokio::test]
async fn only_what_the_key_has_signed_is_believed() {
    let dir = test_folder("update");
    let file = dir.join("release.json");
    let (place, beside) = (file.to_str().unwrap(), dir.join("release.json.sig"));
    let [key, other] = [1, 2].map(|seed| Hotkey::from_seed(&[seed; 32]));
    let (text, signature) = release(OWN, 1).signed_by(&key).unwrap();
    let write = |text: &[u8], signature: &[u8]| {
        std::fs::write(&file, text).unwrap();
        std::fs::write(&beside, signature).unwrap();
    };
    let missing = checked(place, key.address()).await;
    assert!(
        missing.contains("cannot read") && missing.contains("release.json"),
        "{missing}"
    );
    std::fs::write(&file, &text).unwrap();
    let unsigned = checked(place, key.address()).await;
    assert!(
        unsigned.contains("without its signature is not trusted"),
        "{unsigned}"
    );

    write(text.as_bytes(), signature.as_bytes());
    assert_eq!(
        checked(place, key.address()).await,
        format!("{:?}", ExitCode::SUCCESS)
    );
    let foreign = checked(place, other.address()).await;
    assert!(
        foreign.contains(&format!("is not signed by {}", other.address())),
        "{foreign}"
    );
    let mistyped = checked(place, "5Grw").await;
    assert!(mistyped.contains("--release-key"), "{mistyped}");

    let changed = text.replace("\"arithmetic\": 1", "\"arithmetic\": 2");
    assert_ne!(changed, text);
    // The bytes alone, as another program might have them signed by the same key.
    let bare = format!("0x{}", hexadecimal(&key.sign(text.as_bytes())));
    let long = "x".repeat(MAX_MANIFEST_BYTES + 1);
    for (text, signature, expected) in [
        (changed.as_str(), signature.as_str(), "is not signed by"),
        (&text, &bare, "is not signed by"),
        (&text, "0x12", "must be 0x and 128 hexadecimal digits"),
        (&text, "", "must be 0x and 128 hexadecimal digits"),
        (&long, &signature, "more than 65536 bytes"),
        (&text, &long, "more than 1024 bytes"),
    ] {
        write(text.as_bytes(), signature.as_bytes());
        let found = checked(place, key.address()).await;
        assert!(found.contains(expected), "{found}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_signed_text_has_to_be_a_manifest() {
    let key = Hotkey::from_seed(&[1; 32]);
    let verified = |manifest: &ReleaseManifest| {
        let (text, signature) = manifest.signed_by(&key).unwrap();
        let (text, signature) = (text.as_bytes(), signature.as_bytes());
        let verified = ReleaseManifest::verified("m", text, signature, key.address());
        verified.map_err(|error| format!("{error:#}"))
    };
    let good = release("1.2.3", 4);
    assert_eq!(verified(&good).unwrap(), good);
    let wrong = verified(&release("latest", 4)).unwrap_err();
    assert!(wrong.contains("must be three numbers"), "{wrong}");
    let mut later = good;
    later.form = 2;
    let refused = verified(&later).unwrap_err();
    assert!(
        refused.contains("has form 2; this program reads form 1"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_release_is_signed_and_checked_by_the_commands() {
    let dir = test_folder("release");
    let wallet = WalletArgs {
        path: dir.join("wallets"),
        name: "w".to_owned(),
        hotkey: "release".to_owned(),
    };
    crate::cli::wallet_args::keygen(&wallet).unwrap();
    let build: Build = format!("riscv64-linux={}", dir.display()).parse().unwrap();
    let file = dir.join("release.json");
    let missing = sign(&file, std::slice::from_ref(&build), &wallet).unwrap_err();
    assert!(format!("{missing:#}").contains("genomaster"), "{missing:#}");
    for program in PROGRAMS {
        std::fs::write(dir.join(program), program).unwrap();
    }
    let printed = sign(&file, &[build], &wallet).unwrap();
    assert!(printed.contains("with 3 files"), "{printed}");
    let key = wallet.load().unwrap();
    let checked = checked(file.to_str().unwrap(), key.address()).await;
    assert_eq!(checked, format!("{:?}", ExitCode::SUCCESS));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(&sha256(b"validator")), "{text}");
    assert!("x86_64-linux".parse::<Build>().is_err());
    std::fs::remove_dir_all(dir).unwrap();
}
