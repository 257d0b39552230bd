//! The address of a genomaster, and what a client knows of it.

use anyhow::{Result, bail};
use naschain_run::Identity;
use tokio::sync::OnceCell;

/// A genomaster as a client knows it.
#[derive(Clone, Debug)]
pub(super) struct Genomaster {
    pub(super) url: String,
    /// The path of `url`, a prefix of all request paths.
    pub(super) base: String,
    /// Who it is, once it has been asked.
    pub(super) identity: OnceCell<Identity>,
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
            identity: OnceCell::new(),
        })
    }
}

/// A URL for messages, without user and password.
pub(super) fn shown(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}
