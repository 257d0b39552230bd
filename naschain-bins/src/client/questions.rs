//! Calls by which a miner answers questions about its trainings.

use naschain_consensus::{MinerId, QuestionId};
use naschain_core::{Digest, StepState};
use reqwest::Method;

use crate::client::response::{MAX_OBJECT_BYTES, body, read};
use crate::client::{Client, ClientError};
use naschain_run::{QuestionsReply, QuestionsRequest, ReceivedBytes, StatesRequest};

impl Client {
    /// The questions that a miner has to answer; waits for one, at most `wait_ms` milliseconds.
    pub async fn questions(
        &self,
        miner: &MinerId,
        run: Digest,
        wait_ms: u64,
    ) -> Result<QuestionsReply, ClientError> {
        let request = QuestionsRequest {
            miner: miner.clone(),
            wait_ms,
            run,
        };
        let response = self.post("/v1/questions", &request).await?;
        read(response, MAX_OBJECT_BYTES).await
    }

    /// Answers a question about the states of a training.
    pub async fn testify(
        &self,
        miner: &MinerId,
        run: Digest,
        question: QuestionId,
        states: Vec<StepState>,
    ) -> Result<(), ClientError> {
        let miner = miner.clone();
        let path = format!("/v1/questions/{}/states", question.0);
        self.post_json(&path, &StatesRequest { miner, run, states })
            .await
    }

    /// A checkpoint by its state, or trained weights by their digest; at most `max_bytes`.
    pub async fn file(&self, digest: Digest, max_bytes: usize) -> Result<Vec<u8>, ClientError> {
        let path = format!("/v1/files/{digest}");
        let mut file = Vec::new();
        loop {
            let (start, left) = (file.len() as u64, max_bytes - file.len());
            let (part, size) = self.part(&path, start, left).await?;
            file.extend_from_slice(&part);
            if part.is_empty() || size.is_none_or(|size| file.len() as u64 >= size) {
                return Ok(file);
            }
        }
    }

    /// The bytes of a [data set](naschain_train::PackedDataset) from `start` on, and the number of all
    /// its bytes if the genomaster gives it.
    pub async fn data(
        &self,
        digest: Digest,
        start: u64,
    ) -> Result<(Vec<u8>, Option<u64>), ClientError> {
        let path = format!("/v1/data/{digest}");
        self.part(&path, start, MAX_OBJECT_BYTES).await
    }

    async fn part(
        &self,
        path: &str,
        start: u64,
        max_bytes: usize,
    ) -> Result<(Vec<u8>, Option<u64>), ClientError> {
        let call = self.call_from(Method::GET, path, Vec::new(), start);
        let mut response = call.await?;
        let part = body(&mut response, max_bytes).await?;
        Ok((part, size(&response)))
    }

    /// How many bytes of a file the genomaster has received.
    pub async fn received(
        &self,
        miner: &MinerId,
        question: QuestionId,
    ) -> Result<ReceivedBytes, ClientError> {
        let path = format!("/v1/questions/{}/file?miner={miner}", question.0);
        self.get(&path, MAX_OBJECT_BYTES).await
    }

    /// Sends a part of a file of `size` bytes, from `offset` on.
    pub async fn put_part(
        &self,
        miner: &MinerId,
        question: QuestionId,
        offset: u64,
        size: u64,
        bytes: Vec<u8>,
    ) -> Result<ReceivedBytes, ClientError> {
        let number = question.0;
        let path = format!("/v1/questions/{number}/file?miner={miner}&offset={offset}&size={size}");
        let response = self.call(Method::PUT, &path, bytes).await?;
        read(response, MAX_OBJECT_BYTES).await
    }
}

/// The size of the whole file, from `Content-Range: bytes FIRST-LAST/SIZE`.
fn size(response: &reqwest::Response) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range.rsplit('/').next()?.parse().ok()
}
