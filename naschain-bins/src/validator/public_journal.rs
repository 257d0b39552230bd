//! The journal that a genomaster shows, verified as it grows.

use anyhow::Result;

use crate::client::{Client, ClientError};
use naschain_run::{Auditor, ClosedJob, RunSpec, Signers, Unsigned};

/// How far it was followed, and what is wrong with it.
pub struct PublicJournal {
    auditor: Auditor,
    /// So many jobs were held against it.
    compared: usize,
    problem: Option<String>,
}

impl PublicJournal {
    /// Nothing of it yet. `genomaster` is the address that miners sign for; without one nobody
    /// has to sign, as long as nobody does. With `legacy` miners of the old network never have to.
    pub fn new(spec: RunSpec, genomaster: Option<&str>, legacy: bool) -> Result<PublicJournal> {
        let signers = Signers {
            genomaster: genomaster.map(str::to_owned),
            unsigned: Unsigned::AllInUnsignedRun,
            legacy,
        };
        Ok(PublicJournal {
            auditor: Auditor::new(spec, signers)?,
            compared: 0,
            problem: None,
        })
    }

    /// Follows it to its end for now. After the first thing that is wrong it goes no further.
    pub async fn follow(&mut self, client: &Client) -> Result<(), ClientError> {
        while self.problem.is_none() {
            let page = client.journal(self.auditor.head().number).await?.entries;
            if page.is_empty() {
                break;
            }
            for (at, entry) in page.iter().enumerate() {
                if let Err(fault) = self.auditor.verify_next(entry, &page[at + 1..]) {
                    self.problem = Some(fault.to_string());
                    break;
                }
            }
        }
        Ok(())
    }

    /// Holds the jobs that were told, all in order, against those that follow from it.
    pub fn hold(&mut self, told: &[ClosedJob]) {
        let own = self.auditor.state().closed();
        let pairs = told.iter().zip(own).skip(self.compared);
        for (told, own) in pairs {
            if told != own && self.problem.is_none() {
                let job = own.job;
                self.problem = Some(format!("{job} was told otherwise than it has it"));
            }
            self.compared += 1;
        }
    }

    /// Events that were verified.
    pub fn events(&self) -> u64 {
        self.auditor.head().number
    }

    /// What is wrong with it, if anything is.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}
