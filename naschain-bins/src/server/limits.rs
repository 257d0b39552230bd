//! Rate limits: one token bucket per key.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Capacity of a bucket, in seconds at the permitted rate.
const BURST_SECONDS: f64 = 2.0;
/// Above this number of buckets, full ones are removed, so that memory is bounded however many keys
/// and addresses an attacker uses.
const MAX_BUCKETS: usize = 50_000;

/// A token bucket per key; a request takes one token.
#[derive(Debug)]
pub struct RateLimit<K> {
    per_second: f64,
    buckets: BTreeMap<K, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl<K: Ord> RateLimit<K> {
    /// Allows `per_second` requests per key, with bursts of twice as many; 0 means no limit.
    pub fn new(per_second: u32) -> RateLimit<K> {
        RateLimit {
            per_second: f64::from(per_second),
            buckets: BTreeMap::new(),
        }
    }

    /// Takes a token, or returns the time until there is one.
    pub fn take(&mut self, name: K, now: Instant) -> Result<(), Duration> {
        if self.per_second == 0.0 {
            return Ok(());
        }
        if self.buckets.len() >= MAX_BUCKETS && !self.buckets.contains_key(&name) {
            self.remove_full_buckets(now);
        }
        let full = self.per_second * BURST_SECONDS;
        let (tokens, filled) = (full, now);
        let bucket = self.buckets.entry(name);
        let bucket = bucket.or_insert(Bucket { tokens, filled });
        let gained = now.saturating_duration_since(bucket.filled).as_secs_f64() * self.per_second;
        bucket.tokens = (bucket.tokens + gained).min(full);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            return Err(Duration::from_secs_f64(
                (1.0 - bucket.tokens) / self.per_second,
            ));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }

    /// Removes full buckets, which are the same as new ones. If none is full, all are removed: some
    /// clients then get another burst, but memory stays bounded.
    fn remove_full_buckets(&mut self, now: Instant) {
        // After this time without requests any bucket is full.
        let quiet = Duration::from_secs_f64(BURST_SECONDS);
        self.buckets
            .retain(|_, bucket| now.saturating_duration_since(bucket.filled) < quiet);
        if self.buckets.len() >= MAX_BUCKETS {
            self.buckets.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let start = crate::clock::now();
        let mut limit = RateLimit::new(10);
        let at = |ms| start + Duration::from_millis(ms);
        let taken = (0..30).filter(|_| limit.take("a", at(0)).is_ok()).count();
        assert_eq!(taken, 20);
        assert!(limit.take("b", at(0)).is_ok());
        let wait = limit.take("a", at(0)).unwrap_err();
        assert!(wait > Duration::from_millis(99) && wait < Duration::from_millis(101));
        // A second brings ten.
        let taken = (0..30)
            .filter(|_| limit.take("a", at(1000)).is_ok())
            .count();
        assert_eq!(taken, 10);
        let mut none = RateLimit::new(0);
        assert!((0..1000).all(|_| none.take("a", at(0)).is_ok()));
    }

    #[test]
    fn memory_is_bounded() {
        let start = crate::clock::now();
        let mut limit = RateLimit::new(1);
        for name in 0..200_000u32 {
            let now = start + Duration::from_micros(u64::from(name));
            let _ = limit.take(name, now);
        }
        assert!(limit.buckets.len() <= MAX_BUCKETS);
    }
}
