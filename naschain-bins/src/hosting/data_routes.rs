//! `/v1/data-sets`: the data sets that a user may use.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use naschain_core::Digest;
use naschain_run::ProblemKind;
use naschain_train::Dataset;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::home::data_sets::StoredData;
use crate::home::tokens::Scope;
use crate::hosting::caller::{Sender, trouble, whole};
use crate::hosting::host::Host;
use crate::hosting::openapi::Refusals;
use crate::hosting::settings::DIGITS;
use crate::server::app::Reply;
use crate::server::problem::ErrorResponse;

/// A data set.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DataInfo {
    /// Its digest, by which runs name it.
    #[schema(value_type = String)]
    pub(crate) digest: Digest,
    /// What its owner calls it.
    pub(crate) name: String,
    /// Whose it is.
    pub(crate) owner: String,
    /// The name of its format, such as `folder-3x32x32`.
    pub(crate) kind: String,
    /// Under what terms others may use it.
    pub(crate) licence: String,
    /// Whether everybody may use it.
    pub(crate) public: bool,
    /// Its size as stored.
    pub(crate) bytes: u64,
    /// Number of training images.
    pub(crate) train_images: u64,
    /// Number of test images.
    pub(crate) test_images: u64,
    /// Number of classes.
    pub(crate) classes: u64,
}

impl DataInfo {
    /// The data set that every genomaster has.
    pub(super) fn of_digits(digits: &Dataset) -> DataInfo {
        DataInfo {
            digest: digits.digest(),
            name: DIGITS.to_owned(),
            owner: String::new(),
            kind: DIGITS.to_owned(),
            licence: String::new(),
            public: true,
            bytes: 0,
            train_images: digits.train.len() as u64,
            test_images: digits.test.len() as u64,
            classes: digits.classes as u64,
        }
    }

    pub(super) fn new(data: StoredData) -> DataInfo {
        DataInfo {
            digest: data.digest,
            name: data.name,
            owner: data.owner,
            kind: data.kind,
            licence: data.licence,
            public: data.is_public,
            bytes: data.bytes,
            train_images: data.train_images,
            test_images: data.test_images,
            classes: data.classes,
        }
    }
}

/// Lists the user's data sets and the public ones.
#[utoipa::path(get, path = "/v1/data-sets", tag = "data", security(("token" = []), ("session" = [])),
    responses((status = 200, body = Vec<DataInfo>), Refusals))]
pub(super) async fn list(
    State(host): State<Arc<Host>>,
    sender: Sender,
) -> Reply<Json<Vec<DataInfo>>> {
    let user = sender.needs(Scope::Read)?;
    let data = host.home.data_sets(&user.name).await;
    let data = data.map_err(|error| trouble(&error))?;
    Ok(Json(data.into_iter().map(DataInfo::new).collect()))
}

/// Deletes a data set of the user that none of the user's runs is on. Runs of others keep it.
#[utoipa::path(delete, path = "/v1/data-sets/{digest}", tag = "data",
    params(("digest" = String, Path)), security(("token" = []), ("session" = [])),
    responses((status = 204), Refusals))]
pub(super) async fn delete(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(digest): Path<String>,
) -> Reply<StatusCode> {
    let user = sender.needs(Scope::Data)?.name.clone();
    whole(async move {
        let missing = || {
            let detail = format!("{user} has no data set {digest}");
            ErrorResponse::new(ProblemKind::NotFound, detail)
        };
        let digest = digest.parse().map_err(|_| missing())?;
        let deleted = host.delete_data(digest, &user).await;
        if deleted.map_err(|error| trouble(&error))? {
            return Ok(StatusCode::NO_CONTENT);
        }
        let used = host.home.is_data_used(digest, &user).await;
        if used.map_err(|error| trouble(&error))? {
            let detail = "a run of yours is on this data set: delete that first";
            return Err(ErrorResponse::new(ProblemKind::Refused, detail));
        }
        Err(missing())
    })
    .await
}
