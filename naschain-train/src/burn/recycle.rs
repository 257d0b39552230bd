//! A pool for the memory of dropped tensors: allocating fresh memory would take 10 to 15 % of a training
//! step.

#![allow(unsafe_code)] // burn's `Bytes` takes foreign memory by an unsafe function only

use std::collections::BTreeMap;
use std::mem::{MaybeUninit, take};
use std::sync::Mutex;

use burn_std::{AllocationController, AllocationProperty, Bytes};

/// The most memory that is kept for later, over all threads: 1 GiB.
const LIMIT_BYTES: usize = 1 << 30;
/// Smaller buffers are left to the allocator.
const SMALLEST: usize = 1 << 10;

static POOL: Mutex<FreeBuffers> = Mutex::new(FreeBuffers {
    free: BTreeMap::new(),
    bytes: 0,
});

/// Buffers that nobody uses, by their number of elements.
struct FreeBuffers {
    free: BTreeMap<usize, Vec<Vec<f32>>>,
    bytes: usize,
}

impl FreeBuffers {
    fn take(&mut self, numbers: usize) -> Option<Vec<f32>> {
        let buffer = self.free.get_mut(&numbers)?.pop()?;
        self.bytes -= size_of_val(&buffer[..]);
        Some(buffer)
    }

    fn put(&mut self, buffer: Vec<f32>) {
        let bytes = size_of_val(&buffer[..]);
        // Buffers of other lengths belong to networks that were trained before.
        while self.bytes + bytes > LIMIT_BYTES && self.evict(buffer.len()) {}
        if self.bytes + bytes <= LIMIT_BYTES {
            self.bytes += bytes;
            self.free.entry(buffer.len()).or_default().push(buffer);
        }
    }

    /// Frees one of the longest buffers of another length; returns whether there was one.
    fn evict(&mut self, kept: usize) -> bool {
        let mut others = self.free.iter_mut().rev();
        let longest = others.find(|(numbers, list)| **numbers != kept && !list.is_empty());
        let Some(buffer) = longest.and_then(|(_, list)| list.pop()) else {
            return false;
        };
        self.bytes -= size_of_val(&buffer[..]);
        true
    }
}

/// Memory for `numbers` elements of arbitrary values, which is reused when it drops.
pub(super) fn bytes(numbers: usize) -> Bytes {
    if numbers < SMALLEST {
        return Bytes::from_elems(vec![0.0f32; numbers]);
    }
    let reused = lock(|pool| pool.take(numbers));
    let buffer = reused.unwrap_or_else(|| vec![0.0; numbers]);
    // SAFETY: every byte of a vector of f32 is initialised.
    unsafe { Bytes::from_controller(Box::new(Recycled(buffer)), numbers * size_of::<f32>()) }
}

/// Frees the memory that is kept for later tensors, up to 1 GiB, when trainings are over.
pub fn release_memory() {
    lock(|pool| {
        pool.bytes = 0;
        take(&mut pool.free)
    });
}

/// A panic elsewhere cannot leave the pool half changed, so a poisoned lock is usable.
fn lock<T>(work: impl FnOnce(&mut FreeBuffers) -> T) -> T {
    work(&mut POOL.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

struct Recycled(Vec<f32>);

impl Drop for Recycled {
    fn drop(&mut self) {
        let buffer = take(&mut self.0);
        lock(|pool| pool.put(buffer));
    }
}

impl AllocationController for Recycled {
    fn alloc_align(&self) -> usize {
        align_of::<f32>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let bytes = size_of_val(&self.0[..]);
        // SAFETY: the vector owns these bytes, any bytes are valid f32, and the caller promises to
        // write initialised ones.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), bytes) }
    }

    fn memory(&self) -> &[MaybeUninit<u8>] {
        let bytes = size_of_val(&self.0[..]);
        // SAFETY: the vector owns these bytes.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_reused_and_bounded() {
        // No other test has tensors of this size.
        let numbers = 12_347;
        let first = bytes(numbers);
        let place = first.as_ptr();
        drop(first);
        assert_eq!(bytes(numbers).as_ptr(), place);
        let mut pool = FreeBuffers {
            free: BTreeMap::new(),
            bytes: LIMIT_BYTES - 8,
        };
        pool.put(vec![0.0; 2]);
        pool.put(vec![0.0; 2]);
        assert_eq!((pool.bytes, pool.free[&2].len()), (LIMIT_BYTES, 1));
        // Full of buffers of another length, it makes room.
        pool.put(vec![0.0; 1]);
        assert_eq!(pool.bytes, LIMIT_BYTES - 4);
        assert!(pool.take(2).is_none() && pool.take(1).is_some());
    }
}
