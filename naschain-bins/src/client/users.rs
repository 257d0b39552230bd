//! HTTP client of users of a genomaster with many runs.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::error::ClientError;
use crate::client::response::{MAX_PAGE_BYTES, body, checked, patiently, read};
use crate::tls::certificates;

/// Bytes of a part of an upload.
const PART_BYTES: usize = 4 << 20;
/// Pause after a request that did not arrive, and how many of these in a row end an upload or a
/// download.
const RETRY: Duration = Duration::from_secs(2);
const MAX_FAILURES: u32 = 150;

/// Calls to one genomaster, in the name of a user.
pub(crate) struct UserClient {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl UserClient {
    /// A client of the genomaster at `url`; without a token it sees what is public.
    pub(crate) fn new(
        url: &str,
        token: Option<String>,
        ca_file: Option<&Path>,
    ) -> Result<UserClient> {
        let mut http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(120));
        for certificate in ca_file.map(certificates).transpose()?.unwrap_or_default() {
            http = http.add_root_certificate(certificate);
        }
        Ok(UserClient {
            http: http.build()?,
            url: url.trim_end_matches('/').to_owned(),
            token,
        })
    }

    fn call(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let call = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => call.bearer_auth(token),
            None => call,
        }
    }

    /// The JSON at a path.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read(
            patiently(self.call(Method::GET, path)).await?,
            MAX_PAGE_BYTES,
        )
        .await
    }

    /// Sends JSON and returns the JSON of the response.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let call = self.call(Method::POST, path).json(body);
        read(patiently(call).await?, MAX_PAGE_BYTES).await
    }

    /// Sends a request without a body, whose response has none either.
    pub(crate) async fn send(&self, method: Method, path: &str) -> Result<(), ClientError> {
        patiently(self.call(method, path)).await.map(drop)
    }

    /// Sends JSON; the response has no body.
    pub(crate) async fn post_only(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(), ClientError> {
        patiently(self.call(Method::POST, path).json(body))
            .await
            .map(drop)
    }

    /// Sends a file to an upload, going on wherever the genomaster says, also after it was restarted.
    /// `shown` gets the number of bytes that have arrived.
    pub(crate) async fn upload(
        &self,
        id: &str,
        file: &Path,
        mut shown: impl FnMut(u64),
    ) -> Result<()> {
        let path = format!("/v1/uploads/{id}");
        let mut failures = 0;
        loop {
            let arrived = match self.offset(&path).await {
                Ok(arrived) => arrived,
                Err(error) => {
                    wait_after(error, &mut failures).await?;
                    continue;
                }
            };
            shown(arrived);
            let part = part_of(file, arrived)?;
            if part.is_empty() {
                return Ok(());
            }
            let call = self
                .call(Method::PATCH, &path)
                .header("Upload-Offset", arrived)
                .header("Content-Type", "application/offset+octet-stream")
                .body(part);
            match checked(call).await {
                Ok(_) => failures = 0,
                // Another offset than the genomaster's: it is asked again.
                Err(ClientError::Refused(problem)) if problem.status == 409 => {
                    wait_after(ClientError::Unavailable(problem.detail), &mut failures).await?;
                }
                Err(error) => wait_after(error, &mut failures).await?,
            }
        }
    }

    async fn offset(&self, path: &str) -> Result<u64, ClientError> {
        let response = checked(self.call(Method::GET, path)).await?;
        let offset = response.headers().get("upload-offset");
        let offset = offset.and_then(|value| value.to_str().ok()?.parse().ok());
        offset
            .ok_or_else(|| ClientError::Unavailable("the response has no Upload-Offset".to_owned()))
    }

    /// Downloads a file that is sent in ranges.
    pub(crate) async fn download(&self, path: &str, size: u64) -> Result<Vec<u8>> {
        let (mut found, mut failures) = (Vec::new(), 0);
        while (found.len() as u64) < size {
            let from = format!("bytes={}-", found.len());
            let part = match checked(self.call(Method::GET, path).header("Range", from)).await {
                Ok(mut response) => body(&mut response, MAX_PAGE_BYTES).await,
                Err(error) => Err(error),
            };
            match part {
                Ok(part) => found.extend_from_slice(&part),
                Err(error) => wait_after(error, &mut failures).await?,
            }
        }
        Ok(found)
    }
}

/// Waits after a request that may succeed later; any other error, or one too many, is returned.
async fn wait_after(error: ClientError, failures: &mut u32) -> Result<()> {
    *failures += 1;
    match error {
        ClientError::Unavailable(reason) if *failures <= MAX_FAILURES => {
            tracing::debug!("{reason}");
            tokio::time::sleep(RETRY).await;
            Ok(())
        }
        error => Err(error.into()),
    }
}

/// The next bytes of a file.
fn part_of(file: &Path, start: u64) -> Result<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let context = || format!("cannot read {}", file.display());
    let mut file = std::fs::File::open(file).with_context(context)?;
    file.seek(SeekFrom::Start(start)).with_context(context)?;
    let mut part = Vec::new();
    file.take(PART_BYTES as u64)
        .read_to_end(&mut part)
        .with_context(context)?;
    Ok(part)
}
