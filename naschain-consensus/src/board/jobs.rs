//! The jobs of a board, by id and by index.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::job::OpenJob;
use crate::JobId;

/// The id of an open job and its slot, so that access needs no search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JobRef {
    pub(super) id: JobId,
    slot: u32,
}

impl JobRef {
    pub(super) fn seat(self, number: usize) -> SeatRef {
        SeatRef {
            id: self.id,
            slot: self.slot,
            seat: number as u32,
        }
    }
}

/// A seat of an open job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SeatRef {
    pub(super) id: JobId,
    slot: u32,
    seat: u32,
}

impl SeatRef {
    pub(super) fn job(self) -> JobRef {
        JobRef {
            id: self.id,
            slot: self.slot,
        }
    }

    /// The seat, counted from 0.
    pub(super) fn number(self) -> usize {
        self.seat as usize
    }
}

/// The open jobs. A reference to a job that has ended finds nothing, even if its slot is in use
/// again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Jobs {
    slots: Vec<Option<Box<OpenJob>>>,
    free: Vec<u32>,
    by_id: BTreeMap<JobId, u32>,
}

impl Jobs {
    pub(super) fn insert(&mut self, job: OpenJob) -> JobRef {
        let id = job.id;
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(slot as usize) {
            Some(free) => *free = Some(Box::new(job)),
            None => self.slots.push(Some(Box::new(job))),
        }
        self.by_id.insert(id, slot);
        JobRef { id, slot }
    }

    pub(super) fn remove(&mut self, job: JobRef) -> Option<Box<OpenJob>> {
        self.get(job)?;
        self.by_id.remove(&job.id);
        self.free.push(job.slot);
        self.slots[job.slot as usize].take()
    }

    pub(super) fn get(&self, job: JobRef) -> Option<&OpenJob> {
        let found = self.slots.get(job.slot as usize)?.as_deref();
        found.filter(|found| found.id == job.id)
    }

    pub(super) fn get_mut(&mut self, job: JobRef) -> Option<&mut OpenJob> {
        let found = self.slots.get_mut(job.slot as usize)?.as_deref_mut();
        found.filter(|found| found.id == job.id)
    }

    pub(super) fn find(&self, id: JobId) -> Option<&OpenJob> {
        self.get(self.job_ref(id)?)
    }

    pub(super) fn job_ref(&self, id: JobId) -> Option<JobRef> {
        let slot = *self.by_id.get(&id)?;
        Some(JobRef { id, slot })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &OpenJob> {
        self.slots.iter().flatten().map(Box::as_ref)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}
