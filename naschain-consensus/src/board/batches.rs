use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::batch::Batch;
use crate::BatchId;

/// One open batch: its number, and where it lies in memory, so that nobody need search for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BatchRef {
    pub(super) id: BatchId,
    slot: u32,
}

impl BatchRef {
    pub(super) fn seat(self, seat: usize) -> SeatRef {
        SeatRef {
            id: self.id,
            slot: self.slot,
            seat: seat as u32,
        }
    }
}

/// One seat of one open batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SeatRef {
    pub(super) id: BatchId,
    slot: u32,
    seat: u32,
}

impl SeatRef {
    pub(super) fn batch(self) -> BatchRef {
        BatchRef {
            id: self.id,
            slot: self.slot,
        }
    }

    pub(super) fn seat(self) -> usize {
        self.seat as usize
    }
}

/// The open batches. A reference to one that has ended finds nothing, even when another one lies
/// in its place.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Batches {
    slots: Vec<Option<Box<Batch>>>,
    free: Vec<u32>,
    by_id: BTreeMap<BatchId, u32>,
}

impl Batches {
    pub(super) fn insert(&mut self, batch: Batch) -> BatchRef {
        let id = batch.id;
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = Some(Box::new(batch)),
            None => self.slots.push(Some(Box::new(batch))),
        }
        self.by_id.insert(id, slot);
        BatchRef { id, slot }
    }

    pub(super) fn remove(&mut self, batch: BatchRef) -> Option<Box<Batch>> {
        self.get(batch)?;
        self.by_id.remove(&batch.id);
        self.free.push(batch.slot);
        self.slots[batch.slot as usize].take()
    }

    pub(super) fn get(&self, batch: BatchRef) -> Option<&Batch> {
        let found = self.slots.get(batch.slot as usize)?.as_deref();
        found.filter(|found| found.id == batch.id)
    }

    pub(super) fn get_mut(&mut self, batch: BatchRef) -> Option<&mut Batch> {
        let found = self.slots.get_mut(batch.slot as usize)?.as_deref_mut();
        found.filter(|found| found.id == batch.id)
    }

    pub(super) fn find(&self, id: BatchId) -> Option<&Batch> {
        let slot = *self.by_id.get(&id)?;
        self.get(BatchRef { id, slot })
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}
