//! `/v1/uploads`: data sets that arrive in parts, by the core protocol of tus 1.0 (<https://tus.io>)
//! except that an upload is described in JSON.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::body::Body as RequestBody;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use naschain_core::Digest;
use naschain_run::ProblemKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::cli::data_args::image_shape;
use crate::home::tokens::Scope;
use crate::home::uploads::{BegunUpload, Upload, UploadResult};
use crate::hosting::caller::{Sender, trouble};
use crate::hosting::host::Host;
use crate::hosting::openapi::Refusals;
use crate::hosting::proxy::ask_others;
use crate::server::app::Reply;
use crate::server::problem::ErrorResponse;
use crate::server::requests::Body;

const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// Bytes that are written at a time.
const WRITE_BYTES: usize = 1 << 20;
/// Time without a byte after which a part has ended.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Most characters of a name, a file's name and a licence.
const MAX_TEXTS: [usize; 3] = [100, 255, 10_000];

/// A file that is going to be uploaded.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUpload {
    /// What the data set is called; 1 to 100 characters.
    pub(crate) name: String,
    /// The name of the file: a ZIP or tar archive of pictures (CLASS/FILE), or a NumPy archive.
    pub(crate) file_name: String,
    /// Its size.
    #[schema(minimum = 1)]
    pub(crate) bytes: u64,
    /// Under what terms others may use it.
    #[serde(default)]
    pub(crate) licence: String,
    /// Whether everybody may use it.
    #[serde(default)]
    pub(crate) public: bool,
    /// Size to which pictures are scaled, such as `32`, `64x48` or `1x28x28`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image_size: Option<String>,
    /// Whether pictures that cannot be read are left out instead of being an error.
    #[serde(default)]
    pub(crate) skip_bad: bool,
}

/// Where an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UploadState {
    /// Bytes are missing.
    Receiving,
    /// It is being read.
    Checking,
    /// It is a data set.
    Stored,
    /// It cannot be used.
    Refused,
}

/// An upload.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct UploadInfo {
    /// Its id.
    pub(crate) id: String,
    /// What the data set is called.
    pub(crate) name: String,
    /// The name of the file.
    pub(crate) file_name: String,
    /// The size of the file.
    pub(crate) bytes: u64,
    /// How many bytes have arrived: where to go on.
    pub(crate) offset: u64,
    /// Where it stands.
    pub(crate) state: UploadState,
    /// The digest of the data set, once it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) data: Option<Digest>,
    /// Why it cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// Where an upload stands; one that is complete is checked.
fn info(host: &Arc<Host>, upload: &Upload) -> UploadInfo {
    let (mut data, mut problem) = (None, None);
    let (state, offset) = match host.home.upload_result(upload) {
        Some(UploadResult::Stored(digest)) => {
            data = Some(digest);
            (UploadState::Stored, upload.bytes)
        }
        Some(UploadResult::Refused(reason)) => {
            problem = Some(reason);
            (UploadState::Refused, upload.bytes)
        }
        None => match host.home.upload_offset(upload) {
            offset if offset < upload.bytes => (UploadState::Receiving, offset),
            offset => {
                // The request that completed it may have been cut off before it began the check.
                host.check(upload.clone());
                (UploadState::Checking, offset)
            }
        },
    };
    UploadInfo {
        id: upload.id.clone(),
        name: upload.name.clone(),
        file_name: upload.file_name.clone(),
        bytes: upload.bytes,
        offset,
        state,
        data,
        problem,
    }
}

/// An upload of the sender.
fn own(host: &Host, sender: &Sender, id: &str) -> Reply<Upload> {
    let user = sender.needs(Scope::Data)?;
    host.home.upload(&user.name, id).ok_or_else(|| {
        let detail = format!("{} has no upload {id}", user.name);
        ErrorResponse::new(ProblemKind::NotFound, detail)
    })
}

/// Begins an upload. Its bytes are sent by PATCH.
#[utoipa::path(post, path = "/v1/uploads", tag = "data", request_body = NewUpload,
    security(("token" = []), ("session" = [])), responses((status = 201, body = UploadInfo), Refusals))]
pub(super) async fn create(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Body(new): Body<NewUpload>,
) -> Reply<Response> {
    let user = sender.needs(Scope::Data)?.clone();
    let wrong = |detail: String| Err(ErrorResponse::new(ProblemKind::WrongData, detail));
    let texts = [
        ("name", &new.name),
        ("file_name", &new.file_name),
        ("licence", &new.licence),
    ];
    for ((what, text), most) in texts.into_iter().zip(MAX_TEXTS) {
        let length = text.chars().count();
        let least = usize::from(what != "licence");
        if !(least..=most).contains(&length) || text.chars().any(|c| c.is_control() && c != '\n') {
            return wrong(format!(
                "{what} has {length} characters; it must have {least} to {most}, and no control characters"
            ));
        }
    }
    if let Some(Err(error)) = new.image_size.as_deref().map(image_shape) {
        return wrong(format!("image_size: {error}"));
    }
    if new.bytes == 0 {
        return wrong("bytes is 0; an upload has at least one".to_owned());
    }
    let (owner, quota) = (user.name.clone(), user.quota.max_bytes);
    let begun = host.home.begin_upload(
        Upload {
            id: host.upload_prefix(),
            owner: owner.clone(),
            name: new.name,
            file_name: new.file_name,
            bytes: new.bytes,
            licence: new.licence,
            is_public: new.public,
            image_size: new.image_size,
            skip_bad: new.skip_bad,
            created_s: 0,
        },
        quota,
    );
    let refused = |detail: String| Err(ErrorResponse::new(ProblemKind::QuotaReached, detail));
    let upload = match begun.await.map_err(|error| trouble(&error))? {
        BegunUpload::Begun(upload) => *upload,
        BegunUpload::TooMany(count) => {
            return refused(format!(
                "{owner} has {count} uploads that have not ended, which is the maximum; finish one, or delete one by DELETE /v1/uploads/ID"
            ));
        }
        BegunUpload::TooLarge { left } => {
            return refused(format!(
                "the upload has {} bytes; of the quota of {quota} bytes {left} are left",
                new.bytes
            ));
        }
    };
    let place = [(header::LOCATION, format!("/v1/uploads/{}", upload.id))];
    Ok((StatusCode::CREATED, place, Json(info(&host, &upload))).into_response())
}

/// Lists the user's uploads.
#[utoipa::path(get, path = "/v1/uploads", tag = "data", security(("token" = []), ("session" = [])),
    responses((status = 200, body = Vec<UploadInfo>), Refusals))]
pub(super) async fn list(
    State(host): State<Arc<Host>>,
    sender: Sender,
    request: Request,
) -> Reply<Json<Vec<UploadInfo>>> {
    let user = sender.needs(Scope::Data)?;
    let uploads = host.home.uploads(&user.name);
    let mut uploads: Vec<UploadInfo> = uploads.iter().map(|upload| info(&host, upload)).collect();
    for response in ask_others(&host, request).await {
        let elsewhere: Vec<UploadInfo> = serde_json::from_slice(&response).unwrap_or_default();
        uploads.extend(elsewhere);
    }
    Ok(Json(uploads))
}

/// Where an upload stands. `Upload-Offset` says where to go on.
#[utoipa::path(get, path = "/v1/uploads/{id}", tag = "data", params(("id" = String, Path)),
    security(("token" = []), ("session" = [])), responses((status = 200, body = UploadInfo), Refusals))]
pub(super) async fn show(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
) -> Reply<Response> {
    let upload = own(&host, &sender, &id)?;
    let info = info(&host, &upload);
    let headers = [
        (UPLOAD_OFFSET, info.offset.to_string()),
        (UPLOAD_LENGTH, info.bytes.to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Json(info)).into_response())
}

/// Appends bytes to an upload, from the offset in `Upload-Offset` on, which must be where the last part
/// ended. The upload is checked when it is complete.
#[utoipa::path(patch, path = "/v1/uploads/{id}", tag = "data",
    params(("id" = String, Path), ("Upload-Offset" = u64, Header)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    security(("token" = []), ("session" = [])), responses((status = 204), Refusals))]
pub(super) async fn append(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: RequestBody,
) -> Reply<Response> {
    let upload = own(&host, &sender, &id)?;
    let offset = headers
        .get(UPLOAD_OFFSET)
        .and_then(|value| value.to_str().ok());
    let Some(offset) = offset.and_then(|text| text.parse::<u64>().ok()) else {
        let detail = "the header Upload-Offset must be a whole number";
        return Err(ErrorResponse::new(ProblemKind::WrongData, detail));
    };
    let _appending = Appending::begin(&host, &id)?;
    let arrived = host.home.upload_offset(&upload);
    if host.home.upload_result(&upload).is_some() || arrived == upload.bytes {
        let detail = "the upload is complete";
        return Err(ErrorResponse::new(ProblemKind::Refused, detail));
    }
    if arrived != offset {
        let detail = format!("Upload-Offset is {offset}; {arrived} bytes have arrived");
        return Err(ErrorResponse::new(ProblemKind::Refused, detail));
    }
    let written = write_body(&host, &upload, arrived, body).await;
    let (home, synced) = (host.clone(), upload.clone());
    let sync = tokio::task::spawn_blocking(move || home.home.sync_upload(&synced)).await;
    written?;
    sync.map_err(|error| trouble(&error.into()))?
        .map_err(|error| trouble(&error))?;
    let offset = host.home.upload_offset(&upload);
    if offset == upload.bytes {
        host.check(upload);
    }
    Ok((
        StatusCode::NO_CONTENT,
        [(UPLOAD_OFFSET, offset.to_string())],
    )
        .into_response())
}

/// Writes a body as it arrives, so that an interrupted part is not lost.
async fn write_body(
    host: &Arc<Host>,
    upload: &Upload,
    mut arrived: u64,
    mut body: RequestBody,
) -> Reply<()> {
    let mut buffer = Vec::new();
    let mut ended = false;
    while !ended {
        let interrupted = match tokio::time::timeout(IDLE_TIMEOUT, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    buffer.extend_from_slice(&bytes);
                }
                None
            }
            Ok(None) => {
                ended = true;
                None
            }
            Ok(Some(Err(error))) => Some(format!("the part broke off: {error}")),
            Err(_) => Some(format!("no byte arrived within {IDLE_TIMEOUT:?}")),
        };
        if buffer.len() >= WRITE_BYTES || ended || interrupted.is_some() {
            let (home, upload) = (host.clone(), upload.clone());
            let bytes = std::mem::take(&mut buffer);
            arrived += bytes.len() as u64;
            if arrived > upload.bytes {
                let announced = upload.bytes;
                let detail =
                    format!("more bytes were sent than the {announced} that were announced");
                return Err(ErrorResponse::new(ProblemKind::WrongData, detail));
            }
            let write = move || home.home.append_upload(&upload, &bytes);
            let written = tokio::task::spawn_blocking(write).await;
            let written = written.map_err(|error| trouble(&error.into()))?;
            written.map_err(|error| trouble(&error))?;
        }
        if let Some(detail) = interrupted {
            return Err(ErrorResponse::new(ProblemKind::BadBody, detail));
        }
    }
    Ok(())
}

/// Deletes an upload. A data set that was made of it stays.
#[utoipa::path(delete, path = "/v1/uploads/{id}", tag = "data", params(("id" = String, Path)),
    security(("token" = []), ("session" = [])), responses((status = 204), Refusals))]
pub(super) async fn delete(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
) -> Reply<StatusCode> {
    let upload = own(&host, &sender, &id)?;
    let _appending = Appending::begin(&host, &id)?;
    host.home
        .delete_upload(&upload)
        .await
        .map_err(|error| trouble(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// One request at a time appends to an upload.
struct Appending {
    host: Arc<Host>,
    id: String,
}

impl Appending {
    fn begin(host: &Arc<Host>, id: &str) -> Reply<Appending> {
        let mut appending = host
            .appending
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !appending.insert(id.to_owned()) {
            let detail = "another request is appending to this upload";
            return Err(ErrorResponse::new(ProblemKind::Refused, detail));
        }
        let (host, id) = (host.clone(), id.to_owned());
        Ok(Appending { host, id })
    }
}

impl Drop for Appending {
    fn drop(&mut self) {
        let appending = self.host.appending.lock();
        appending
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}
