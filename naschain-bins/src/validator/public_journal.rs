//! The public journal of a genomaster, verified incrementally.

use anyhow::Result;
use naschain_consensus::JobId;

use crate::client::{Client, ClientError};
use naschain_run::{
    Auditor, EndedJob, JournalHead, RecordedRuling, RunSecret, RunSpec, Signers, Unsigned,
};

/// Maximum number of miners that a journal may name: in a run without signatures names cost nothing,
/// and every name stays in memory.
const MAX_MINERS: usize = 1_000_000;

/// The verified part of a journal, and the first problem in it.
pub(crate) struct PublicJournal {
    auditor: Auditor,
    /// What was verified before a restart; the journal has to contain it.
    verified: Option<JournalHead>,
    /// Number of jobs that were compared with it.
    compared: usize,
    problem: Option<String>,
}

impl PublicJournal {
    /// Starts at the beginning of a journal. `genomaster` is the address that miners sign for;
    /// without one, requests need no signatures unless some have them. With `legacy`, miners of
    /// the reference network never need signatures.
    pub(crate) fn new(
        spec: RunSpec,
        genomaster: Option<&str>,
        legacy: bool,
        verified: Option<JournalHead>,
    ) -> Result<PublicJournal> {
        let mut signers = Signers::default();
        signers.genomaster = genomaster.map(str::to_owned);
        signers.unsigned = Unsigned::AllInUnsignedRun;
        signers.legacy = legacy;
        Ok(PublicJournal {
            auditor: Auditor::new(spec, signers)?,
            verified,
            compared: 0,
            problem: None,
        })
    }

    /// Fetches and verifies all new entries. Stops permanently at the first problem, because
    /// entries after a broken one prove nothing.
    pub(crate) async fn follow(&mut self, client: &Client) -> Result<(), ClientError> {
        while self.problem.is_none() {
            let page = client.journal(self.auditor.head().number).await?.entries;
            if page.is_empty() {
                self.check_end();
                break;
            }
            for (at, entry) in page.iter().enumerate() {
                // The entries after it tell the auditor whether a faulty entry was moved or
                // changed.
                if let Err(fault) = self.auditor.verify_next(entry, &page[at + 1..]) {
                    self.problem = Some(fault.to_string());
                    break;
                }
                if let Err(problem) = self.check_position() {
                    self.problem = Some(problem);
                    break;
                }
            }
            self.check_miners(MAX_MINERS);
        }
        Ok(())
    }

    /// Compares the current position with the one that was verified before.
    fn check_position(&mut self) -> Result<(), String> {
        let head = self.auditor.head();
        let reached = self.verified.take_if(|known| known.number == head.number);
        match reached {
            Some(known) if known.hash != head.hash => Err(format!(
                "event {} has hash {}, but {} when it was verified before: the journal was rewritten",
                head.number, head.hash, known.hash
            )),
            _ => Ok(()),
        }
    }

    /// Names are kept, so there may not be any number of them.
    fn check_miners(&mut self, most: usize) {
        let found = self.auditor.state().board().miners().len();
        if found > most {
            self.problem.get_or_insert_with(|| {
                format!("it names {found} miners; a validator follows at most {most}")
            });
        }
    }

    /// At the end of the journal: everything that was verified before must have been in it.
    fn check_end(&mut self) {
        let events = self.events();
        if let Some(known) = self.verified.filter(|known| known.number > events) {
            self.problem = Some(format!(
                "it has {events} events, but {} were verified before: events were removed",
                known.number
            ));
        }
    }

    /// Compares the jobs that the genomaster lists, all in order, with those in the journal.
    pub(crate) fn compare(&mut self, listed: &[EndedJob]) {
        let ended = self.auditor.state().ended_jobs();
        // The public journal may end earlier than the list; the remaining jobs are compared next
        // time.
        let pairs = listed.iter().zip(ended).skip(self.compared);
        for (listed, verified) in pairs {
            if listed != verified && self.problem.is_none() {
                let job = verified.job;
                self.problem = Some(format!(
                    "{job} in the list of jobs differs from the journal"
                ));
            }
            self.compared += 1;
        }
    }

    /// The jobs that have ended in the verified part.
    pub(crate) fn ended_jobs(&self) -> &[EndedJob] {
        self.auditor.state().ended_jobs()
    }

    /// The referee's rulings in the verified part.
    pub(crate) fn rulings(&self) -> &[RecordedRuling] {
        self.auditor.rulings()
    }

    /// The epoch after which the training of a job ends.
    pub(crate) fn last_epoch(&self, job: JobId) -> u32 {
        self.auditor.state().last_epoch(job)
    }

    /// Whether the search is finished in the verified part.
    pub(crate) fn is_finished(&self) -> bool {
        self.auditor.state().is_finished()
    }

    /// The run's secret, once it is revealed.
    pub(crate) fn secret(&self) -> Option<RunSecret> {
        self.auditor.state().secret()
    }

    /// What is wrong with a finished run whose secret is not revealed.
    pub(crate) fn missing_secret(&self) -> Option<String> {
        self.auditor.missing_secret()
    }

    /// The position of the last verified event.
    pub(crate) fn head(&self) -> JournalHead {
        self.auditor.head()
    }

    /// Number of verified events.
    pub(crate) fn events(&self) -> u64 {
        self.auditor.head().number
    }

    /// The first problem, if any.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_consensus::Millis;

    use crate::test_spec::test_spec;

    #[test]
    fn a_journal_may_not_name_any_number_of_miners() {
        let spec = test_spec();
        let mut chain = JournalHead::root(spec.digest());
        let mut journal = PublicJournal::new(spec, None, false, None).unwrap();
        for name in ["ada", "bob", "eve"] {
            let join = format!("{{\"event\":\"join\",\"miner\":\"{name}\"}}");
            let entry = chain.entry(Millis(0), join, None);
            journal.auditor.verify_next(&entry, &[]).unwrap();
        }
        journal.check_miners(3);
        assert_eq!(journal.problem(), None);
        journal.check_miners(2);
        let problem = journal.problem().unwrap();
        assert!(problem.contains("names 3 miners"), "{problem}");
    }
}
