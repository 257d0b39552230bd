//! Encryption to a future round of drand's quicknet. Nobody can decrypt a message before drand
//! publishes the signature of its round; afterwards everybody can.
//!
//! Identity-based encryption after Boneh and Franklin (CRYPTO 2001, "FullIdent") over BLS12-381 wraps
//! a key of AES-256-GCM, as in "tlock: Practical Timelock Encryption from Threshold BLS" (Gailly,
//! Melissaris, Yolan Romailler, 2023). The layout of the bytes is that of version 0.0.1 of the crate
//! `timelock`, which Subtensor's runtime decrypts.

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective, G2Affine, g1};
use ark_ec::hashing::HashToCurve;
use ark_ec::hashing::curve_maps::wb::WBMap;
use ark_ec::hashing::map_to_curve_hasher::MapToCurveBasedHasher;
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::PrimeField;
use ark_ff::field_hashers::DefaultFieldHasher;
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Public key of drand's quicknet (chain 52db9ba7…): 96 bytes, a point of G2.
const QUICKNET_KEY: &str = "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a";
const DOMAIN: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
const CIPHER_SUITE: &[u8] = b"AES_GCM_";
/// Time of quicknet's round 1, in seconds since 1970.
const QUICKNET_GENESIS_S: u64 = 1_692_803_367;
const QUICKNET_PERIOD_S: u64 = 3;

/// The secrets of one encryption. They must not be used twice.
#[derive(Clone, Copy)]
pub struct TimelockSecrets {
    /// Key of the message.
    pub key: [u8; 32],
    /// The random string from which the encryption of the key is derived.
    pub sigma: [u8; 32],
    /// Nonce of the message.
    pub nonce: [u8; 12],
}

impl TimelockSecrets {
    /// Takes secrets from the operating system's randomness.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate() -> Result<TimelockSecrets, Error> {
        let mut secrets = TimelockSecrets {
            key: [0; 32],
            sigma: [0; 32],
            nonce: [0; 12],
        };
        for part in [&mut secrets.key[..], &mut secrets.sigma, &mut secrets.nonce] {
            getrandom::fill(part).map_err(|error| Error::Randomness {
                reason: error.to_string(),
            })?;
        }
        Ok(secrets)
    }
}

/// The first round of quicknet that is published at this time, in milliseconds since 1970, or later.
pub fn round_at(time_ms: u64) -> u64 {
    let since_ms = time_ms.saturating_sub(QUICKNET_GENESIS_S * 1000);
    since_ms.div_ceil(QUICKNET_PERIOD_S * 1000) + 1
}

/// When a round is published, in milliseconds since 1970.
pub fn round_time_ms(round: u64) -> u64 {
    let since_s = round.saturating_sub(1).saturating_mul(QUICKNET_PERIOD_S);
    QUICKNET_GENESIS_S
        .saturating_add(since_s)
        .saturating_mul(1000)
}

/// Encrypts a message that can be decrypted when `round` is published. The result is about 250 bytes
/// longer than the message.
pub fn encrypt(message: &[u8], round: u64, secrets: &TimelockSecrets) -> Vec<u8> {
    let key = hex::decode(QUICKNET_KEY).expect("a constant");
    let key = G2Affine::deserialize_compressed(&key[..]).expect("a constant");
    let r = derived_scalar(&secrets.sigma, &secrets.key);
    let u = (G2Affine::generator() * r).into_affine();
    let shared = Bls12_381::pairing(round_point(round), (key * r).into_affine());
    let v = xor(&secrets.sigma, &sha256(&[&bytes(&shared.0)]));
    let w = xor(&secrets.key, &sha256(&[&secrets.sigma]));
    let cipher = Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(&secrets.key));
    // Only messages of 64 GiB are too long.
    let sealed = cipher.encrypt(Nonce::from_slice(&secrets.nonce), message);
    let sealed = sealed.expect("a message of less than 64 GiB");
    let body = bytes(&(sealed, secrets.nonce.to_vec()));
    bytes(&(u, v.to_vec(), w.to_vec(), body, CIPHER_SUITE.to_vec()))
}

/// Takes bytes with their length before them, 8 bytes of little endian. ark-serialize would allocate
/// whatever length damaged bytes claim.
fn take_bytes(rest: &mut &[u8]) -> Result<Vec<u8>, Error> {
    let malformed = || Error::malformed("a timelocked message", "it ends too early");
    let (length, after) = rest.split_first_chunk::<8>().ok_or_else(malformed)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| malformed())?;
    let (bytes, after) = after.split_at_checked(length).ok_or_else(malformed)?;
    *rest = after;
    Ok(bytes.to_vec())
}

/// Decrypts with the signature of the round, a point of G1 in 48 bytes.
///
/// # Errors
/// [`Error::Malformed`] if the bytes are damaged, or the signature is of another round.
pub fn decrypt(sealed: &[u8], signature: &[u8]) -> Result<Vec<u8>, Error> {
    let malformed = |reason: &str| Error::malformed("a timelocked message", reason);
    let signature = G1Affine::deserialize_compressed(signature);
    let signature = signature.map_err(|error| Error::malformed("a round's signature", error))?;
    let rest = &mut &sealed[..];
    let u = G2Affine::deserialize_compressed(&mut *rest);
    let u = u.map_err(|error| malformed(&error.to_string()))?;
    let (v, w) = (take_bytes(rest)?, take_bytes(rest)?);
    let (body, suite) = (take_bytes(rest)?, take_bytes(rest)?);
    let (Ok(v), Ok(w)) = (<[u8; 32]>::try_from(v), <[u8; 32]>::try_from(w)) else {
        return Err(malformed("its header has not 32 bytes"));
    };
    if suite != CIPHER_SUITE {
        return Err(malformed("it is not encrypted by AES_GCM_"));
    }
    let shared = Bls12_381::pairing(signature, u);
    let sigma = xor(&v, &sha256(&[&bytes(&shared.0)]));
    let key = xor(&w, &sha256(&[&sigma]));
    if G2Affine::generator() * derived_scalar(&sigma, &key) != u.into_group() {
        return Err(malformed("the signature is not that of its round"));
    }
    let rest = &mut &body[..];
    let (sealed, nonce) = (take_bytes(rest)?, take_bytes(rest)?);
    if nonce.len() != 12 {
        return Err(malformed("its nonce has not 12 bytes"));
    }
    let cipher = Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(&key));
    let opened = cipher.decrypt(Nonce::from_slice(&nonce), &sealed[..]);
    opened.map_err(|_| malformed("its body is damaged"))
}

/// The point of G1 that drand signs for a round.
fn round_point(round: u64) -> G1Affine {
    type Hasher =
        MapToCurveBasedHasher<G1Projective, DefaultFieldHasher<Sha256, 128>, WBMap<g1::Config>>;
    let hasher = Hasher::new(DOMAIN).expect("a constant");
    let message = sha256(&[&round.to_be_bytes()]);
    // The map is defined for all messages.
    hasher.hash(&message).expect("a map of all messages")
}

fn derived_scalar(sigma: &[u8; 32], key: &[u8; 32]) -> Fr {
    Fr::from_be_bytes_mod_order(&sha256(&[sigma, key]))
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn xor(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|place| left[place] ^ right[place])
}

fn bytes(value: &impl CanonicalSerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A vector takes whatever is written.
    let written = value.serialize_compressed(&mut bytes);
    written.expect("writing to memory");
    bytes
}
