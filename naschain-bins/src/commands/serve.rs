//! `genomaster serve`: a genomaster for miners and validators, over HTTP.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use naschain_consensus::Rule;
use naschain_train::{Dataset, Options};

use crate::artifacts::data_place::shown_name;
use crate::artifacts::models::Member;
use crate::artifacts::workload::Workload;
use crate::cli::access_args::AccessArgs;
use crate::cli::common_args::{CommonArgs, OpenRun, PlannedRun};
use crate::cli::program::print;
use crate::cli::retraining_args::{RetrainingArgs, plan_retraining};
use crate::cli::run_args::RUN;
use crate::commands::conclude::{conclude, follow};
use crate::commands::miner_shortage::warn_of_shortage;
use crate::commands::progress::Progress;
use crate::commands::retrain::store_retrained;
use crate::commands::serve_home::{HomeArgs, serve_home};
use crate::coordinator::Coordinator;
use crate::home::SharedPlaces;
use crate::hosting::planning::check_no_settings;
use crate::hosting::settings::Registration;
use crate::printable::counted;
use crate::server;
use crate::server::exams::Exams;
use crate::server::legacy::suitability::check_run;
use crate::server::listen;
use crate::server::registrations::read_forever;
use crate::server::served_run::ServedRun;
use crate::shutdown::shutdown;
use naschain_run::RunSpec;

/// Pause before the front's models are trained and written again after a failure, for example on a
/// full disk.
const CONCLUDE_RETRY: Duration = Duration::from_secs(30);

/// How long the end of a run waits for a model that miners were asked for, without any that comes.
const MODEL_WAIT: Duration = Duration::from_secs(120);

/// Flags of the command.
#[derive(Args, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten, next_help_heading = RUN)]
    retraining: RetrainingArgs,
    /// Address to listen on, such as 0.0.0.0:5000 or localhost:5000
    ///
    /// Port 0 chooses a free port, which is printed.
    #[arg(
        long,
        help_heading = "Access",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:5000"
    )]
    listen: String,
    #[command(flatten, next_help_heading = "Access")]
    access: AccessArgs,
    /// Train every network with --seed, which is public, as with --unsigned
    ///
    /// By default each training gets its own secret seed, which a miner learns only with the job: it
    /// follows from a secret in the run's folder.
    #[arg(long, help_heading = "Access", hide_short_help = true)]
    public_seeds: bool,
    /// Serve any number of runs, which users create over HTTP, from this folder
    ///
    /// The folder has the users, their data sets and a folder for each run. `genomaster user add` adds
    /// the first user; `genomaster submit` begins a run.
    #[arg(long, help_heading = RUN, value_name = "DIR", conflicts_with_all = ["data", "data_dir", "out", "retrain", "legacy"])]
    home: Option<PathBuf>,
    /// With --home and --store, the folder or s3://BUCKET/PREFIX that the genomasters share
    ///
    /// Genomasters with the same --store and --files share users, data sets and runs; each has a --home
    /// of its own. For S3 the usual variables of the environment are used: AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT.
    #[arg(long, help_heading = RUN, hide_short_help = true, value_name = "PLACE", requires_all = ["home", "store"])]
    files: Option<String>,
    /// With --home and --store, the URL at which the other genomasters reach this one
    #[arg(long, help_heading = RUN, hide_short_help = true, value_name = "URL", requires_all = ["home", "store"])]
    address: Option<String>,
    /// With --home and --store, a PEM file of certificates to trust at the other genomasters
    #[arg(long, help_heading = RUN, hide_short_help = true, value_name = "FILE", requires_all = ["home", "store"])]
    ca_file: Option<PathBuf>,
    /// With --home, who may register: open, invited or closed
    #[arg(long, help_heading = "Access", hide_short_help = true, value_name = "WHO", value_enum, default_value_t = Registration::Closed, requires = "home")]
    registration: Registration,
    /// With --home, show the public runs to visitors who have not signed in
    ///
    /// Otherwise the first page asks them to sign in. A public run can be read at its own address in
    /// any case.
    #[arg(
        long,
        help_heading = "Access",
        hide_short_help = true,
        requires = "home"
    )]
    public: bool,
    /// Admit new hotkeys without an entrance examination
    ///
    /// It is a training of about a second that detects machines that compute wrong results, and makes
    /// new hotkeys costly; with --unsigned there is no examination.
    #[arg(long, help_heading = "Access", hide_short_help = true)]
    no_exam: bool,
}

impl ServeArgs {
    /// The flags of a genomaster with many runs, if it is to be one.
    fn home_args(&self) -> Result<Option<HomeArgs>> {
        let Some(dir) = self.home.clone() else {
            return Ok(None);
        };
        check_no_settings(&self.common.run)?;
        ensure!(
            self.common.objective.is_none(),
            "--objective belongs to one run; runs of a genomaster with --home search by FLOPs"
        );
        let shared = SharedPlaces {
            store: self.common.store.clone(),
            files: self.files.clone(),
        };
        ensure!(
            shared.store.is_some() == shared.files.is_some(),
            "with --home, --store needs --files: genomasters that share a database share their files too"
        );
        Ok(Some(HomeArgs {
            dir,
            shared,
            address: self.address.clone(),
            ca_file: self.ca_file.clone(),
            registration: self.registration,
            is_public: self.public,
            has_exams: !self.no_exam,
            options: self.common.device.options(),
            keep_mib: self.common.data.keep.keep_images,
        }))
    }
}

/// Serves until Ctrl-C or SIGTERM. It does not stop when the search is finished, so that validators
/// can fetch its jobs.
pub async fn serve(mut args: ServeArgs) -> Result<()> {
    // Before anything else, so that a busy port leaves no folder behind.
    let listener = listen::bind(&args.listen).await?;
    if let Some(home) = args.home_args()? {
        return serve_home(home, listener, &args.access).await;
    }
    let mut opened = args.access.open()?;
    let mut reading = tokio::spawn(read_forever(opened.reader.take()));
    if args.access.legacy {
        ensure!(
            args.common.run.rungs.is_empty(),
            "--rungs cannot be used with --legacy: miners of the reference network train all epochs of a network"
        );
        // The reference network's miners have no digests, which the default rule compares.
        args.common.run.agreement.get_or_insert(Rule::Tolerance);
        args.common.run.silent_uids = true;
    }
    // Without signatures, all machines are trusted anyway.
    args.common.run.has_strangers = opened.is_signed();
    let has_secret = !args.public_seeds && opened.is_signed();
    let listening = opened.listening.clone();
    let member = args.retraining.member()?.map(Arc::new);
    let planned = plan(&args, member.as_ref()).await?;
    let OpenRun {
        dataset,
        dir,
        coordinator,
        lock: _held,
    } = args
        .common
        .open_served(planned, opened.settings(), has_secret)
        .await?;
    tell_of_referee(coordinator.spec());
    if let Some(member) = &member {
        tell_of_retraining(member, coordinator.spec());
    }
    let options = args.common.device.options();
    let has_exams = opened.is_signed() && !args.no_exam;
    let exams = has_exams.then(|| Exams::new(coordinator.spec().clone(), dataset.clone(), options));
    let exams = exams.transpose()?;
    let (auth, legacy) = opened.auth(&coordinator, &dir, exams)?;
    let scheme = ["http", "https"][usize::from(listening.tls.is_some())];
    // Printed only when the run is open, so a script that reads this line can connect.
    let address = listener.local_addr()?;
    print(&format!("listening on {scheme}://{address}\n"))?;
    let shown = shown(&coordinator, &dir, &dataset, options);
    let router = server::router_of(coordinator.clone(), auth, legacy, None, shown);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ended = async { drop(stopped.await) };
    let mut server = tokio::spawn(listen::serve(listener, router, listening, ended));
    let work = work(&coordinator, &dir, &dataset, options, member);
    let result = tokio::select! {
        result = work => result,
        result = &mut server => result?.context("the server ended"),
        result = &mut reading => result?,
        _ = shutdown() => {
            tracing::info!("stopping: answering open requests, accepting no new ones");
            Ok(())
        }
    };
    // Requests that wait for work or events end now. Others are completed, because they may carry
    // results of miners.
    coordinator.release_waiting();
    if stop.send(()).is_ok() {
        let _ = server.await;
    }
    coordinator.close().await?;
    result
}

/// What pages show of the run, which is prepared now.
fn shown(
    coordinator: &Arc<Coordinator>,
    dir: &Path,
    dataset: &Arc<Dataset>,
    options: Options,
) -> Arc<ServedRun> {
    let title = shown_name(dir, &coordinator.spec().data.name);
    let served = Arc::new(ServedRun::new(title, dir, dataset.clone(), options));
    served.recording.prepare(coordinator);
    served
}

/// The run that the flags describe, which retrains `member` if there is one.
async fn plan(args: &ServeArgs, member: Option<&Arc<Member>>) -> Result<PlannedRun> {
    let planned = match member {
        Some(member) => plan_retraining(&args.common, member).await?,
        None => args.common.plan().await?,
    };
    // Miners and validators would refuse it.
    planned.spec.validate_received()?;
    if args.access.legacy {
        check_run(&planned.spec)?;
    }
    Ok(planned)
}

/// Says who decides where results of miners differ.
fn tell_of_referee(spec: &RunSpec) {
    match &spec.rules.referee {
        Some(_) => tracing::info!("where results of miners differ, the referee decides"),
        None if spec.rules.agreement.rule == Rule::Exact => {
            tracing::info!("where results of miners differ, the majority decides (no referee)");
        }
        None => tracing::info!(
            "where results of miners differ, the majority decides: a referee needs --agreement exact"
        ),
    }
}

/// Says what the miners will train.
fn tell_of_retraining(member: &Member, spec: &RunSpec) {
    let recipe = &spec.recipe;
    tracing::info!(
        "retraining {} of {}: {} of {} on all {} of {}",
        member.shown(),
        member.dir.display(),
        counted(spec.rules.seats, "training"),
        counted(recipe.epochs, "epoch"),
        counted(recipe.train_images, "image"),
        spec.data.name
    );
}

/// Follows the search, then concludes the run; ends only with an error. `member` is the network of
/// another run that is retrained.
async fn work(
    coordinator: &Arc<Coordinator>,
    dir: &Path,
    dataset: &Arc<Dataset>,
    options: Options,
    member: Option<Arc<Member>>,
) -> Result<()> {
    let ended = coordinator.with_state(|state| state.ended_jobs().len());
    let load = Workload::new(coordinator.spec(), dataset.test.len());
    let mut shown = Progress::of_server(load, ended.await);
    tokio::select! {
        followed = follow(coordinator, dir, &mut shown, |_| false) => {
            followed?;
        }
        () = warn_of_shortage(coordinator) => {}
    }
    loop {
        let concluded = conclude(coordinator, dir, dataset, options, MODEL_WAIT, &mut shown).await;
        let stored = concluded.and_then(|problem| match (problem, &member) {
            (Some(problem), _) => Ok(problem + "\n"),
            (None, Some(member)) => store_retrained(member, dir),
            (None, None) => Ok(String::new()),
        });
        match stored {
            Ok(text) => break print(&text)?,
            // Not fatal: validators must still be able to fetch the jobs.
            Err(error) => tracing::error!("{error:#}; retrying in {CONCLUDE_RETRY:?}"),
        }
        tokio::time::sleep(CONCLUDE_RETRY).await;
    }
    print("finished; still serving, stop with Ctrl-C or SIGTERM\n")?;
    std::future::pending().await
}
