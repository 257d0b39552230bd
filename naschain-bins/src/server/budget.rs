//! One budget of bytes for the large responses in flight.
//!
//! A client that reads slowly makes the genomaster keep its response in memory. Each part of a
//! large response therefore takes its share of one budget before it is read from the journal, and
//! gives it back when the connection has sent it, or is closed.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::server::problem::ErrorResponse;
use naschain_run::ProblemKind;

/// Size of the budget. Small responses are bounded by the number of connections.
const BUDGET_KIB: usize = 32 * 1024;
/// Maximum wait for a share.
const SHARE_TIMEOUT: Duration = Duration::from_secs(3);
/// `Retry-After` of a refusal.
const RETRY_SECONDS: u64 = 5;

/// The budget of a server.
#[derive(Clone)]
pub(crate) struct ResponseBudget {
    free_kib: Arc<Semaphore>,
    timeout: Duration,
}

/// A part of the budget, taken for bytes that are about to be read.
pub(crate) struct Share(OwnedSemaphorePermit);

impl Default for ResponseBudget {
    fn default() -> ResponseBudget {
        ResponseBudget {
            free_kib: Arc::new(Semaphore::new(BUDGET_KIB)),
            timeout: SHARE_TIMEOUT,
        }
    }
}

impl ResponseBudget {
    /// A share of this many bytes.
    ///
    /// # Errors
    /// `too_many_readers` with `Retry-After` if other readers do not make room in time.
    pub(crate) async fn share(&self, bytes: usize) -> Result<Share, ErrorResponse> {
        let share = self.free_kib.clone().acquire_many_owned(kib(bytes));
        match tokio::time::timeout(self.timeout, share).await {
            Ok(Ok(permit)) => Ok(Share(permit)),
            Ok(Err(_)) | Err(_) => {
                let detail = format!(
                    "the responses that other clients are reading fill the budget of {} MiB; try again later",
                    BUDGET_KIB / 1024
                );
                Err(ErrorResponse::new(ProblemKind::TooManyReaders, detail)
                    .retry_after(RETRY_SECONDS))
            }
        }
    }
}

/// Rounded up, and never more than there is.
fn kib(bytes: usize) -> u32 {
    bytes.div_ceil(1024).min(BUDGET_KIB) as u32
}

impl Share {
    /// The bytes as they are sent; the share is held until they are dropped. What they do not need
    /// is given back now.
    pub(crate) fn hold(mut self, mut bytes: Vec<u8>) -> Bytes {
        bytes.shrink_to_fit();
        let unused = self
            .0
            .num_permits()
            .saturating_sub(kib(bytes.len()) as usize);
        drop(self.0.split(unused));
        Bytes::from_owner(Held {
            bytes,
            _share: self,
        })
    }
}

struct Held {
    bytes: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_budget_share_is_released_with_its_bytes() {
        let budget = ResponseBudget {
            timeout: Duration::from_millis(20),
            ..ResponseBudget::default()
        };
        let whole = BUDGET_KIB * 1024;
        let sent = budget.share(whole).await.ok().unwrap().hold(vec![7; 5000]);
        assert_eq!(budget.free_kib.available_permits(), BUDGET_KIB - 5);
        let copy = sent.clone();
        drop(sent);
        let refused = budget.share(whole).await.err().unwrap();
        assert_eq!(refused.status().as_u16(), 503);
        assert_eq!(refused.retry_after_seconds, Some(RETRY_SECONDS));
        assert_eq!(copy[..], [7; 5000]);
        drop(copy);
        // More than there is takes all that there is.
        assert!(budget.share(whole * 2).await.is_ok());
    }
}
