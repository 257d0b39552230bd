//! How long requests took, by route.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{BOUNDS_S, Metrics, Route};

/// How long the requests of a route took.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct RouteTimes {
    route: String,
    requests: u64,
    /// Those that were answered with a status from 500 on.
    errors: u64,
    mean_ms: f64,
    /// 99 of 100 requests took at most this long; the longest that is told apart is 30 s.
    p99_ms: f64,
}

impl RouteTimes {
    /// Those of several parts of a server together, the slowest first.
    pub(crate) fn of<'a>(parts: impl Iterator<Item = &'a Metrics>) -> Vec<RouteTimes> {
        let mut all: BTreeMap<String, Route> = BTreeMap::new();
        for part in parts {
            let Ok(requests) = part.requests.lock() else {
                continue;
            };
            for (name, measured) in requests.iter() {
                let sum = all.entry(name.clone()).or_default();
                for (status, count) in &measured.statuses {
                    *sum.statuses.entry(*status).or_default() += count;
                }
                let counts = sum.took.counts.iter_mut().zip(measured.took.counts);
                counts.for_each(|(sum, count)| *sum += count);
                sum.took.sum_s += measured.took.sum_s;
            }
        }
        let mut times: Vec<RouteTimes> = all.into_iter().filter_map(RouteTimes::new).collect();
        times.sort_by(|a, b| b.p99_ms.total_cmp(&a.p99_ms));
        times
    }

    fn new((route, measured): (String, Route)) -> Option<RouteTimes> {
        let requests: u64 = measured.took.counts.iter().sum();
        if requests == 0 {
            return None;
        }
        let errors = measured.statuses.iter();
        let errors = errors.filter(|(status, _)| **status >= 500);
        let mut below = 0;
        let bucket = measured.took.counts.iter().position(|count| {
            below += count;
            below * 100 >= requests * 99
        });
        let longest = BOUNDS_S[BOUNDS_S.len() - 1];
        let p99_s = bucket.and_then(|bucket| BOUNDS_S.get(bucket));
        Some(RouteTimes {
            route,
            requests,
            errors: errors.map(|(_, count)| count).sum(),
            mean_ms: measured.took.sum_s * 1_000.0 / requests as f64,
            p99_ms: p99_s.unwrap_or(&longest) * 1_000.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_of_several_parts_are_added() {
        let (one, other) = (Metrics::default(), Metrics::default());
        for _ in 0..98 {
            one.answered("/a", 200, Duration::from_millis(2));
        }
        other.answered("/a", 503, Duration::from_millis(400));
        other.answered("/a", 200, Duration::from_millis(400));
        other.answered("/b", 404, Duration::from_micros(10));
        let times = RouteTimes::of([&one, &other].into_iter());
        assert_eq!(times[0].route, "/a");
        assert_eq!((times[0].requests, times[0].errors), (100, 1));
        assert!((times[0].mean_ms - 9.96).abs() < 0.01, "{times:?}");
        assert!((times[0].p99_ms - 500.0).abs() < 1e-9);
        assert!((times[1].p99_ms - 0.5).abs() < 1e-9);
    }
}
