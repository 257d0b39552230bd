//! `genomaster serve --home`: a genomaster with many runs.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use naschain_identity::{Hotkey, Nonces};
use naschain_train::Options;
use tokio::net::TcpListener;

use crate::artifacts::workload::Workload;
use crate::cli::access_args::{AccessArgs, HOTKEY_FILE, Opened};
use crate::cli::program::print;
use crate::clock;
use crate::commands::conclude::{concluded, follow};
use crate::commands::progress::Progress;
use crate::home::{Home, SharedPlaces};
use crate::hosting::cluster::Cluster;
use crate::hosting::host::Host;
use crate::hosting::routes::router;
use crate::hosting::settings::{Followed, HostSettings, Registration};
use crate::journal::folder_lock::FolderLock;
use crate::printable::counted;
use crate::server::auth::Authenticator;
use crate::server::listen;
use crate::server::registrations::read_forever;
use crate::shutdown::shutdown;

/// Pause before a run's files are written again after a failure, for example on a full disk.
const CONCLUDE_RETRY: Duration = Duration::from_secs(30);
/// How long the end of a run waits for a model that miners were asked for, without any that comes.
const MODEL_WAIT: Duration = Duration::from_secs(120);

/// The flags of `serve` that a genomaster with many runs uses, besides those about access.
pub(super) struct HomeArgs {
    pub(super) dir: PathBuf,
    /// What other genomasters have too.
    pub(super) shared: SharedPlaces,
    /// Where the others reach this one.
    pub(super) address: Option<String>,
    /// Certificates that the others may have, besides those of public authorities.
    pub(super) ca_file: Option<PathBuf>,
    pub(super) registration: Registration,
    pub(super) is_public: bool,
    pub(super) has_exams: bool,
    pub(super) options: Options,
    pub(super) keep_mib: u64,
}

/// Serves until Ctrl-C or SIGTERM.
pub(super) async fn serve_home(
    args: HomeArgs,
    listener: TcpListener,
    access: &AccessArgs,
) -> Result<()> {
    let _held = FolderLock::take(&args.dir)?;
    let mut opened = open_access(&args, access)?;
    let mut reading = tokio::spawn(read_forever(opened.reader.take()));
    let home = Home::open(&args.dir, &args.shared).await?;
    let scheme = ["http", "https"][usize::from(opened.listening.tls.is_some())];
    let own_address = format!("{scheme}://{}", listener.local_addr()?);
    let hotkey = opened.access().hotkey.as_ref().map(Hotkey::address);
    let cluster = joined(&args, &home, hotkey, scheme, listener.local_addr()?).await?;
    let is_signed = opened.is_signed();
    let settings = HostSettings {
        access: opened.access().clone(),
        registration: args.registration,
        is_public: args.is_public,
        has_tls: opened.listening.tls.is_some() || opened.listening.behind_proxy,
        coordinator: opened.settings(),
        has_exams: is_signed && args.has_exams,
        options: args.options,
        keep_mib: args.keep_mib,
        follow: follow_run,
    };
    match opened.access().hotkey.as_ref() {
        Some(key) => tracing::info!("genomaster {}", key.address()),
        None => tracing::warn!(
            "UNSIGNED: requests of miners are not authenticated; any client that reaches this address can act as any miner"
        ),
    }
    // A request that was signed before the start may have been used then.
    let nonces = Nonces::new(clock::unix_nanos());
    let has_users = !home.users().await?.is_empty();
    let auth = Authenticator::new(settings.access.clone(), Arc::new(Mutex::new(nonces)));
    let host = Host::start(home, settings, cluster, Arc::new(auth)).await?;
    host.resume_checks();
    let open = host.open_runs().len();
    tracing::info!("{} in {}", counted(open, "open run"), args.dir.display());
    if !has_users && args.registration == Registration::Closed {
        tracing::warn!(
            "there is no user yet; add one with: genomaster user add NAME --admin --home {}",
            args.dir.display()
        );
    }
    print(&format!("listening on {own_address}\n"))?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let listening = opened.listening.clone();
    let served = listen::serve(listener, router(host.clone()), listening, stopped);
    let mut server = tokio::spawn(served);
    let result = tokio::select! {
        result = &mut server => result?.context("the server ended"),
        result = &mut reading => result?,
        _ = shutdown() => {
            tracing::info!("stopping: answering open requests, accepting no new ones");
            Ok(())
        }
    };
    for run in host.open_runs() {
        run.coordinator.release_waiting();
    }
    if stop.send(()).is_ok() {
        let _ = server.await;
    }
    host.close_all().await?;
    result
}

/// Reads the files that the flags name, and the hotkey of the home, which is made unless there is one.
fn open_access(args: &HomeArgs, access: &AccessArgs) -> Result<Opened> {
    let own_hotkey = args.dir.join(HOTKEY_FILE);
    // Genomasters that share a home have one hotkey, so none of them can make it.
    if args.shared.store.is_none() || own_hotkey.exists() {
        access.open_in_home(&own_hotkey)
    } else {
        access.open()
    }
}

/// Joins the genomasters that share the home's database, if there is one to share.
async fn joined(
    args: &HomeArgs,
    home: &Home,
    hotkey: Option<&str>,
    scheme: &str,
    listening: SocketAddr,
) -> Result<Option<Cluster>> {
    let Some(store) = &args.shared.store else {
        return Ok(None);
    };
    let address = shared_address(args.address.as_deref(), scheme, listening)?;
    let joined = Cluster::join(&args.dir, store, address, args.ca_file.as_deref()).await?;
    joined.check_hotkey(hotkey).await?;
    let is_first = !joined.has_files().await?;
    home.files
        .check_owner(&joined.name_of_all(), is_first)
        .await?;
    joined.note_files().await?;
    Ok(Some(joined))
}

/// The URL at which other genomasters reach this one.
fn shared_address(given: Option<&str>, scheme: &str, listening: SocketAddr) -> Result<String> {
    let Some(given) = given else {
        ensure!(
            !listening.ip().is_unspecified(),
            "with --store and --listen {listening}, give --address: the URL at which the other genomasters reach this one, such as {scheme}://10.0.0.1:{}",
            listening.port()
        );
        return Ok(format!("{scheme}://{listening}"));
    };
    let url = reqwest::Url::parse(given).ok().filter(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.has_host()
            && url.username().is_empty()
            && url.path() == "/"
            && url.query().is_none()
    });
    ensure!(
        url.is_some(),
        "--address is {given}; it must be a URL such as {scheme}://10.0.0.1:{}, without a path",
        listening.port()
    );
    Ok(given.trim_end_matches('/').to_owned())
}

/// Follows a run to its end, or until it is stopped, and writes its files.
fn follow_run(followed: Followed) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
    Box::pin(async move {
        let Followed {
            coordinator,
            dir,
            dataset,
            options,
            mut stop,
        } = followed;
        let load = Workload::new(coordinator.spec(), dataset.test.len());
        let mut shown = Progress::hidden(load);
        tokio::select! {
            followed = follow(&coordinator, &dir, &mut shown, |_| false) => {
                followed?;
            }
            _ = stop.wait_for(|stop| *stop) => {}
        }
        loop {
            // What has ended since the run was stopped.
            follow(&coordinator, &dir, &mut shown, |_| true).await?;
            let files = concluded(
                &coordinator,
                &dir,
                &dataset,
                options,
                MODEL_WAIT,
                &mut shown,
            );
            match files.await {
                Ok(_) => return Ok(()),
                Err(error) => tracing::error!("{error:#}; retrying in {CONCLUDE_RETRY:?}"),
            }
            tokio::time::sleep(CONCLUDE_RETRY).await;
        }
    })
}
