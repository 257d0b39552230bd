//! The address of a genomaster, and what a client knows of it.

use anyhow::{Result, bail};
use tokio::sync::OnceCell;

/// A genomaster as a client knows it.
#[derive(Debug)]
pub(super) struct Genomaster {
    pub(super) url: String,
    /// The path of `url`, a prefix of all request paths.
    pub(super) base: String,
    /// Its address once it has been requested; `None` inside if it does not require signatures.
    pub(super) receiver: OnceCell<Option<String>>,
}

impl Genomaster {
    pub(super) fn at(url: &str) -> Result<Genomaster> {
        let parsed = reqwest::Url::parse(url).ok();
        let parsed = parsed.filter(|u| ["http", "https"].contains(&u.scheme()) && u.has_host());
        let Some(parsed) = parsed else {
            let shown = shown(url);
            bail!("{shown:?} is not the address of a genomaster, such as http://127.0.0.1:5000");
        };
        Ok(Genomaster {
            url: url.trim_end_matches('/').to_owned(),
            base: parsed.path().trim_end_matches('/').to_owned(),
            receiver: OnceCell::new(),
        })
    }
}

/// A URL for messages, without user and password.
pub(super) fn shown(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}
