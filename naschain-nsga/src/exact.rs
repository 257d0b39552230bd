//! Serialises floats so that they are read back exactly.
//!
//! Not every reader of JSON rounds numbers correctly, and JSON has no infinity. In human-readable
//! formats a float is therefore written as a string, the shortest one that identifies it; plain numbers
//! are accepted on reading. Other formats store the float itself.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A float that round-trips exactly.
struct Exact(f64);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            to.collect_str(&format_args!("{:?}", self.0))
        } else {
            to.serialize_f64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            from.deserialize_any(Reader)
        } else {
            f64::deserialize(from).map(Exact)
        }
    }
}

struct Reader;

impl Visitor<'_> for Reader {
    type Value = Exact;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a string with a number")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Exact, E> {
        Ok(Exact(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Exact, E> {
        Ok(Exact(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Exact, E> {
        Ok(Exact(value as f64))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Exact, E> {
        let value = text.parse().map(Exact);
        value.map_err(|_| E::custom(format_args!("{text:?} is not a number")))
    }
}

pub(crate) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    Exact(*value).serialize(to)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Exact::deserialize(from).map(|exact| exact.0)
}

/// As the parent module, for an optional float.
pub(crate) mod option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        value.map(Exact).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        let value = Option::<Exact>::deserialize(from)?;
        Ok(value.map(|exact| exact.0))
    }
}

/// As the parent module, for a list of floats.
pub(crate) mod list {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().copied().map(Exact))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: FromIterator<f64>>(
        from: D,
    ) -> Result<T, D::Error> {
        let values = Vec::<Exact>::deserialize(from)?;
        Ok(values.into_iter().map(|exact| exact.0).collect())
    }
}

/// As the parent module, for an optional list of floats.
pub(crate) mod list_option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        values: &Option<Vec<f64>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let exact = |values: &Vec<f64>| values.iter().copied().map(Exact).collect::<Vec<_>>();
        values.as_ref().map(exact).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Vec<f64>>, D::Error> {
        let values = Option::<Vec<Exact>>::deserialize(from)?;
        Ok(values.map(|values| values.into_iter().map(|exact| exact.0).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<f64> {
        serde_json::from_str(text).ok().map(|exact: Exact| exact.0)
    }

    proptest! {
        #[test]
        fn every_float_round_trips(bits: u64) {
            let value = f64::from_bits(bits);
            let text = serde_json::to_string(&Exact(value)).unwrap();
            let read = read(&text).unwrap();
            prop_assert!(read.to_bits() == bits || value.is_nan() && read.is_nan(), "{}", text);
            let bytes = postcard::to_allocvec(&Exact(value)).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Exact>(&bytes).unwrap().0.to_bits(), bits);
        }
    }

    #[test]
    fn plain_numbers_are_accepted() {
        let cases = [
            ("0.5", 0.5),
            ("-3", -3.0),
            ("7", 7.0),
            ("\"-inf\"", f64::NEG_INFINITY),
        ];
        for (text, value) in cases {
            assert_eq!(read(text), Some(value));
        }
        assert_eq!(read("\"one\""), None);
        assert_eq!(read("null"), None);
    }
}
