use scale_value::{Composite, Value, ValueDef};

use crate::call::SUBTENSOR;
use crate::error::Error;
use crate::metadata::Runtime;

/// The event that says that a timelocked commit has become weights, by its newer and its older name.
/// Its fields are the subnet and the hotkey.
const REVEALED: [&str; 2] = ["TimelockedWeightsRevealed", "CRV3WeightsRevealed"];

/// What became of an extrinsic that a block contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The name of the error, `None` if it succeeded.
    pub failure: Option<String>,
    /// The events of the extrinsic, as `Pallet.Event`, in their order.
    pub events: Vec<String>,
}

impl Runtime {
    /// Reads from the content of `System.Events` what became of the extrinsic at place `index` of
    /// the block.
    ///
    /// # Errors
    /// [`Error::Malformed`], also if the events do not say how the extrinsic ended.
    pub fn execution(&self, events: &[u8], index: u32) -> Result<Execution, Error> {
        let mut names = Vec::new();
        let mut outcome = None;
        for record in fields(&self.stored_value("System", "Events", events)?) {
            let phase = field(record, "phase").ok_or_else(malformed_record)?;
            let (phase, applied) = variant(phase).ok_or_else(malformed_record)?;
            let place = applied.values().next().and_then(number);
            if phase != "ApplyExtrinsic" || place != Some(u128::from(index)) {
                continue;
            }
            let (pallet, name, content) = event(record)?;
            match (pallet, name) {
                ("System", "ExtrinsicSuccess") => outcome = Some(None),
                ("System", "ExtrinsicFailed") => {
                    let error = content.values().next().ok_or_else(malformed_record)?;
                    outcome = Some(Some(self.dispatch_error(error)));
                }
                _ => {}
            }
            names.push(format!("{pallet}.{name}"));
        }
        let failure = outcome.ok_or_else(|| {
            Error::malformed("System.Events", "they do not say how the extrinsic ended")
        })?;
        Ok(Execution {
            failure,
            events: names,
        })
    }

    /// Whether the runtime has the event that says that a timelocked commit has become weights.
    pub fn has_reveal_event(&self) -> bool {
        let events = self.pallets.get(SUBTENSOR).and_then(|pallet| pallet.events);
        let variants = events.map_or(&[][..], |id| self.variants(id));
        let mut names = variants.iter().map(|variant| variant.name.as_str());
        names.any(|name| REVEALED.contains(&name))
    }

    /// Whether the content of `System.Events` says that a timelocked commit of this hotkey has become
    /// its weights on this subnet.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn has_revealed(
        &self,
        events: &[u8],
        netuid: u16,
        hotkey: &[u8; 32],
    ) -> Result<bool, Error> {
        let expected: Vec<u128> = std::iter::once(u128::from(netuid))
            .chain(hotkey.iter().map(|byte| u128::from(*byte)))
            .collect();
        for record in fields(&self.stored_value("System", "Events", events)?) {
            let (pallet, name, content) = event(record)?;
            if pallet != SUBTENSOR || !REVEALED.contains(&name) {
                continue;
            }
            let mut found = Vec::new();
            collect_numbers(content, &mut found);
            if found == expected {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The name of a `DispatchError`: for a pallet's own error its name in the metadata.
    fn dispatch_error(&self, error: &Value<u32>) -> String {
        let Some((kind, content)) = variant(error) else {
            return "an error of unknown form".to_owned();
        };
        if kind != "Module" {
            return match content.values().next().and_then(variant) {
                Some((detail, _)) => format!("{kind}.{detail}"),
                None => kind.to_owned(),
            };
        }
        let module = content.values().next();
        let index = module
            .and_then(|module| field(module, "index"))
            .and_then(number);
        // Four bytes, of which the first is the error's index.
        let code = module.and_then(|module| field(module, "error"));
        let code = code.and_then(|code| match &code.value {
            ValueDef::Composite(bytes) => bytes.values().next().and_then(number),
            _ => number(code),
        });
        let (Some(index), Some(code)) = (index, code) else {
            return "a module's error of unknown form".to_owned();
        };
        let name = match (u8::try_from(index), u8::try_from(code)) {
            (Ok(index), Ok(code)) => self.error_name(index, code),
            _ => None,
        };
        name.map_or_else(|| format!("error {code} of pallet {index}"), str::to_owned)
    }
}

fn malformed_record() -> Error {
    Error::malformed("System.Events", "a record has no known form")
}

/// The pallet, the name and the fields of a record's event.
fn event(record: &Value<u32>) -> Result<(&str, &str, &Composite<u32>), Error> {
    let event = field(record, "event").ok_or_else(malformed_record)?;
    let (pallet, inner) = variant(event).ok_or_else(malformed_record)?;
    let inner = inner.values().next().ok_or_else(malformed_record)?;
    let (name, content) = variant(inner).ok_or_else(malformed_record)?;
    Ok((pallet, name, content))
}

/// The numbers in fields, of which some are wrapped, in their order.
fn collect_numbers(values: &Composite<u32>, found: &mut Vec<u128>) {
    for value in values.values() {
        match &value.value {
            ValueDef::Composite(inner) => collect_numbers(inner, found),
            _ => found.extend(number(value)),
        }
    }
}

fn fields(value: &Value<u32>) -> Vec<&Value<u32>> {
    match &value.value {
        ValueDef::Composite(composite) => composite.values().collect(),
        _ => Vec::new(),
    }
}

pub(crate) fn field<'a>(value: &'a Value<u32>, name: &str) -> Option<&'a Value<u32>> {
    match &value.value {
        ValueDef::Composite(Composite::Named(fields)) => {
            let mut fields = fields.iter();
            fields
                .find(|(found, _)| found == name)
                .map(|(_, value)| value)
        }
        _ => None,
    }
}

fn variant(value: &Value<u32>) -> Option<(&str, &Composite<u32>)> {
    match &value.value {
        ValueDef::Variant(variant) => Some((&variant.name, &variant.values)),
        _ => None,
    }
}

fn number(value: &Value<u32>) -> Option<u128> {
    value.as_u128()
}
