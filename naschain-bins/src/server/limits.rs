//! Limits: requests per second and key, concurrent uses per network, bytes per request.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::counts::{CountedUse, Counts};

/// Capacity of a bucket of requests, in seconds at the permitted rate.
const BURST_SECONDS: f64 = 2.0;
/// Above this number of buckets, full ones are removed, so that memory is bounded however many keys
/// and addresses an attacker uses.
const MAX_BUCKETS: usize = 50_000;

/// A token bucket per key; a request takes one token.
#[derive(Debug)]
pub(crate) struct RateLimit<K> {
    per_second: f64,
    /// Capacity of a bucket.
    burst: f64,
    buckets: BTreeMap<K, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl<K: Ord> RateLimit<K> {
    /// Allows `per_second` requests per key, with bursts of twice as many; 0 means no limit.
    pub(crate) fn new(per_second: u32) -> RateLimit<K> {
        RateLimit {
            per_second: f64::from(per_second),
            burst: f64::from(per_second) * BURST_SECONDS,
            buckets: BTreeMap::new(),
        }
    }

    /// Allows `count` requests per key at once, and again as many within the period; 0 means no
    /// limit.
    pub(crate) fn in_period(count: u32, period: Duration) -> RateLimit<K> {
        RateLimit {
            per_second: f64::from(count) / period.as_secs_f64(),
            burst: f64::from(count),
            buckets: BTreeMap::new(),
        }
    }

    /// Takes a token, or returns the time until there is one.
    pub(crate) fn take(&mut self, name: K, now: Instant) -> Result<(), Duration> {
        if self.per_second == 0.0 {
            return Ok(());
        }
        if self.buckets.len() >= MAX_BUCKETS && !self.buckets.contains_key(&name) {
            self.remove_full_buckets(now);
        }
        let full = self.burst;
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
        let quiet = Duration::from_secs_f64(self.burst / self.per_second);
        self.buckets
            .retain(|_, bucket| now.saturating_duration_since(bucket.filled) < quiet);
        if self.buckets.len() >= MAX_BUCKETS {
            self.buckets.clear();
        }
    }
}

/// Maximum size of any request body, except a part of a file.
pub(crate) const MAX_BODY_BYTES: usize = 16 * 1024;
/// Maximum size of a part of a file: all connections together hold at most 256 MiB of them.
pub(crate) const MAX_PART_BYTES: usize = 64 * 1024;

/// Maximum size of the body of a request for this route. The largest valid requests of miners are
/// about half as large, so that the journal, which keeps signed bodies, cannot be filled with
/// padding.
pub(crate) fn max_body_bytes(route: &str) -> usize {
    match route {
        "/v1/join" => 1024,
        "/v1/jobs" | "/v1/leave" | "/v1/questions" | "/v1/leases/{lease}/heartbeat" => 512,
        "/v1/leases/{lease}/result" => 8 * 1024,
        // Up to 64 states.
        "/v1/questions/{question}/states" => MAX_BODY_BYTES,
        "/v1/questions/{question}/file" => MAX_PART_BYTES,
        // Settings and an allow-list.
        "/v1/runs" | "/v1/uploads" => MAX_PART_BYTES,
        // Names and passwords.
        "/v1/users" | "/v1/tokens" | "/v1/session" => 8 * 1024,
        // A genome of at most 8,192 characters and three numbers.
        "/finish_job" => MAX_BODY_BYTES,
        _ => 1024,
    }
}

/// IPv6 clients usually control a whole /64 network, so it counts as one address.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

/// Limits how many connections or responses each remote network has at a time.
pub(crate) struct NetworkLimit {
    limit: usize,
    open: Arc<Counts<IpAddr>>,
}

/// A counted use, `None` for this machine; dropping it releases the count.
pub(crate) type NetworkPermit = Option<CountedUse<IpAddr>>;

impl NetworkLimit {
    /// At most `limit` for each network, but at least one.
    pub(crate) fn new(limit: usize) -> NetworkLimit {
        NetworkLimit {
            limit: limit.max(1),
            open: Arc::default(),
        }
    }

    /// `None` if the address's network is at its limit. Loopback is exempt, because all local
    /// programs share it.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<NetworkPermit> {
        if address.to_canonical().is_loopback() {
            return Some(None);
        }
        self.open.enter(&network(address), self.limit).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_a_share_of_the_connections() {
        let limit = Arc::new(NetworkLimit::new(2));
        let enter = |text: &str| limit.enter(text.parse().unwrap());
        let first = enter("192.0.2.1").unwrap();
        let _second = enter("192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none() && enter("::ffff:192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        drop(first);
        assert!(enter("192.0.2.1").is_some());
        // All addresses of an IPv6 network are one client's.
        let _v6: Vec<_> = (1..3)
            .map(|host| enter(&format!("2001:db8:1:2::{host}")).unwrap())
            .collect();
        assert!(enter("2001:db8:1:2:3:4:5:6").is_none());
        assert!(enter("2001:db8:1:3::1").is_some());
        let _many: Vec<_> = (0..9).map(|_| enter("127.0.0.1").unwrap()).collect();
        let _more: Vec<_> = (0..9).map(|_| enter("::1").unwrap()).collect();
        assert_eq!(limit.open.lock().len(), 2);
    }

    #[test]
    fn a_burst_is_followed_by_the_rate_limit() {
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
    fn a_period_allows_so_many_at_once_and_as_many_again() {
        let start = crate::clock::now();
        let mut limit = RateLimit::in_period(20, Duration::from_secs(600));
        let mut taken = |s| {
            let now = start + Duration::from_secs(s);
            (0..30).filter(|_| limit.take("a", now).is_ok()).count()
        };
        assert_eq!(
            [taken(0), taken(60), taken(660), taken(5_000)],
            [20, 2, 20, 20]
        );
        let mut none = RateLimit::in_period(0, Duration::from_secs(600));
        assert!((0..1000).all(|_| none.take("a", start).is_ok()));
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
