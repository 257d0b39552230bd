use blake2::digest::consts::{U16, U32};
use blake2::{Blake2b, Digest};
use parity_scale_codec::Decode;
use twox_hash::XxHash64;

use crate::error::Error;
use crate::metadata::{Runtime, StorageHasher, StorageItem, decode_all};
use crate::nesting::is_shallow;

/// BLAKE2b with 256 bits, which Substrate uses for hashes of extrinsics and long payloads.
pub fn blake2_256(bytes: &[u8]) -> [u8; 32] {
    Blake2b::<U32>::digest(bytes).into()
}

fn blake2_128(bytes: &[u8]) -> [u8; 16] {
    Blake2b::<U16>::digest(bytes).into()
}

/// XXH64 with the seeds 0, 1, …, as often as `N` bytes need.
fn twox<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut hash = [0; N];
    for (seed, part) in hash.chunks_mut(8).enumerate() {
        part.copy_from_slice(&XxHash64::oneshot(seed as u64, bytes).to_le_bytes());
    }
    hash
}

fn hashed(hasher: &StorageHasher, bytes: &[u8]) -> Vec<u8> {
    match hasher {
        StorageHasher::Blake2_128 => blake2_128(bytes).to_vec(),
        StorageHasher::Blake2_256 => blake2_256(bytes).to_vec(),
        StorageHasher::Blake2_128Concat => [&blake2_128(bytes)[..], bytes].concat(),
        StorageHasher::Twox128 => twox::<16>(bytes).to_vec(),
        StorageHasher::Twox256 => twox::<32>(bytes).to_vec(),
        StorageHasher::Twox64Concat => [&twox::<8>(bytes)[..], bytes].concat(),
        StorageHasher::Identity => bytes.to_vec(),
    }
}

impl Runtime {
    fn item(&self, pallet: &str, item: &str) -> Result<&StorageItem, Error> {
        let found = self.pallet(pallet)?.storage.get(item);
        found.ok_or_else(|| self.missing(format!("storage item {pallet}.{item}")))
    }

    /// The key of a storage item. `keys` are the SCALE-encoded keys of a map; fewer than the map has
    /// give the common beginning of several entries.
    ///
    /// # Errors
    /// [`Error::Missing`] for an unknown item; [`Error::Malformed`] for too many keys.
    pub fn storage_key(&self, pallet: &str, item: &str, keys: &[&[u8]]) -> Result<Vec<u8>, Error> {
        let found = self.item(pallet, item)?;
        if keys.len() > found.hashers.len() {
            let reason = format!("it has {} keys, not {}", found.hashers.len(), keys.len());
            return Err(Error::malformed(format!("{pallet}.{item}"), reason));
        }
        let prefix = &self.pallet(pallet)?.storage_prefix;
        let mut key = twox::<16>(prefix.as_bytes()).to_vec();
        key.extend(twox::<16>(item.as_bytes()));
        for (hasher, bytes) in found.hashers.iter().zip(keys) {
            key.extend(hashed(hasher, bytes));
        }
        Ok(key)
    }

    /// Decodes a stored value, or the item's default where nothing is stored. `None` if there is
    /// neither.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Malformed`].
    pub fn stored<T: Decode>(
        &self,
        pallet: &str,
        item: &str,
        bytes: Option<&[u8]>,
    ) -> Result<Option<T>, Error> {
        let default = self.item(pallet, item)?.default.as_deref();
        let value = bytes.or(default);
        value
            .map(|bytes| decode_all(&format!("{pallet}.{item}"), bytes))
            .transpose()
    }

    /// Decodes a stored value by its type in the metadata.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Malformed`].
    pub(crate) fn stored_value(
        &self,
        pallet: &str,
        item: &str,
        bytes: &[u8],
    ) -> Result<scale_value::Value<u32>, Error> {
        let value = self.item(pallet, item)?.value;
        self.value(&format!("{pallet}.{item}"), value, bytes)
    }

    /// Decodes bytes that have to be exactly one value of a type.
    pub(crate) fn value(
        &self,
        what: &str,
        type_id: u32,
        bytes: &[u8],
    ) -> Result<scale_value::Value<u32>, Error> {
        if !is_shallow(&self.types, type_id, bytes) {
            let reason = "it is damaged, nested too deeply or has too many parts";
            return Err(Error::malformed(what, reason));
        }
        let mut rest = bytes;
        let value = scale_value::scale::decode_as_type(&mut rest, type_id, &self.types);
        let value = value.map_err(|error| Error::malformed(what, error))?;
        if !rest.is_empty() {
            let reason = format!("{} of its {} bytes are left", rest.len(), bytes.len());
            return Err(Error::malformed(what, reason));
        }
        Ok(value)
    }

    /// Decodes the result of a runtime API's method, as `Api_method`.
    ///
    /// # Errors
    /// [`Error::Missing`], also with metadata of version 14, which has no runtime APIs, or
    /// [`Error::Malformed`].
    pub fn api_result(&self, method: &str, bytes: &[u8]) -> Result<scale_value::Value<u32>, Error> {
        let result = self.api_results.get(method);
        let result = result.ok_or_else(|| self.missing(format!("runtime API {method}")))?;
        self.value(method, *result, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_substrate() {
        // The well-known prefix of `System.Account`.
        assert_eq!(
            hex::encode([twox::<16>(b"System"), twox::<16>(b"Account")].concat()),
            "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9"
        );
        // Of the empty string, as in RFC 7693's reference implementation with 32 bytes.
        assert_eq!(
            hex::encode(blake2_256(b"")),
            "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
        );
    }
}
