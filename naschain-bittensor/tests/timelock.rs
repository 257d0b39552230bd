//! The timelock against two other implementations: the crate `timelock` in version 0.0.1, which
//! Subtensor's runtime contains, and bittensor_drand from PyPI.

mod skipping;

use std::path::{Path, PathBuf};
use std::process::Command;

use naschain_bittensor::timelock::{TimelockSecrets, decrypt, encrypt, round_at, round_time_ms};
use proptest::prelude::*;
use skipping::skipped;
use timelock::curves::drand::TinyBLS381;
use timelock::ibe::fullident::Identity;
use timelock::stream_ciphers::AESGCMStreamCipherProvider;
use timelock::tlock::{EngineBLS, TLECiphertext, tld, tle};

/// drand's quicknet signed its round 1000 so.
const SIGNATURE_1000: &str = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";
const QUICKNET_KEY: &str = "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a";

fn signature() -> Vec<u8> {
    hex::decode(SIGNATURE_1000).unwrap()
}

/// Decrypts as Subtensor's runtime does.
fn opened_by_the_runtime(sealed: &[u8]) -> Option<Vec<u8>> {
    use ark_serialize_04::CanonicalDeserialize;
    let sealed = TLECiphertext::<TinyBLS381>::deserialize_compressed(sealed).ok()?;
    type Point = <TinyBLS381 as EngineBLS>::SignatureGroup;
    let signature = Point::deserialize_compressed(&signature()[..]).unwrap();
    tld::<TinyBLS381, AESGCMStreamCipherProvider>(sealed, signature).ok()
}

#[test]
fn what_is_encrypted_here_the_runtime_decrypts() {
    for length in [0, 1, 100, 3_000] {
        let message: Vec<u8> = (0..length).map(|place| place as u8).collect();
        let sealed = encrypt(&message, 1000, &TimelockSecrets::generate().unwrap());
        assert_eq!(opened_by_the_runtime(&sealed), Some(message));
    }
    let other_round = encrypt(b"x", 1001, &TimelockSecrets::generate().unwrap());
    assert_eq!(opened_by_the_runtime(&other_round), None);
}

#[test]
fn what_the_crate_encrypts_is_decrypted_here() {
    use ark_serialize_04::{CanonicalDeserialize, CanonicalSerialize};
    use rand_chacha_03::rand_core::SeedableRng;
    use sha2::Digest;
    type Key = <TinyBLS381 as EngineBLS>::PublicKeyGroup;
    let key = hex::decode(QUICKNET_KEY).unwrap();
    let key = Key::deserialize_compressed(&key[..]).unwrap();
    let round = sha2::Sha256::digest(1000_u64.to_be_bytes()).to_vec();
    let identity = Identity::new(b"", vec![round]);
    let random = rand_chacha_03::ChaCha20Rng::from_seed([3; 32]);
    let sealed = tle::<TinyBLS381, AESGCMStreamCipherProvider, _>(
        key, [2; 32], b"message", identity, random,
    );
    let mut bytes = Vec::new();
    sealed.unwrap().serialize_compressed(&mut bytes).unwrap();
    assert_eq!(decrypt(&bytes, &signature()).unwrap(), b"message");
}

#[test]
fn rounds_have_the_times_of_quicknet() {
    // Round 1 on 23 August 2023, 15:09:27 UTC; then one every three seconds.
    assert_eq!(round_time_ms(1), 1_692_803_367_000);
    assert_eq!(round_time_ms(1000), 1_692_806_364_000);
    assert_eq!(round_at(1_692_806_364_000), 1000);
    assert_eq!(round_at(1_692_806_364_001), 1001);
    assert_eq!(round_at(0), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn damaged_bytes_are_an_error_and_no_panic(place in 0usize..300, bit in 0u8..8, end in 0usize..300) {
        let secrets = TimelockSecrets { key: [1; 32], sigma: [2; 32], nonce: [3; 12] };
        let sealed = encrypt(b"some weights", 1000, &secrets);
        let mut changed = sealed.clone();
        let place = place % sealed.len();
        changed[place] ^= 1 << bit;
        prop_assert!(decrypt(&changed, &signature()).is_err());
        prop_assert!(decrypt(&sealed[..end % sealed.len()], &signature()).is_err());
        prop_assert!(decrypt(&sealed, &signature()[..47]).is_err());
    }
}

/// A Python with the package bittensor_drand: the one that `NASCHAIN_PYTHON` names, else that of
/// `python/install`, else python3.
fn python() -> PathBuf {
    let installed = "../target/python-bittensor/bin/python";
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join(installed);
    match std::env::var_os("NASCHAIN_PYTHON") {
        Some(named) => named.into(),
        None if installed.exists() => installed,
        None => "python3".into(),
    }
}

#[test]
fn bittensor_drand_decrypts_it_and_the_other_way_round() {
    let python = python();
    let sealed = encrypt(b"weights", 1000, &TimelockSecrets::generate().unwrap());
    let script = "
import sys
try:
    from bittensor_drand import decrypt_with_signature, encrypt_at_round
except ImportError:
    sys.exit(77)
sealed, signature = bytes.fromhex(sys.argv[1]), sys.argv[2]
# Its envelope: SCALE bytes of less than 16 KiB, then the round in eight bytes.
length = ((len(sealed) << 2) | 1).to_bytes(2, 'little')
print(decrypt_with_signature(length + sealed + (1000).to_bytes(8, 'little'), signature).hex())
print(encrypt_at_round(b'weights', 1000)[0][2:-8].hex())
";
    let arguments = ["-c", script, &hex::encode(sealed), SIGNATURE_1000];
    let output = match Command::new(&python).args(arguments).output() {
        Ok(output) if output.status.code() != Some(77) => output,
        _ => {
            skipped(&format!(
                "{} has no package bittensor_drand; python/install gets it",
                python.display()
            ));
            return;
        }
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Vec<u8>> = text
        .lines()
        .map(|line| hex::decode(line).unwrap())
        .collect();
    assert_eq!(lines[0], b"weights");
    assert_eq!(decrypt(&lines[1], &signature()).unwrap(), b"weights");
}
