//! `genomaster token`: the tokens of a user of a genomaster with many runs.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use reqwest::Method;

use crate::cli::user_args::UserClientArgs;
use crate::files::first_line;
use crate::home::tokens::{Scope, TokenInfo};
use crate::hosting::account_routes::{MadeToken, NewToken, NewUser};
use crate::printable::printable;

/// Flags of the command.
#[derive(Args, Debug)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand, Debug)]
enum TokenCommand {
    /// Register at a genomaster that lets people register
    Register {
        /// The user's name: 1 to 64 characters of a-z 0-9 . _ -
        name: String,
        /// File of the password, its first line
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
        /// The invitation, where one is needed
        #[arg(long, value_name = "TEXT")]
        invitation: Option<String>,
        #[command(flatten)]
        user: UserClientArgs,
    },
    /// Print a new token for a user with a password
    Make {
        /// The user's name
        name: String,
        /// File of the password, its first line
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
        /// What the token is for
        #[arg(long, default_value = "command line", value_name = "TEXT")]
        label: String,
        /// What it allows: read, runs, data and account, separated by commas [default: all]
        #[arg(long, value_delimiter = ',')]
        scopes: Vec<Scope>,
        /// How many days it is valid [default: without end]
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
        #[command(flatten)]
        user: UserClientArgs,
    },
    /// List the user's tokens
    List {
        #[command(flatten)]
        user: UserClientArgs,
    },
    /// Revoke a token
    Revoke {
        /// Its id, as `genomaster token list` prints it
        token: String,
        #[command(flatten)]
        user: UserClientArgs,
    },
}

/// Does what the command says, and returns what to print.
pub(super) async fn token(args: TokenArgs) -> Result<String> {
    match args.command {
        TokenCommand::Register {
            name,
            password_file,
            invitation,
            user,
        } => {
            let new = NewUser {
                name,
                password: first_line(&password_file)?,
                invitation,
            };
            user.client()?.post_only("/v1/users", &new).await?;
            Ok(format!(
                "registered; next: genomaster token make {} --password-file {}\n",
                new.name,
                password_file.display()
            ))
        }
        TokenCommand::Make {
            name,
            password_file,
            label,
            scopes,
            days,
            user,
        } => {
            let new = NewToken {
                user: name,
                password: first_line(&password_file)?,
                label,
                scopes: (!scopes.is_empty()).then_some(scopes),
                days,
            };
            let made: MadeToken = user.client()?.post("/v1/tokens", &new).await?;
            Ok(format!("{}\n", printable(&made.token)))
        }
        TokenCommand::List { user } => {
            let tokens: Vec<TokenInfo> = user.client()?.get("/v1/tokens").await?;
            Ok(tokens.iter().map(described).collect())
        }
        TokenCommand::Revoke { token, user } => {
            if !token.chars().all(|c| c.is_ascii_hexdigit()) || token.is_empty() {
                bail!("{token:?} is no id of a token; `genomaster token list` lists them");
            }
            let path = format!("/v1/tokens/{token}");
            user.client()?.send(Method::DELETE, &path).await?;
            Ok("revoked\n".to_owned())
        }
    }
}

fn described(token: &TokenInfo) -> String {
    let scopes: Vec<String> = token.scopes.iter().map(Scope::to_string).collect();
    let end = match token.expires_s {
        None => "does not expire".to_owned(),
        Some(end) => format!("expires {}", date(end)),
    };
    format!(
        "{}  {}: {}; made {}, {end}\n",
        printable(&token.id),
        printable(&token.label),
        scopes.join(", "),
        date(token.created_s)
    )
}

/// The day of a time in seconds since 1970.
fn date(seconds: i64) -> String {
    // The time is the genomaster's; later ones cannot be written.
    let seconds = seconds.clamp(0, 253_402_300_799) as u64;
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.chars().take(10).collect()
}
