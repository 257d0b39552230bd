use naschain_identity::{Hotkey, ss58};
use parity_scale_codec::{Compact, Encode};

use crate::error::Error;
use crate::metadata::Runtime;
use crate::storage::blake2_256;

/// Number of blocks for which a signed extrinsic is valid. Hotkeys sign it for the latest finalised
/// block, so it leaves some minutes after that.
pub const ERA_BLOCKS: u64 = 64;
/// Longer payloads are hashed before they are signed.
const MAX_PLAIN_PAYLOAD: usize = 256;
/// Version 4, signed.
const SIGNED_V4: u8 = 0x84;

/// What an extrinsic is signed for besides its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SigningTerms {
    /// The chain's genesis hash.
    pub genesis: [u8; 32],
    /// Number of the block from which the extrinsic is valid.
    pub block: u64,
    /// That block's hash.
    pub block_hash: [u8; 32],
    /// The account's next nonce.
    pub nonce: u32,
}

impl SigningTerms {
    /// The terms for an extrinsic that is valid from this block on.
    pub fn new(genesis: [u8; 32], block: u64, block_hash: [u8; 32], nonce: u32) -> SigningTerms {
        SigningTerms {
            genesis,
            block,
            block_hash,
            nonce,
        }
    }

    /// The last block that can include the extrinsic.
    pub fn last_block(&self) -> u64 {
        self.block + ERA_BLOCKS - 1
    }
}

/// A signed extrinsic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extrinsic {
    /// As it is submitted, with its length.
    pub bytes: Vec<u8>,
    /// The hash by which nodes know it.
    pub hash: [u8; 32],
}

/// A mortal era: the logarithm of its length, and the place of its first block in it.
fn mortal_era(block: u64) -> [u8; 2] {
    let exponent = ERA_BLOCKS.trailing_zeros() as u16 - 1;
    let phase = (block % ERA_BLOCKS) as u16;
    (exponent | phase << 4).to_le_bytes()
}

impl Runtime {
    /// What transaction extensions add to the extrinsic, and what is signed besides.
    fn extension_bytes(&self, terms: &SigningTerms) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let (mut extra, mut additional) = (Vec::new(), Vec::new());
        for extension in &self.extensions {
            let (included, implied): (Vec<u8>, Vec<u8>) = match extension.name.as_str() {
                "CheckMortality" | "CheckEra" => {
                    (mortal_era(terms.block).to_vec(), terms.block_hash.to_vec())
                }
                "CheckNonce" => (Compact(terms.nonce).encode(), Vec::new()),
                // No tip: weights are free of fees.
                "ChargeTransactionPayment" | "ChargeTransactionPaymentWrapper" => {
                    (Compact(0_u128).encode(), Vec::new())
                }
                // The mode without a metadata hash, and no hash.
                "CheckMetadataHash" => (vec![0], vec![0]),
                "CheckSpecVersion" => (Vec::new(), self.spec_version.encode()),
                "CheckTxVersion" => (Vec::new(), self.transaction_version.encode()),
                "CheckGenesis" => (Vec::new(), terms.genesis.to_vec()),
                _ => (Vec::new(), Vec::new()),
            };
            // Unknown extensions are signed only if they have no content, and known ones only if
            // their content still has the type that it had.
            let fits = |id, bytes: &[u8]| self.value(&extension.name, id, bytes).is_ok();
            if !fits(extension.extra, &included) || !fits(extension.additional, &implied) {
                let name = extension.name.clone();
                return Err(Error::Extension { name });
            }
            extra.extend(included);
            additional.extend(implied);
        }
        Ok((extra, additional))
    }

    /// The index of a variant of a type that the metadata may not state.
    fn variant_index(&self, id: Option<u32>, name: &str) -> Result<u8, Error> {
        let variants = id.map_or(&[][..], |id| self.variants(id));
        let variant = variants.iter().find(|variant| variant.name == name);
        let variant = variant.ok_or_else(|| self.missing(format!("signers of kind {name}")))?;
        Ok(variant.index)
    }

    /// Signs a call with a mortal era of [`ERA_BLOCKS`] blocks.
    ///
    /// # Errors
    /// [`Error::Extension`] or [`Error::Missing`] if the runtime wants something signed that is not
    /// known here.
    pub fn sign(
        &self,
        call: &[u8],
        terms: &SigningTerms,
        hotkey: &Hotkey,
    ) -> Result<Extrinsic, Error> {
        let (extra, additional) = self.extension_bytes(terms)?;
        let mut payload = [call, &extra, &additional].concat();
        if payload.len() > MAX_PLAIN_PAYLOAD {
            payload = blake2_256(&payload).to_vec();
        }
        let mut body = vec![SIGNED_V4, self.variant_index(self.address, "Id")?];
        body.extend(public_key(hotkey));
        body.push(self.variant_index(self.signature, "Sr25519")?);
        body.extend(hotkey.sign(&payload));
        body.extend(extra);
        body.extend(call);
        let mut bytes = Compact(body.len() as u32).encode();
        bytes.extend(body);
        let hash = blake2_256(&bytes);
        Ok(Extrinsic { bytes, hash })
    }
}

/// The public key of a hotkey.
pub(crate) fn public_key(hotkey: &Hotkey) -> [u8; 32] {
    // The address of a hotkey is always made from its key.
    ss58::decode(hotkey.address()).expect("a hotkey's address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eras_are_encoded_as_substrate_does() {
        // 64 blocks: the low four bits are 5, the others the phase.
        assert_eq!(mortal_era(0), [5, 0]);
        // sp-runtime's own example: period 64, phase 42.
        assert_eq!(mortal_era(42), [0xa5, 0x02]);
        assert_eq!(mortal_era(64 + 42), [0xa5, 0x02]);
    }
}
