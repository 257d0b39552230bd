use parity_scale_codec::{Compact, Encode};
use scale_info::{TypeDef, TypeDefPrimitive};

use crate::error::Error;
use crate::metadata::Runtime;

/// The pallet of subnets and weights.
pub(crate) const SUBTENSOR: &str = "SubtensorModule";

/// A value of a call's field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Argument {
    /// `u8`
    U8(u8),
    /// `u16`
    U16(u16),
    /// `u64`
    U64(u64),
    /// `Vec<u16>`
    U16s(Vec<u16>),
    /// `Vec<u8>`, also a bounded one.
    Bytes(Vec<u8>),
    /// `bool`
    Bool(bool),
    /// A public key.
    Account([u8; 32]),
}

/// A type of a field, without the structs of one field that only wrap it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldType {
    U8,
    U16,
    U64,
    CompactU16,
    CompactU64,
    U16s,
    Bytes,
    Bool,
    Account,
    Other,
}

impl Argument {
    fn encode(&self, field_type: FieldType) -> Option<Vec<u8>> {
        match (self, field_type) {
            (Argument::U8(value), FieldType::U8) => Some(value.encode()),
            (Argument::U16(value), FieldType::U16) => Some(value.encode()),
            (Argument::U16(value), FieldType::CompactU16) => Some(Compact(*value).encode()),
            (Argument::U64(value), FieldType::U64) => Some(value.encode()),
            (Argument::U64(value), FieldType::CompactU64) => Some(Compact(*value).encode()),
            (Argument::U16s(values), FieldType::U16s) => Some(values.encode()),
            (Argument::Bytes(bytes), FieldType::Bytes) => Some(bytes.encode()),
            (Argument::Bool(value), FieldType::Bool) => Some(value.encode()),
            (Argument::Account(key), FieldType::Account) => Some(key.encode()),
            _ => None,
        }
    }
}

impl Runtime {
    /// The type that structs of one field wrap.
    fn unwrapped(&self, mut id: u32) -> Option<&TypeDef<scale_info::form::PortableForm>> {
        // Types of a runtime are not nested deeply; a damaged registry may have circles.
        for _ in 0..16 {
            match &self.types.resolve(id)?.type_def {
                TypeDef::Composite(composite) if composite.fields.len() == 1 => {
                    id = composite.fields[0].ty.id;
                }
                other => return Some(other),
            }
        }
        None
    }

    fn field_type(&self, id: u32) -> FieldType {
        let primitive = |id| match self.unwrapped(id) {
            Some(TypeDef::Primitive(primitive)) => Some(primitive),
            _ => None,
        };
        match self.unwrapped(id) {
            Some(TypeDef::Primitive(TypeDefPrimitive::Bool)) => FieldType::Bool,
            Some(TypeDef::Primitive(TypeDefPrimitive::U8)) => FieldType::U8,
            Some(TypeDef::Primitive(TypeDefPrimitive::U16)) => FieldType::U16,
            Some(TypeDef::Primitive(TypeDefPrimitive::U64)) => FieldType::U64,
            Some(TypeDef::Compact(compact)) => match primitive(compact.type_param.id) {
                Some(TypeDefPrimitive::U16) => FieldType::CompactU16,
                Some(TypeDefPrimitive::U64) => FieldType::CompactU64,
                _ => FieldType::Other,
            },
            Some(TypeDef::Array(array)) if array.len == 32 => {
                match primitive(array.type_param.id) {
                    Some(TypeDefPrimitive::U8) => FieldType::Account,
                    _ => FieldType::Other,
                }
            }
            Some(TypeDef::Sequence(sequence)) => match primitive(sequence.type_param.id) {
                Some(TypeDefPrimitive::U8) => FieldType::Bytes,
                Some(TypeDefPrimitive::U16) => FieldType::U16s,
                _ => FieldType::Other,
            },
            _ => FieldType::Other,
        }
    }

    /// Encodes a call: the indices of pallet and call, then the fields in their order. Names, order
    /// and types have to be exactly those of the metadata.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::CallFields`].
    pub fn call(
        &self,
        pallet: &str,
        call: &str,
        arguments: &[(&str, Argument)],
    ) -> Result<Vec<u8>, Error> {
        let (pallet_index, variant) = self.call_variant(pallet, call)?;
        let names: Vec<&str> = variant
            .fields
            .iter()
            .map(|field| field.name.as_deref().unwrap_or_default())
            .collect();
        let differ = || {
            let type_name = |place: usize| variant.fields[place].type_name.as_deref();
            let found = names.iter().enumerate();
            let found = found.map(|(place, name)| {
                format!("{name}: {}", type_name(place).unwrap_or("an unnamed type"))
            });
            let expected: Vec<&str> = arguments.iter().map(|(name, _)| *name).collect();
            Error::CallFields {
                call: format!("{pallet}.{call}"),
                found: format!("({})", found.collect::<Vec<_>>().join(", ")),
                expected: format!("({})", expected.join(", ")),
            }
        };
        if !names.iter().eq(arguments.iter().map(|(name, _)| name)) {
            return Err(differ());
        }
        let mut bytes = vec![pallet_index, variant.index];
        for (field, (_, argument)) in variant.fields.iter().zip(arguments) {
            let field_type = self.field_type(field.ty.id);
            bytes.extend(argument.encode(field_type).ok_or_else(differ)?);
        }
        Ok(bytes)
    }

    /// The call that sets weights without commit-reveal: `set_weights`, or
    /// `set_mechanism_weights` for mechanism 0. `uids` and `weights` have the same length.
    ///
    /// # Errors
    /// [`Error::Missing`] if the runtime has neither, or [`Error::CallFields`].
    pub fn set_weights_call(
        &self,
        netuid: u16,
        uids: &[u16],
        weights: &[u16],
        version_key: u64,
    ) -> Result<Vec<u8>, Error> {
        let netuid = ("netuid", Argument::U16(netuid));
        let rest = [
            ("dests", Argument::U16s(uids.to_vec())),
            ("weights", Argument::U16s(weights.to_vec())),
            ("version_key", Argument::U64(version_key)),
        ];
        if self.has_call(SUBTENSOR, "set_weights") {
            let arguments = [&[netuid][..], &rest].concat();
            return self.call(SUBTENSOR, "set_weights", &arguments);
        }
        let mechanism = ("mecid", Argument::U8(0));
        let arguments = [&[netuid, mechanism][..], &rest].concat();
        self.call(SUBTENSOR, "set_mechanism_weights", &arguments)
    }

    /// The call that commits timelocked weights: `commit_timelocked_weights` with the version that
    /// the chain wants, or `commit_crv3_weights` of older runtimes.
    ///
    /// # Errors
    /// [`Error::Missing`] if the runtime has neither, or [`Error::CallFields`].
    pub fn commit_call(
        &self,
        netuid: u16,
        commit: &[u8],
        reveal_round: u64,
        version: u16,
    ) -> Result<Vec<u8>, Error> {
        let mut arguments = vec![
            ("netuid", Argument::U16(netuid)),
            ("commit", Argument::Bytes(commit.to_vec())),
            ("reveal_round", Argument::U64(reveal_round)),
        ];
        if self.has_call(SUBTENSOR, "commit_timelocked_weights") {
            arguments.push(("commit_reveal_version", Argument::U16(version)));
            return self.call(SUBTENSOR, "commit_timelocked_weights", &arguments);
        }
        self.call(SUBTENSOR, "commit_crv3_weights", &arguments)
    }

    /// The storage item that maps subnet and epoch to the epoch's timelocked commits.
    pub(crate) fn commits_item(&self) -> Result<&'static str, Error> {
        // The newest first, as later runtimes keep the older items for their migrations.
        let items = [
            "TimelockedWeightCommits",
            "CRV3WeightCommitsV2",
            "CRV3WeightCommits",
        ];
        let mut items = items.into_iter();
        let item = items.find(|item| self.has_storage(SUBTENSOR, item));
        item.ok_or_else(|| self.missing("storage of timelocked commits"))
    }
}
