//! Flags whose values shells complete.

use std::ffi::OsStr;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command};

/// Parses a flag by [`FromStr`], and suggests some of its values, for completions.
#[derive(Clone)]
pub(crate) struct Suggesting<T> {
    values: Vec<String>,
    parsed: PhantomData<fn() -> T>,
}

impl<T> Suggesting<T> {
    /// Suggests these values.
    pub(crate) fn new(values: impl IntoIterator<Item = String>) -> Suggesting<T> {
        Suggesting {
            values: values.into_iter().collect(),
            parsed: PhantomData,
        }
    }
}

impl<T> TypedValueParser for Suggesting<T>
where
    T: FromStr<Err = anyhow::Error> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        T::from_str.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.values.iter().map(PossibleValue::new)))
    }
}
