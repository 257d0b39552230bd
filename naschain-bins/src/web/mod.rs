//! Web pages: what they are made of, and the pages of one run.

pub(crate) mod assets;
pub(crate) mod compression;
pub(crate) mod page;
pub(crate) mod run_pages;
pub(crate) mod security;
