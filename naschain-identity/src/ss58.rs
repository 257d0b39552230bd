//! Addresses of sr25519 public keys, as the Substrate chains write them (SS58, network 42).

/// The network number in Bittensor's addresses: that of generic Substrate addresses.
const PREFIX: u8 = 42;
const KEY_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 2;
/// Maximum length of an address of this network. Longer text is refused before it is decoded,
/// because the time for decoding base58 grows with the square of the length.
const MAX_CHARACTERS: usize = 48;

/// A public key.
pub type PublicKey = [u8; KEY_BYTES];

/// Why a text is not a valid address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text is too long or contains characters that are not base58.
    #[error("{found:?} is not an address; it must be 47 or 48 characters of base58")]
    NotBase58 {
        /// The beginning of the text.
        found: String,
    },
    /// The text decodes to a wrong number of bytes.
    #[error("address {found:?} has {bytes} bytes; it must have 35")]
    Length {
        /// The address.
        found: String,
        /// The number of decoded bytes.
        bytes: usize,
    },
    /// The address is for another network.
    #[error("address {found} is for network {prefix}; Bittensor's addresses are for network 42")]
    Network {
        /// The address.
        found: String,
        /// The network number, its first byte.
        prefix: u8,
    },
    /// The checksum does not match, usually because a character was mistyped.
    #[error("address {found} has a wrong checksum; check it for a mistyped character")]
    Checksum {
        /// The address.
        found: String,
    },
}

/// Returns the address of a public key.
pub fn encode(key: &PublicKey) -> String {
    let mut bytes = vec![PREFIX];
    bytes.extend_from_slice(key);
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum);
    bs58::encode(bytes).into_string()
}

/// Returns the public key of an address.
///
/// # Errors
/// [`AddressError`] says what is wrong with it.
pub fn decode(address: &str) -> Result<PublicKey, AddressError> {
    let not_base58 = || AddressError::NotBase58 {
        found: address.chars().take(MAX_CHARACTERS).collect(),
    };
    if address.len() > MAX_CHARACTERS {
        return Err(not_base58());
    }
    let bytes = bs58::decode(address).into_vec().map_err(|_| not_base58())?;
    let found = address.to_owned();
    if bytes.len() != 1 + KEY_BYTES + CHECKSUM_BYTES {
        let bytes = bytes.len();
        return Err(AddressError::Length { found, bytes });
    }
    let (body, sum) = bytes.split_at(1 + KEY_BYTES);
    if body[0] != PREFIX {
        let prefix = body[0];
        return Err(AddressError::Network { found, prefix });
    }
    if sum != checksum(body) {
        return Err(AddressError::Checksum { found });
    }
    let mut key = [0; KEY_BYTES];
    key.copy_from_slice(&body[1..]);
    Ok(key)
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    use blake2::{Blake2b512, Digest};
    let hash = Blake2b512::new()
        .chain_update(b"SS58PRE")
        .chain_update(body)
        .finalize();
    [hash[0], hash[1]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Alice, Substrate's well-known development account.
    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    const ALICE_KEY: &str = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";

    #[test]
    fn a_known_address_is_read_and_written() {
        let key = decode(ALICE).unwrap();
        assert_eq!(hex::encode(key), ALICE_KEY);
        assert_eq!(encode(&key), ALICE);
    }

    #[test]
    fn wrong_addresses_are_named() {
        let error = |text: &str| decode(text).unwrap_err().to_string();
        assert!(error("").contains("0 bytes"));
        assert!(error("0OIl").contains("base58"));
        assert!(error(&"5".repeat(49)).contains("base58"));
        assert!(error("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQZ").contains("checksum"));
        // The same key for Polkadot.
        let polkadot = "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5";
        assert!(error(polkadot).contains("network 0"));
    }

    proptest! {
        #[test]
        fn addresses_round_trip(key: [u8; 32]) {
            prop_assert_eq!(decode(&encode(&key)).unwrap(), key);
        }

        #[test]
        fn one_wrong_character_is_found(key: [u8; 32], place in 0usize..47, letter in 0usize..58) {
            let alphabet = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
            let mut text = encode(&key).into_bytes();
            prop_assume!(text[place] != alphabet[letter]);
            text[place] = alphabet[letter];
            // A checksum of two bytes misses one in 65,536 changes.
            let text = String::from_utf8(text).unwrap();
            if let Ok(other) = decode(&text) {
                prop_assert_ne!(other, key);
            }
        }

        #[test]
        fn no_text_causes_a_panic(text in ".{0,60}") {
            let _ = decode(&text);
        }
    }
}
