//! The bytes of calls against the metadata of a runtime of 2026 (specification 423, version 16), in
//! the file that `NASCHAIN_CHAIN_METADATA` names, else in `../shared/chain` beside the repository.

mod skipping;

use std::path::{Path, PathBuf};

use naschain_bittensor::{Argument, Error, Runtime, SigningTerms};
use naschain_identity::Hotkey;
use skipping::skipped;

fn newer_runtime() -> Option<Runtime> {
    let beside = "../../shared/chain/subtensor-devnet-v16.scale";
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join(beside);
    let named = std::env::var_os("NASCHAIN_CHAIN_METADATA").map(PathBuf::from);
    let Some(path) = named.or_else(|| beside.exists().then_some(beside)) else {
        skipped("NASCHAIN_CHAIN_METADATA names no file of metadata, and ../shared/chain has none");
        return None;
    };
    let bytes = std::fs::read(&path).unwrap();
    Some(Runtime::decode(metadata(&bytes), 423, 1).unwrap())
}

/// Some files have the answer of the runtime's call around the metadata.
fn metadata(bytes: &[u8]) -> &[u8] {
    let start = bytes.windows(4).position(|part| part == b"meta");
    &bytes[start.expect("the magic number of metadata")..]
}

#[test]
fn calls_have_the_bytes_of_the_newer_runtime() {
    let Some(runtime) = newer_runtime() else {
        return;
    };
    // Pallet 7, call 0; netuid 258; two uids; two weights; version key 3.
    assert_eq!(
        hex::encode(
            runtime
                .set_weights_call(258, &[1, 515], &[65_535, 9], 3)
                .unwrap()
        ),
        [
            "0700",
            "0201",
            "0801000302",
            "08ffff0900",
            "0300000000000000"
        ]
        .concat()
    );
    // Pallet 7, call 113; netuid 1; three bytes; round 1000; version 4.
    assert_eq!(
        hex::encode(runtime.commit_call(1, &[7, 8, 9], 1000, 4).unwrap()),
        ["0771", "0100", "0c070809", "e803000000000000", "0400"].concat()
    );
    let call = |fields: &[(&str, Argument)]| {
        runtime.call("SubtensorModule", "set_mechanism_weights", fields)
    };
    let fields = [
        ("netuid", Argument::U16(1)),
        ("mecid", Argument::U8(0)),
        ("dests", Argument::U16s(vec![2])),
        ("weights", Argument::U16s(vec![65_535])),
        ("version_key", Argument::U64(0)),
    ];
    assert_eq!(
        hex::encode(call(&fields).unwrap()),
        ["0777", "0100", "00", "040200", "04ffff", "0000000000000000"].concat()
    );
    // Other fields, another order, another type.
    for wrong in [&fields[..4], &[&fields[1..], &fields[..1]].concat()] {
        assert!(matches!(call(wrong), Err(Error::CallFields { .. })));
    }
    let mut wrong = fields.clone();
    wrong[1].1 = Argument::U16(0);
    assert!(matches!(call(&wrong), Err(Error::CallFields { .. })));
    let error = runtime.call("SubtensorModule", "commit_crv3_weights", &[]);
    assert!(matches!(error, Err(Error::Missing { .. })));
}

#[test]
fn the_newer_runtime_has_only_known_extensions() {
    let Some(runtime) = newer_runtime() else {
        return;
    };
    // By which a reveal is known.
    assert!(runtime.has_reveal_event());
    let terms = SigningTerms::new([1; 32], 42, [2; 32], 3);
    let call = runtime.set_weights_call(1, &[0], &[65_535], 0).unwrap();
    let signed = runtime.sign(&call, &terms, &Hotkey::from_seed(&[4; 32]));
    let signed = signed.unwrap();
    assert!(signed.bytes.ends_with(&call));
    for item in [
        "Keys",
        "Uids",
        "LastUpdate",
        "Weights",
        "TimelockedWeightCommits",
    ] {
        assert!(runtime.has_storage("SubtensorModule", item), "{item}");
    }
}

#[test]
fn other_bytes_are_refused() {
    let error = |bytes: &[u8]| Runtime::decode(bytes, 1, 1).unwrap_err();
    assert!(matches!(error(b""), Error::Malformed { .. }));
    assert!(matches!(error(b"meta\x0e"), Error::Malformed { .. }));
    assert!(matches!(
        error(b"meta\x0d\x00"),
        Error::MetadataVersion { found: 13 }
    ));
    assert!(matches!(
        error(b"meta\x11\x00"),
        Error::MetadataVersion { found: 17 }
    ));
}
