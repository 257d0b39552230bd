//! `genomaster user`: the users of a genomaster with many runs, added where its home is.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::files::first_line;
use crate::home::tokens::Scope;
use crate::home::users::User;
use crate::home::{Home, SharedPlaces, now_s};
use crate::journal::store::{JournalPlace, PlaceParser};

/// Flags of the command.
#[derive(Args, Debug)]
pub struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

/// Where the users are stored.
#[derive(Args, Debug)]
struct HomeFlags {
    /// The folder of `genomaster serve --home`
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// The database of `genomaster serve --store`, if it has one
    #[arg(long, value_name = "PLACE", value_parser = PlaceParser)]
    store: Option<JournalPlace>,
}

#[derive(Subcommand, Debug)]
enum UserCommand {
    /// Add a user, and print a token for it
    Add {
        /// 1 to 64 characters of a-z 0-9 . _ -
        name: String,
        /// May see and change everything
        #[arg(long)]
        admin: bool,
        /// File of a password, its first line; without it the user has tokens only
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        #[command(flatten)]
        limits: Limits,
        #[command(flatten)]
        home: HomeFlags,
    },
    /// Change a user's limits or password
    Set {
        /// The user
        name: String,
        /// File of a new password, its first line; the user's sessions end
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        #[command(flatten)]
        limits: Limits,
        #[command(flatten)]
        home: HomeFlags,
    },
    /// List the users
    List {
        #[command(flatten)]
        home: HomeFlags,
    },
    /// Print another token for a user
    Token {
        /// The user
        name: String,
        /// What it allows: read, runs, data and account, separated by commas [default: all]
        #[arg(long, value_delimiter = ',')]
        scopes: Vec<Scope>,
        /// How many days it is valid [default: without end]
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
        #[command(flatten)]
        home: HomeFlags,
    },
    /// Print an invitation, for `serve --registration invited`
    Invite {
        /// How many days it is valid
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
        days: u32,
        #[command(flatten)]
        home: HomeFlags,
    },
}

#[derive(Args, Debug)]
struct Limits {
    /// The user's share of the miners is proportional to this [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    weight: Option<u32>,
    /// Runs that have not ended, at most [default: 10]
    #[arg(long, value_name = "N")]
    max_runs: Option<u32>,
    /// Gibibytes of data sets, at most [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    max_gib: Option<u32>,
    /// Hours of miners' processors in all runs together, at most [default: 10000]
    #[arg(long, value_name = "N")]
    max_hours: Option<u32>,
}

impl Limits {
    fn apply(&self, user: &mut User) {
        user.weight = self.weight.unwrap_or(user.weight);
        user.quota.max_runs = self.max_runs.unwrap_or(user.quota.max_runs);
        let bytes = self.max_gib.map(|gib| u64::from(gib) << 30);
        user.quota.max_hours = self.max_hours.unwrap_or(user.quota.max_hours);
        user.quota.max_bytes = bytes.unwrap_or(user.quota.max_bytes);
    }
}

impl HomeFlags {
    /// The home that a genomaster has, or that the first user was added to.
    async fn open(&self) -> Result<Home> {
        if self.store.is_none() && !self.home.join("home.sqlite").is_file() {
            bail!(
                "{} is not the home of a genomaster; `genomaster user add` makes one, and where it has --store, give that here too",
                self.home.display()
            );
        }
        self.open_or_create().await
    }

    /// The same, made if it is missing.
    async fn open_or_create(&self) -> Result<Home> {
        let shared = SharedPlaces {
            store: self.store.clone(),
            files: None,
        };
        Home::open(&self.home, &shared).await
    }
}

/// Does what the command says, and returns what to print.
pub(super) async fn user(args: UserArgs) -> Result<String> {
    let all = Scope::ALL.into_iter().collect();
    Ok(match args.command {
        UserCommand::Add {
            name,
            admin,
            password_file,
            limits,
            home,
        } => {
            let password = password_file.map(|file| first_line(&file));
            let mut user = User::new(name, admin);
            limits.apply(&mut user);
            let home = home.open_or_create().await?;
            home.add_user(&user, password.transpose()?).await?;
            let token = home.add_token(&user.name, "first", &all, None).await?;
            format!("{token}\n")
        }
        UserCommand::Set {
            name,
            password_file,
            limits,
            home,
        } => {
            let home = home.open().await?;
            let mut user = known(&home, &name).await?;
            if let Some(file) = password_file {
                home.set_password(&name, first_line(&file)?).await?;
            }
            limits.apply(&mut user);
            home.change_user(&user).await?;
            described(&user)
        }
        UserCommand::List { home } => {
            let users = home.open().await?.users().await?;
            users.iter().map(described).collect()
        }
        UserCommand::Token {
            name,
            scopes,
            days,
            home,
        } => {
            let home = home.open().await?;
            known(&home, &name).await?;
            let scopes = if scopes.is_empty() {
                all
            } else {
                scopes.into_iter().collect()
            };
            let expires_s = days.map(in_days);
            let token = home.add_token(&name, "command line", &scopes, expires_s);
            format!("{}\n", token.await?)
        }
        UserCommand::Invite { days, home } => {
            let invitation = home.open().await?.invite(in_days(days)).await?;
            format!("{invitation}\n")
        }
    })
}

async fn known(home: &Home, name: &str) -> Result<User> {
    match home.user(name).await? {
        Some(user) => Ok(user),
        None => bail!("there is no user {name}; `genomaster user list` lists them"),
    }
}

fn described(user: &User) -> String {
    let kind = if user.is_admin { ", administrator" } else { "" };
    let quota = &user.quota;
    format!(
        "{}{kind}: weight {}, at most {} open runs, {} GiB of data, {:.1} of {} processor hours used\n",
        user.name,
        user.weight,
        quota.max_runs,
        quota.max_bytes >> 30,
        user.used_ms as f64 / 3_600_000.0,
        quota.max_hours
    )
}

/// This many days from now, in seconds since 1970.
fn in_days(days: u32) -> i64 {
    now_s() + i64::from(days) * 86_400
}
