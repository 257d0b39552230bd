//! A limit to the nesting of values whose bytes and types both come from a node: scale-value decodes
//! them recursively, so without it a node could overflow the stack.

use parity_scale_codec::{Compact, Decode};
use scale_info::form::PortableForm;
use scale_info::{Field, PortableRegistry, TypeDef, TypeDefPrimitive};

/// Subtensor's events have about ten levels.
const MAX_LEVELS: usize = 64;

/// Whether bytes begin with a value of a type that is not nested too deeply and, for its bytes, has not
/// too many parts.
pub(crate) fn is_shallow(types: &PortableRegistry, type_id: u32, bytes: &[u8]) -> bool {
    let mut reader = SkippingReader {
        types,
        rest: bytes,
        // Parts without bytes, of which a few lines of types could claim billions, are rare.
        parts: bytes.len().saturating_mul(16).saturating_add(1_024),
    };
    reader.skip(type_id, MAX_LEVELS).is_some()
}

struct SkippingReader<'a> {
    types: &'a PortableRegistry,
    rest: &'a [u8],
    /// How many parts may follow.
    parts: usize,
}

impl<'a> SkippingReader<'a> {
    /// Reads over one value; `None` if it is too deep, too large or damaged.
    fn skip(&mut self, type_id: u32, levels: usize) -> Option<()> {
        self.parts = self.parts.checked_sub(1)?;
        let levels = levels.checked_sub(1)?;
        let types = self.types;
        match &types.resolve(type_id)?.type_def {
            TypeDef::Composite(composite) => self.skip_fields(&composite.fields, levels),
            TypeDef::Variant(variant) => {
                let index = u8::decode(&mut self.rest).ok()?;
                let mut variants = variant.variants.iter();
                let found = variants.find(|found| found.index == index)?;
                self.skip_fields(&found.fields, levels)
            }
            TypeDef::Sequence(sequence) => {
                let length = self.length()?;
                self.skip_each(length, sequence.type_param.id, levels)
            }
            TypeDef::Array(array) => self.skip_each(array.len, array.type_param.id, levels),
            TypeDef::Tuple(tuple) => {
                let mut fields = tuple.fields.iter();
                fields.try_for_each(|field| self.skip(field.id, levels))
            }
            TypeDef::Primitive(TypeDefPrimitive::Str) => {
                let length = self.length()?;
                self.take(length as usize)
            }
            TypeDef::Primitive(primitive) => self.take(size(primitive)),
            TypeDef::Compact(_) => Compact::<u128>::decode(&mut self.rest).ok().map(drop),
            TypeDef::BitSequence(sequence) => {
                let stored = &types.resolve(sequence.bit_store_type.id)?.type_def;
                let TypeDef::Primitive(stored) = stored else {
                    return None;
                };
                let (bits, bytes) = (self.length()? as usize, size(stored));
                self.take(bits.div_ceil(8 * bytes.max(1)) * bytes)
            }
        }
    }

    fn skip_fields(&mut self, fields: &[Field<PortableForm>], levels: usize) -> Option<()> {
        let mut fields = fields.iter();
        fields.try_for_each(|field| self.skip(field.ty.id, levels))
    }

    fn skip_each(&mut self, count: u32, type_id: u32, levels: usize) -> Option<()> {
        (0..count).try_for_each(|_| self.skip(type_id, levels))
    }

    fn length(&mut self) -> Option<u32> {
        Compact::<u32>::decode(&mut self.rest)
            .ok()
            .map(|length| length.0)
    }

    fn take(&mut self, count: usize) -> Option<()> {
        self.rest = self.rest.get(count..)?;
        Some(())
    }
}

/// Size in bytes; that of a text is in its bytes.
fn size(primitive: &TypeDefPrimitive) -> usize {
    use TypeDefPrimitive::*;
    match primitive {
        Str => 0,
        Bool | U8 | I8 => 1,
        U16 | I16 => 2,
        Char | U32 | I32 => 4,
        U64 | I64 => 8,
        U128 | I128 => 16,
        U256 | I256 => 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parity_scale_codec::Encode;
    use scale_info::{MetaType, Registry, TypeInfo, meta_type};

    #[derive(TypeInfo)]
    #[allow(dead_code, reason = "only its type is used")]
    struct Circle {
        inner: Box<Circle>,
    }

    #[derive(Encode, TypeInfo)]
    enum Nested {
        End,
        Next(Box<Nested>),
    }

    #[derive(Encode, TypeInfo)]
    struct Mixture {
        text: String,
        numbers: Vec<(u16, Compact<u64>)>,
        rest: [Option<bool>; 2],
    }

    fn registered(found: MetaType) -> (PortableRegistry, u32) {
        let mut registry = Registry::new();
        let id = registry.register_type(&found).id;
        (registry.into(), id)
    }

    fn nested(length: usize) -> Vec<u8> {
        let mut nested = Nested::End;
        for _ in 0..length {
            nested = Nested::Next(Box::new(nested));
        }
        nested.encode()
    }

    #[test]
    fn circles_and_chains_and_crowds_are_refused() {
        let (types, id) = registered(meta_type::<Circle>());
        assert!(!is_shallow(&types, id, &[]));
        let (types, id) = registered(meta_type::<Nested>());
        assert!(is_shallow(&types, id, &nested(50)));
        assert!(!is_shallow(&types, id, &nested(70)));
        let (types, id) = registered(meta_type::<Vec<()>>());
        assert!(is_shallow(&types, id, &vec![(); 100].encode()));
        assert!(!is_shallow(&types, id, &Compact(1_000_000_u32).encode()));
    }

    #[test]
    fn values_are_read_over_to_their_last_byte() {
        let sample = Mixture {
            text: "some weights".to_owned(),
            numbers: vec![(1, Compact(2)), (3, Compact(u64::MAX))],
            rest: [None, Some(true)],
        };
        let bytes = sample.encode();
        let (types, id) = registered(meta_type::<Mixture>());
        assert!(is_shallow(&types, id, &bytes));
        for end in 0..bytes.len() {
            assert!(!is_shallow(&types, id, &bytes[..end]), "{end}");
        }
    }
}
