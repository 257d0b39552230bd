//! Calls by which a validator reads the results of a run.

use naschain_run::{EndedJobs, FrontEntry, JournalPage};

use crate::client::response::MAX_PAGE_BYTES;
use crate::client::{Client, ClientError};

impl Client {
    /// The jobs that have ended, from number `after` on.
    pub async fn jobs(&self, after: usize) -> Result<EndedJobs, ClientError> {
        let path = format!("/v1/batches?after={after}");
        self.get(&path, MAX_PAGE_BYTES).await
    }

    /// The Pareto front so far.
    pub async fn front(&self) -> Result<Vec<FrontEntry>, ClientError> {
        self.get("/v1/front", MAX_PAGE_BYTES).await
    }

    /// The entries of the journal after number `after` that are public.
    pub async fn journal(&self, after: u64) -> Result<JournalPage, ClientError> {
        let path = format!("/v1/journal?after={after}");
        self.get(&path, MAX_PAGE_BYTES).await
    }
}
