//! `POST /v1/estimates`: what a search would take, before it begins.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use naschain_consensus::MinerId;
use naschain_run::RunState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::artifacts::workload::{Workload, average_flops};
use crate::home::runs::RunSettings;
use crate::home::tokens::Scope;
use crate::hosting::caller::{Sender, trouble, wrong};
use crate::hosting::host::Host;
use crate::hosting::openapi::Refusals;
use crate::hosting::planning::{planned, time_limit};
use crate::hosting::run_creation::data_of;
use crate::printable::{about, counted};
use crate::server::app::Reply;
use crate::server::requests::Body;

/// A search that is considered.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsideredRun {
    /// The digest of a data set that the user may use, or `digits`.
    data: String,
    /// Flags of `genomaster search` by name.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    settings: RunSettings,
}

/// What a search would take.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunEstimate {
    /// Networks that are trained, at most.
    networks: usize,
    /// Their trainings by miners, at most.
    trainings: usize,
    /// Epochs of a training, at most.
    epochs: u32,
    /// Training images of an epoch.
    train_images: usize,
    /// Images on which accuracies are measured.
    validation_images: usize,
    /// FLOPs of all trainings together.
    flops: f64,
    /// Miners that are here.
    miners: usize,
    /// How long it takes if all of them work for it alone; missing where their speed is not known.
    time_s: Option<f64>,
    /// The same in words.
    text: String,
}

/// Estimates what a search would take.
#[utoipa::path(post, path = "/v1/estimates", tag = "runs", request_body = ConsideredRun,
    security(("token" = []), ("session" = [])),
    responses((status = 200, body = RunEstimate), Refusals))]
pub(super) async fn estimate(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Body(considered): Body<ConsideredRun>,
) -> Reply<Json<RunEstimate>> {
    let user = sender.needs(Scope::Runs)?;
    let (digest, kind) = data_of(&host, user, &considered.data).await?;
    let dataset = host.dataset(digest, &kind).await;
    let dataset = dataset.map_err(|error| trouble(&error))?;
    host.keep_shown(&dataset);
    let is_signed = host.auth.hotkey().is_some();
    let limit = time_limit(&considered.settings);
    // On a thread of its own: it draws the data's split.
    let sized = move || {
        let (spec, _) = planned(&considered.settings, &kind, &dataset, is_signed)?;
        let load = Workload::new(&spec, dataset.test.len());
        anyhow::Ok((load.left(0, average_flops(&spec)), spec))
    };
    let sized = tokio::task::spawn_blocking(sized).await;
    let sized = sized.map_err(|error| trouble(&error.into()))?;
    let (flops, spec) = sized.map_err(|error| wrong(&error))?;
    let (miners, rate) = host.miners_here().await;
    let time_s = rate.map(|rate| flops / rate);
    let time_s = match limit {
        Some(limit) => time_s.map(|time_s| time_s.min(limit.as_secs_f64())),
        None => time_s,
    };
    let recipe = &spec.recipe;
    let networks = spec.search.max_candidates();
    Ok(Json(RunEstimate {
        networks,
        trainings: networks.saturating_mul(spec.rules.seats),
        epochs: recipe.epochs,
        train_images: recipe.train_images,
        validation_images: recipe.validation_images,
        flops,
        miners,
        time_s,
        text: in_words(miners, time_s),
    }))
}

fn in_words(miners: usize, time_s: Option<f64>) -> String {
    let here = counted(miners, "miner");
    let time = time_s.and_then(|s| std::time::Duration::try_from_secs_f64(s).ok());
    match (miners, time) {
        (0, _) => "no miners are here: the search begins when some join".to_owned(),
        (_, None) => {
            format!("{here} here, whose speed is not known before they have trained a network")
        }
        (1, Some(time)) => format!("roughly {} with the miner that is here", about(time)),
        (_, Some(time)) => format!(
            "roughly {} if the {here} that are here work for it alone",
            about(time)
        ),
    }
}

impl Host {
    /// The number of miners that are here, and the FLOPs that they do in a second together: those whose
    /// speed is not known count as the average of the others.
    async fn miners_here(&self) -> (usize, Option<f64>) {
        let mut here: BTreeSet<MinerId> = self.note_paces().await;
        // Those that wait for work are in no run, or in one that has ended.
        here.extend(self.waiting.here());
        let rates = here.iter().filter_map(|miner| {
            let known = || self.miners.track_record(miner);
            let known = || known().map(|record| record.flops_per_second as f64);
            self.waiting
                .pace(miner)
                .or_else(known)
                .filter(|rate| *rate > 0.0)
        });
        let rates: Vec<f64> = rates.collect();
        let average = rates.iter().sum::<f64>() / rates.len() as f64;
        (
            here.len(),
            (!rates.is_empty()).then_some(average * here.len() as f64),
        )
    }

    /// Notes how fast the miners of open runs are, before these are closed; returns those that are here.
    pub(super) async fn note_paces(&self) -> BTreeSet<MinerId> {
        let mut here = BTreeSet::new();
        for run in self.open_runs() {
            let read = |state: Option<&RunState>| -> Vec<(MinerId, bool, Option<f64>)> {
                let profiles = state.map(|state| state.board().profiles());
                let profiles = profiles.unwrap_or_default().into_iter();
                let profiles = profiles.map(|one| {
                    let name = one.name.clone();
                    (name, one.is_present, one.flops_per_second)
                });
                profiles.collect()
            };
            for (miner, is_here, pace) in run.coordinator.try_with_state(read).await {
                if let Some(pace) = pace {
                    self.waiting.note_pace(miner.clone(), pace);
                }
                if is_here {
                    here.insert(miner);
                }
            }
        }
        here
    }
}
