//! The metadata of a runtime, in the versions 14 to 16.

use std::collections::BTreeMap;

use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed, v14, v15, v16};
use parity_scale_codec::{Decode, DecodeAll};
use scale_info::form::PortableForm;
use scale_info::{PortableRegistry, TypeDef, Variant};

use crate::error::Error;

/// How a storage key's part is hashed.
pub(crate) use frame_metadata::v14::StorageHasher;

/// What the metadata of a runtime says: pallets, calls, storage, and what transactions sign.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// The specification version.
    pub spec_version: u32,
    /// The transaction version.
    pub transaction_version: u32,
    pub(crate) types: PortableRegistry,
    pub(crate) pallets: BTreeMap<String, Pallet>,
    pub(crate) extensions: Vec<Extension>,
    /// The type of addresses and of signatures, where the metadata says them.
    pub(crate) address: Option<u32>,
    pub(crate) signature: Option<u32>,
    /// The type of the result of each method of runtime APIs, as `Api_method`.
    pub(crate) api_results: BTreeMap<String, u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Pallet {
    pub index: u8,
    pub calls: Option<u32>,
    pub events: Option<u32>,
    pub errors: Option<u32>,
    pub storage_prefix: String,
    pub storage: BTreeMap<String, StorageItem>,
    /// The encoded values of constants.
    pub constants: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) struct StorageItem {
    pub hashers: Vec<StorageHasher>,
    pub value: u32,
    /// The value where nothing is stored; `None` if there is none then.
    pub default: Option<Vec<u8>>,
}

/// A transaction extension: what it adds to an extrinsic, and what is signed besides.
#[derive(Clone, Debug)]
pub(crate) struct Extension {
    pub name: String,
    pub extra: u32,
    pub additional: u32,
}

impl Runtime {
    /// Decodes metadata of version 14, 15 or 16, with its magic number.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::MetadataVersion`], and [`Error::Missing`] for a runtime that
    /// takes no extrinsics of version 4.
    pub fn decode(
        metadata: &[u8],
        spec_version: u32,
        transaction_version: u32,
    ) -> Result<Runtime, Error> {
        let malformed = |error| Error::malformed("the metadata", error);
        // The magic number of four bytes, then the version.
        if let Some(&found) = metadata.get(4).filter(|found| !(14..=16).contains(*found)) {
            let found = u32::from(found);
            return Err(Error::MetadataVersion { found });
        }
        let prefixed = RuntimeMetadataPrefixed::decode(&mut &metadata[..]).map_err(malformed)?;
        let mut runtime = match prefixed.1 {
            RuntimeMetadata::V14(metadata) => from_v14(metadata),
            RuntimeMetadata::V15(metadata) => from_v15(metadata),
            RuntimeMetadata::V16(metadata) => from_v16(metadata)?,
            other => {
                let found = other.version();
                return Err(Error::MetadataVersion { found });
            }
        };
        runtime.spec_version = spec_version;
        runtime.transaction_version = transaction_version;
        Ok(runtime)
    }

    pub(crate) fn missing(&self, item: impl Into<String>) -> Error {
        Error::Missing {
            spec_version: self.spec_version,
            item: item.into(),
        }
    }

    pub(crate) fn pallet(&self, name: &str) -> Result<&Pallet, Error> {
        let pallet = self.pallets.get(name);
        pallet.ok_or_else(|| self.missing(format!("pallet {name}")))
    }

    /// Whether the runtime has a storage item.
    pub fn has_storage(&self, pallet: &str, item: &str) -> bool {
        let pallet = self.pallets.get(pallet);
        pallet.is_some_and(|pallet| pallet.storage.contains_key(item))
    }

    /// Whether the runtime has a call, whatever its fields.
    pub fn has_call(&self, pallet: &str, call: &str) -> bool {
        self.call_variant(pallet, call).is_ok()
    }

    pub(crate) fn call_variant(
        &self,
        pallet: &str,
        call: &str,
    ) -> Result<(u8, &Variant<PortableForm>), Error> {
        let found = self.pallet(pallet)?;
        let variants = found.calls.map_or(&[][..], |id| self.variants(id));
        let variant = variants.iter().find(|variant| variant.name == call);
        let variant = variant.ok_or_else(|| self.missing(format!("call {pallet}.{call}")))?;
        Ok((found.index, variant))
    }

    /// The variants of an enum; none if the type is no enum.
    pub(crate) fn variants(&self, id: u32) -> &[Variant<PortableForm>] {
        match self.types.resolve(id).map(|found| &found.type_def) {
            Some(TypeDef::Variant(variant)) => &variant.variants,
            _ => &[],
        }
    }

    /// Decodes a constant.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Malformed`].
    pub fn constant<T: Decode>(&self, pallet: &str, name: &str) -> Result<T, Error> {
        let value = self.pallet(pallet)?.constants.get(name);
        let value = value.ok_or_else(|| self.missing(format!("constant {pallet}.{name}")))?;
        decode_all(&format!("{pallet}.{name}"), value)
    }

    /// The name of a pallet's error, `None` if the metadata does not have it.
    pub fn error_name(&self, pallet_index: u8, error_index: u8) -> Option<&str> {
        let mut pallets = self.pallets.values();
        let pallet = pallets.find(|pallet| pallet.index == pallet_index)?;
        let mut variants = self.variants(pallet.errors?).iter();
        let variant = variants.find(|variant| variant.index == error_index)?;
        Some(&variant.name)
    }
}

/// Decodes bytes that have to be used up.
pub(crate) fn decode_all<T: Decode>(what: &str, bytes: &[u8]) -> Result<T, Error> {
    T::decode_all(&mut &bytes[..]).map_err(|error| Error::malformed(what, error))
}

fn empty(types: PortableRegistry) -> Runtime {
    Runtime {
        spec_version: 0,
        transaction_version: 0,
        types,
        pallets: BTreeMap::new(),
        extensions: Vec::new(),
        address: None,
        signature: None,
        api_results: BTreeMap::new(),
    }
}

#[cfg(test)]
impl Runtime {
    /// A runtime that has nothing.
    pub(crate) fn without_pallets() -> Runtime {
        empty(PortableRegistry { types: Vec::new() })
    }
}

fn item(
    ty: v14::StorageEntryType<PortableForm>,
    modifier: &v14::StorageEntryModifier,
    default: Vec<u8>,
) -> StorageItem {
    let (hashers, value) = match ty {
        v14::StorageEntryType::Plain(value) => (Vec::new(), value.id),
        v14::StorageEntryType::Map { hashers, value, .. } => (hashers, value.id),
    };
    let is_optional = matches!(modifier, v14::StorageEntryModifier::Optional);
    StorageItem {
        hashers,
        value,
        default: (!is_optional).then_some(default),
    }
}

/// Reads pallets, whose types differ between the versions of metadata while their fields are the same.
macro_rules! read_pallets {
    ($runtime:ident, $pallets:expr) => {
        for pallet in $pallets {
            let (storage_prefix, entries) = match pallet.storage {
                Some(storage) => (storage.prefix, storage.entries),
                None => (String::new(), Vec::new()),
            };
            let items = entries.into_iter();
            let items =
                items.map(|entry| (entry.name, item(entry.ty, &entry.modifier, entry.default)));
            let constants = pallet.constants.into_iter();
            let constants = constants.map(|constant| (constant.name, constant.value));
            let found = Pallet {
                index: pallet.index,
                calls: pallet.calls.map(|calls| calls.ty.id),
                events: pallet.event.map(|event| event.ty.id),
                errors: pallet.error.map(|error| error.ty.id),
                storage_prefix,
                storage: items.collect(),
                constants: constants.collect(),
            };
            $runtime.pallets.insert(pallet.name, found);
        }
    };
}

/// Reads the extensions of transactions, up to version 15.
macro_rules! read_extensions {
    ($runtime:ident, $extrinsic:expr) => {
        let extensions = $extrinsic.signed_extensions.into_iter();
        $runtime.extensions = extensions
            .map(|found| Extension {
                name: found.identifier,
                extra: found.ty.id,
                additional: found.additional_signed.id,
            })
            .collect();
    };
}

/// Reads the types that extrinsics and runtime APIs name, from version 15 on.
macro_rules! read_types {
    ($runtime:ident, $extrinsic:expr, $apis:expr) => {
        $runtime.address = Some($extrinsic.address_ty.id);
        $runtime.signature = Some($extrinsic.signature_ty.id);
        for api in $apis {
            for method in api.methods {
                let name = format!("{}_{}", api.name, method.name);
                $runtime.api_results.insert(name, method.output.id);
            }
        }
    };
}

fn from_v14(metadata: v14::RuntimeMetadataV14) -> Runtime {
    let mut runtime = empty(metadata.types);
    read_pallets!(runtime, metadata.pallets);
    read_extensions!(runtime, metadata.extrinsic);
    // Here only the parameters of the extrinsic's type say the other types.
    if let Some(extrinsic) = runtime.types.resolve(metadata.extrinsic.ty.id) {
        let parameter = |name: &str| {
            let mut parameters = extrinsic.type_params.iter();
            let found = parameters.find(|parameter| parameter.name == name)?;
            found.ty.map(|ty| ty.id)
        };
        let (address, signature) = (parameter("Address"), parameter("Signature"));
        (runtime.address, runtime.signature) = (address, signature);
    }
    runtime
}

fn from_v15(metadata: v15::RuntimeMetadataV15) -> Runtime {
    let mut runtime = empty(metadata.types);
    read_pallets!(runtime, metadata.pallets);
    read_extensions!(runtime, metadata.extrinsic);
    read_types!(runtime, metadata.extrinsic, metadata.apis);
    runtime
}

fn from_v16(metadata: v16::RuntimeMetadataV16) -> Result<Runtime, Error> {
    let mut runtime = empty(metadata.types);
    read_pallets!(runtime, metadata.pallets);
    let extrinsic = metadata.extrinsic;
    if !extrinsic.versions.contains(&4) {
        return Err(runtime.missing("extrinsics of version 4"));
    }
    // Extrinsics of version 4 have the extensions of version 0.
    let listed = extrinsic.transaction_extensions_by_version.get(&0);
    let order: Vec<usize> = match listed {
        Some(places) => places.iter().map(|place| place.0 as usize).collect(),
        None => (0..extrinsic.transaction_extensions.len()).collect(),
    };
    for place in order {
        let found = extrinsic.transaction_extensions.get(place);
        let found = found.ok_or_else(|| {
            Error::malformed("the metadata", format!("it has no extension {place}"))
        })?;
        runtime.extensions.push(Extension {
            name: found.identifier.clone(),
            extra: found.ty.id,
            additional: found.implicit.id,
        });
    }
    read_types!(runtime, extrinsic, metadata.apis);
    Ok(runtime)
}
