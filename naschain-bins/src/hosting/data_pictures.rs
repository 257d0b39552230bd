//! What is in a data set: its classes, and some of its pictures.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use naschain_run::ProblemKind;
use naschain_train::{Dataset, Images, png_of};
use serde::Serialize;
use utoipa::ToSchema;

use crate::home::tokens::Scope;
use crate::hosting::caller::{Sender, trouble};
use crate::hosting::data_routes::DataInfo;
use crate::hosting::host::Host;
use crate::hosting::openapi::Refusals;
use crate::hosting::settings::DIGITS;
use crate::server::app::Reply;
use crate::server::problem::ErrorResponse;

/// Data sets that are kept because they were looked at.
const MAX_SHOWN: usize = 2;
/// Pictures of each class that are shown.
const SAMPLES: usize = 5;
/// Training pictures of a class below which accuracies say little.
const THIN: usize = 20;

/// What is in a data set.
#[derive(Serialize, ToSchema)]
pub(crate) struct DataContent {
    #[serde(flatten)]
    info: DataInfo,
    /// Channels, height and width of its pictures, such as `3x32x32`.
    shape: String,
    /// Its classes and how many pictures they have.
    class_counts: Vec<ClassCount>,
    /// What may be wrong with it.
    warnings: Vec<String>,
    /// How many pictures of each class can be had.
    samples_per_class: usize,
}

/// How many pictures a class has.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClassCount {
    name: String,
    train: usize,
    test: usize,
}

/// A data set that the sender may use.
async fn usable(host: &Host, sender: &Sender, id: &str) -> Reply<(DataInfo, Arc<Dataset>)> {
    let user = sender.needs(Scope::Read)?;
    let missing = || {
        let detail = format!("there is no data set {id} that {} may use", user.name);
        ErrorResponse::new(ProblemKind::NotFound, detail)
    };
    let digits = Dataset::digits();
    if id == DIGITS || id == digits.digest().to_string() {
        return Ok((DataInfo::of_digits(&digits), Arc::new(digits)));
    }
    let digest = id.parse().map_err(|_| missing())?;
    let found = host.home.data_for(digest, &user.name).await;
    let found = found
        .map_err(|error| trouble(&error))?
        .ok_or_else(missing)?;
    let dataset = host.dataset(digest, &found.kind).await;
    let dataset = dataset.map_err(|error| trouble(&error))?;
    host.keep_shown(&dataset);
    Ok((DataInfo::new(found), dataset))
}

impl Host {
    /// Keeps a data set that somebody looks at, because its pictures are asked for one by one, and
    /// reading it takes long.
    pub(super) fn keep_shown(&self, dataset: &Arc<Dataset>) {
        let mut shown = self
            .shown_data
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        shown.retain(|kept| !Arc::ptr_eq(kept, dataset));
        shown.push_back(dataset.clone());
        let excess = shown.len().saturating_sub(MAX_SHOWN);
        shown.drain(..excess);
    }
}

/// What is in a data set.
#[utoipa::path(get, path = "/v1/data-sets/{digest}", tag = "data", params(("digest" = String, Path)),
    security(("token" = []), ("session" = [])), responses((status = 200, body = DataContent), Refusals))]
pub(super) async fn show(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
) -> Reply<Json<DataContent>> {
    let (info, dataset) = usable(&host, &sender, &id).await?;
    let made = tokio::task::spawn_blocking(move || content(info, &dataset)).await;
    let made = made.map_err(|error| trouble(&error.into()))?;
    made.map(Json).map_err(|error| trouble(&error))
}

fn content(info: DataInfo, dataset: &Dataset) -> anyhow::Result<DataContent> {
    let (train, test) = (counts(&dataset.train), counts(&dataset.test));
    let count = |counts: &[usize], class: usize| counts.get(class).copied().unwrap_or(0);
    let names = dataset.class_names();
    let class = |class: usize| ClassCount {
        name: names
            .get(class)
            .cloned()
            .unwrap_or_else(|| class.to_string()),
        train: count(&train, class),
        test: count(&test, class),
    };
    let class_counts: Vec<ClassCount> = (0..dataset.classes).map(class).collect();
    let mut warnings = dataset.warnings()?;
    let thin = class_counts.iter().filter(|class| class.train < THIN);
    let thin: Vec<&str> = thin.map(|class| class.name.as_str()).collect();
    if !thin.is_empty() {
        let named = thin
            .iter()
            .take(10)
            .copied()
            .collect::<Vec<&str>>()
            .join(", ");
        let more = ["", ", …"][usize::from(thin.len() > 10)];
        warnings.push(format!(
            "fewer than {THIN} pictures to train with: {named}{more}; accuracies will say little about these classes, so add pictures if you can"
        ));
    }
    Ok(DataContent {
        info,
        shape: dataset.shape.to_string(),
        class_counts,
        warnings,
        samples_per_class: if can_be_shown(dataset) { SAMPLES } else { 0 },
    })
}

/// Whether its images are pictures: grey or in three colours.
fn can_be_shown(dataset: &Dataset) -> bool {
    [1, 3].contains(&dataset.shape.channels)
}

/// How many images each class has.
fn counts(images: &Images) -> Vec<usize> {
    let mut counts = Vec::new();
    for label in images.labels() {
        let class = usize::from(*label);
        if counts.len() <= class {
            counts.resize(class + 1, 0);
        }
        counts[class] += 1;
    }
    counts
}

/// A picture of a class, as the networks see it, as a PNG file.
#[utoipa::path(get, path = "/v1/data-sets/{digest}/samples/{class}/{number}", tag = "data",
    params(("digest" = String, Path), ("class" = usize, Path), ("number" = usize, Path)),
    security(("token" = []), ("session" = [])),
    responses((status = 200, content_type = "image/png"), Refusals))]
pub(super) async fn sample(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path((id, class, number)): Path<(String, String, String)>,
) -> Reply<Response> {
    let (_, dataset) = usable(&host, &sender, &id).await?;
    let missing = || {
        let detail = format!(
            "there is no picture {number} of class {class}; classes and pictures are numbered from 0, and {SAMPLES} pictures of each class are shown"
        );
        ErrorResponse::new(ProblemKind::NotFound, detail)
    };
    let wanted: Option<(u16, usize)> = class.parse().ok().zip(number.parse().ok());
    let (wanted, nth) = wanted
        .filter(|(_, nth)| *nth < SAMPLES)
        .ok_or_else(missing)?;
    if !can_be_shown(&dataset) {
        let detail = format!("pictures of shape {} cannot be shown", dataset.shape);
        return Err(ErrorResponse::new(ProblemKind::NotFound, detail));
    }
    let read = tokio::task::spawn_blocking(move || {
        let labels = dataset.train.labels().iter().enumerate();
        let mut of_class = labels.filter(|(_, label)| **label == wanted);
        let Some((index, _)) = of_class.nth(nth) else {
            return Ok(None);
        };
        let pixels = dataset.train.pixels(&[index])?;
        png_of(&pixels, dataset.shape, dataset.white()).map(Some)
    });
    let read = read.await.map_err(|error| trouble(&error.into()))?;
    let png = read
        .map_err(|error| trouble(&error.into()))?
        .ok_or_else(missing)?;
    let headers = [
        (header::CONTENT_TYPE, "image/png"),
        // It is part of what the digest names.
        (header::CACHE_CONTROL, "private, max-age=86400"),
    ];
    Ok((headers, png).into_response())
}
