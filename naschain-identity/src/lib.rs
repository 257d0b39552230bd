#![doc = include_str!("../README.md")]

mod btauth;
mod error;
mod hotkey;
mod hotkey_file;
mod nonces;
pub mod ss58;

pub use btauth::{
    Auth, AuthError, MAX_AGE_NS, MAX_AHEAD_NS, SignedParts, check_age, is_signed_by,
    parse_signature,
};
pub use error::HotkeyError;
pub use hotkey::Hotkey;
pub use hotkey_file::readable_by_others;
pub use nonces::Nonces;
