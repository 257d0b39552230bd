//! The networks that a run has found, for those who choose one: `GET /v1/result`, trying one on a
//! picture, and downloads.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path as UrlPath, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use naschain_core::Genome;
use naschain_run::{FrontMember, ProblemKind, RunState};
use naschain_train::picture_from_bytes;
use serde::Serialize;
use tokio::sync::{Mutex, Semaphore};

use crate::artifacts::choice::names_of;
use crate::artifacts::front_model::{FRONT_FILE, FrontModel, read_front};
use crate::artifacts::models::retrained_description;
use crate::artifacts::results::useful_members;
use crate::artifacts::trained_model::{
    ModelFormat, PicturePrediction, int8_accuracy, model_bytes, predicted, stored_model,
};
use crate::coordinator::activity::RunActivity;
use crate::server::app::{App, Reply};
use crate::server::problem::ErrorResponse;
use crate::server::served_run::ServedRun;
use crate::server::views::replies::{closing, may_read_results, trouble};

/// Size of a picture that is tried, at most.
pub(super) const MAX_PICTURE_BYTES: usize = 16 << 20;
/// How long a picture may take to arrive.
const PICTURE_TIMEOUT: Duration = Duration::from_secs(20);

/// What a run has found so far.
#[derive(Serialize)]
pub(super) struct ResultView {
    state: &'static str,
    data: String,
    shape: String,
    classes: Vec<String>,
    measured_on: &'static str,
    guessing_limit: f64,
    /// The front, the most accurate first.
    networks: Vec<NetworkView>,
}

#[derive(Serialize)]
struct NetworkView {
    job: u64,
    genome: Genome,
    /// The genome with a hyphen between its phases.
    shown: String,
    accuracy: f64,
    test_accuracy: Option<f64>,
    params: u64,
    flops: u64,
    picks: String,
    /// Whether it is better than guessing.
    is_useful: bool,
    has_model: bool,
    retrained: bool,
}

/// Models are given to those who may read the front.
fn check_may_read(app: &App) -> Reply<()> {
    if may_read_results(app) {
        return Ok(());
    }
    let detail = "this genomaster shows what it has found to signed requests only; `serve --open-reads` shows it to everybody";
    Err(ErrorResponse::new(ProblemKind::NotPermitted, detail))
}

pub(super) async fn result(State(app): State<App>) -> Reply<Json<ResultView>> {
    check_may_read(&app)?;
    let read = |state: &RunState| (state.front(), state.is_finished());
    let (front, is_finished) = app.coordinator.read_in_turn(read).await?;
    let is_over = is_finished || app.coordinator.activity() == RunActivity::Ended;
    let spec = app.coordinator.spec().clone();
    let served = app.served.clone();
    let limit = app.guessing_limit();
    let dir = app.served.as_ref().map(|served| served.dir.clone());
    let made = tokio::task::spawn_blocking(move || {
        let models = dir.as_deref().map(read_front);
        let models = models.and_then(Result::ok).unwrap_or_default();
        let useful = useful_members(&front, limit);
        let network = |member: &FrontMember| {
            let model = models.iter().find(|model| model.genome == member.genome);
            let is_useful = useful.iter().any(|other| other.job == member.job);
            NetworkView {
                job: member.job.0,
                shown: member.genome.grouped(spec.space.part_len()),
                accuracy: member.measurement.accuracy.percent(),
                test_accuracy: model.map(|model| model.test_accuracy.percent()),
                params: member.measurement.params,
                flops: member.measurement.flops,
                picks: if is_useful {
                    names_of(member, &useful)
                } else {
                    String::new()
                },
                is_useful,
                has_model: model.is_some(),
                retrained: dir
                    .as_deref()
                    .is_some_and(|dir| retrained_description(dir, &member.genome).is_some()),
                genome: member.genome.clone(),
            }
        };
        let networks: Vec<NetworkView> = front.iter().map(network).collect();
        // The models come a moment after the search has finished, with this file.
        let has_ended = is_over && dir.is_some_and(|dir| dir.join(FRONT_FILE).is_file());
        ResultView {
            state: ["running", "ended"][usize::from(has_ended)],
            data: served
                .as_ref()
                .map_or(spec.data.name.clone(), |served| served.data_name()),
            shape: spec.space.input().to_string(),
            classes: served.map_or_else(Vec::new, |served| served.class_names()),
            measured_on: ["validation", "test"][usize::from(spec.recipe.is_measured_on_test())],
            guessing_limit: limit,
            networks,
        }
    });
    Ok(Json(made.await.map_err(|_| closing())?))
}

/// `GET /v1/front/models`: the models of the front, as `front.json` has them.
pub(super) async fn models(State(app): State<App>) -> Reply<Json<Vec<FrontModel>>> {
    check_may_read(&app)?;
    let dir = app.served.as_ref().ok_or_else(not_ended)?.dir.clone();
    let read = tokio::task::spawn_blocking(move || {
        dir.join(FRONT_FILE).is_file().then(|| read_front(&dir))
    });
    let read = read.await.ok().flatten().ok_or_else(not_ended)?;
    read.map(Json).map_err(|error| trouble(&error))
}

fn not_ended() -> ErrorResponse {
    let detail = "the run has no models yet; they are stored when its search has ended";
    ErrorResponse::new(ProblemKind::NotFound, detail)
}

/// The stored model of the genome in a path.
fn model_of(app: &App, genome: &str) -> Reply<(PathBuf, Arc<ServedRun>)> {
    check_may_read(app)?;
    let missing = || {
        let detail = format!(
            "the run has no model of {genome}; when its search has ended it has those of its front, which GET result lists"
        );
        ErrorResponse::new(ProblemKind::NotFound, detail)
    };
    let parsed: Genome = genome.parse().map_err(|_| missing())?;
    let served = app.served.clone().ok_or_else(missing)?;
    let file = stored_model(&served.dir, &parsed).ok_or_else(missing)?;
    Ok((file, served))
}

/// Held by the one request that computes, of all runs: the referee needs the processors too.
static TURN: Mutex<()> = Mutex::const_new(());

/// Does what takes a processor for a while, one at a time.
async fn computed<T: Send + 'static>(
    served: Arc<ServedRun>,
    compute: impl FnOnce(&ServedRun) -> anyhow::Result<T> + Send + 'static,
) -> Reply<T> {
    let _turn = TURN.lock().await;
    let done = tokio::task::spawn_blocking(move || compute(&served)).await;
    done.map_err(|_| closing())?
        .map_err(|error| trouble(&error))
}

/// A prediction with the picture that the network has seen.
#[derive(Serialize)]
pub(super) struct PredictionView {
    #[serde(flatten)]
    prediction: PicturePrediction,
    seen: String,
}

/// Pictures that are in memory at a time.
static PICTURES: Semaphore = Semaphore::const_new(8);

/// `POST /v1/models/{genome}/predictions`: the classes of the picture that the body is.
pub(super) async fn predict(
    State(app): State<App>,
    UrlPath(genome): UrlPath<String>,
    body: Body,
) -> Reply<Json<PredictionView>> {
    let (file, served) = model_of(&app, &genome)?;
    // Before the picture is received, so that many do not fill the memory.
    let busy = |_| {
        let detail = "the genomaster is trying other pictures; try again in a moment";
        ErrorResponse::new(ProblemKind::TooManyReaders, detail)
    };
    let _place = PICTURES.try_acquire().map_err(busy)?;
    let picture = received(body).await?;
    let wrong = |detail: String| ErrorResponse::new(ProblemKind::WrongData, detail);
    let shape = served.dataset.shape;
    let read = move || picture_from_bytes(&picture, shape);
    let read = tokio::task::spawn_blocking(read).await;
    let pixels = read.map_err(|_| closing())?;
    let pixels = pixels.map_err(|error| wrong(error.to_string()))?;
    let options = served.options;
    let prediction = computed(served, move |_| predicted(&file, &pixels, options)).await?;
    let seen = format!(
        "data:image/png;base64,{}",
        STANDARD.encode(&prediction.seen)
    );
    Ok(Json(PredictionView { prediction, seen }))
}

/// The bytes of a picture that a client sends.
async fn received(body: Body) -> Reply<Bytes> {
    let slow = |_| {
        let detail = format!(
            "the picture did not arrive within {} s",
            PICTURE_TIMEOUT.as_secs()
        );
        ErrorResponse::new(ProblemKind::BodyTooSlow, detail)
    };
    let large = |_| {
        let detail = format!("the picture has more than {} MiB", MAX_PICTURE_BYTES >> 20);
        ErrorResponse::new(ProblemKind::BodyTooLarge, detail)
    };
    let read = axum::body::to_bytes(body, MAX_PICTURE_BYTES);
    let read = tokio::time::timeout(PICTURE_TIMEOUT, read).await;
    read.map_err(slow)?.map_err(large)
}

/// `GET /v1/models/{genome}/int8`: the accuracy of the network in eight bits.
pub(super) async fn int8(
    State(app): State<App>,
    UrlPath(genome): UrlPath<String>,
) -> Reply<Response> {
    let (file, served) = model_of(&app, &genome)?;
    let measure = move |served: &ServedRun| int8_accuracy(&file, &served.dataset, served.options);
    let measured = computed(served, measure).await?;
    Ok(Json(measured).into_response())
}

/// `GET /v1/models/{genome}/files/{format}`: a file of a model.
pub(super) async fn download(
    State(app): State<App>,
    UrlPath((genome, format)): UrlPath<(String, String)>,
) -> Reply<Response> {
    let known = ModelFormat::named(&format).ok_or_else(|| {
        let detail =
            format!("there is no format {format}; use onnx, int8.onnx, safetensors or json");
        ErrorResponse::new(ProblemKind::NotFound, detail)
    })?;
    let (file, served) = model_of(&app, &genome)?;
    let name = format!("{}-{genome}.{format}", file_name(&served.title));
    let make = move |served: &ServedRun| model_bytes(&file, known, &served.dataset, served.options);
    let bytes = computed(served, make).await?;
    let share = app.budget.share(bytes.len()).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    Ok((headers, share.hold(bytes)).into_response())
}

/// A title as a part of a file's name.
fn file_name(title: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_".contains(c) {
            c
        } else {
            '-'
        }
    };
    title.chars().take(60).map(plain).collect()
}
