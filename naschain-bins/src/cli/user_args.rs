//! Flags of commands that act as a user of a genomaster with many runs.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::client::users::UserClient;
use crate::files::first_line;

/// Which genomaster, and as whom.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "The genomaster")]
pub(crate) struct UserClientArgs {
    /// Address of the genomaster
    #[arg(
        long,
        value_name = "URL",
        env = "NASCHAIN_GENOMASTER",
        default_value = "http://127.0.0.1:5000"
    )]
    pub(crate) genomaster: String,
    /// File of the user's token, its first line [default: the token in $NASCHAIN_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// PEM file of certificates to trust for https, besides the public ones
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl UserClientArgs {
    /// The client that the flags describe.
    pub(crate) fn client(&self) -> Result<UserClient> {
        let token = match &self.token_file {
            Some(file) => Some(first_line(file)?.trim().to_owned()),
            None => std::env::var("NASCHAIN_TOKEN").ok(),
        };
        UserClient::new(&self.genomaster, token, self.ca_file.as_deref())
    }
}
