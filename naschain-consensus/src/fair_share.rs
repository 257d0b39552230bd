//! Whose work comes next where several users share the same miners.

use std::collections::BTreeMap;

/// A user that has work.
#[derive(Clone, Copy, Debug)]
struct Account {
    /// Its share is proportional to this.
    weight: u32,
    /// Work done for the user so far divided by the weight, in units of [`SCALE`] per unit of work.
    served: u128,
}

/// Keeps the division by weights exact enough: a weight of up to 2^32 loses less than one unit of
/// work.
const SCALE: u128 = 1 << 32;

/// Divides the work of miners among users in proportion to their weights, whatever the sizes of their
/// jobs: the user that was served least comes first.
///
/// It is start-time fair queueing (Goyal, Vin and Cheng, 1996) with the least-served waiting user as
/// the virtual time. A user that had no work does not save up what it did not use: when it comes
/// back it is level with the least-served one of those that have work. So at any time two users that
/// had work since have been served the same amount per weight, up to one job of each.
///
/// ```
/// use naschain_consensus::FairShare;
///
/// let mut share = FairShare::new();
/// share.enter("ada", 2);
/// share.enter("bob", 1);
/// let mut jobs = std::collections::BTreeMap::new();
/// for _ in 0..300 {
///     let next = share.order(["ada", "bob"])[0];
///     share.charge(&next, 1_000);
///     *jobs.entry(next).or_insert(0) += 1;
/// }
/// assert_eq!((jobs["ada"], jobs["bob"]), (200, 100));
/// ```
#[derive(Clone, Debug, Default)]
pub struct FairShare<U> {
    /// Users with work.
    waiting: BTreeMap<U, Account>,
    /// What users without work had been served when they ran out of it, as far as it is more than the
    /// least-served waiting user has been.
    idle: BTreeMap<U, u128>,
    /// What the least-served waiting user had been served when there was last one.
    floor: u128,
}

impl<U: Clone + Ord> FairShare<U> {
    /// Without users.
    pub fn new() -> FairShare<U> {
        FairShare {
            waiting: BTreeMap::new(),
            idle: BTreeMap::new(),
            floor: 0,
        }
    }

    /// A user has work. A weight of 0 counts as 1. For one that had work already only the weight
    /// changes.
    pub fn enter(&mut self, user: U, weight: u32) {
        let weight = weight.max(1);
        if let Some(account) = self.waiting.get_mut(&user) {
            account.weight = weight;
            return;
        }
        let floor = self.least_served();
        let before = self.idle.remove(&user).unwrap_or(0);
        let served = before.max(floor);
        self.waiting.insert(user, Account { weight, served });
    }

    /// A user has no more work.
    pub fn leave(&mut self, user: &U) {
        self.floor = self.least_served();
        if let Some(account) = self.waiting.remove(user) {
            self.idle.insert(user.clone(), account.served);
        }
        // A user that was served less than this comes back at this level anyway.
        let floor = self.least_served();
        self.idle.retain(|_, served| *served > floor);
    }

    /// Only these users have work still.
    pub fn retain(&mut self, has_work: impl Fn(&U) -> bool) {
        let gone = self.waiting.keys().filter(|user| !has_work(user));
        for user in gone.cloned().collect::<Vec<U>>() {
            self.leave(&user);
        }
    }

    /// Work was handed out for a user. Nothing happens where it has none.
    pub fn charge(&mut self, user: &U, work: u64) {
        if let Some(account) = self.waiting.get_mut(user) {
            let units = u128::from(work) * SCALE / u128::from(account.weight);
            account.served = account.served.saturating_add(units);
        }
    }

    /// These users, the one to be served next first; equal ones keep their order. Users without work
    /// come last.
    pub fn order(&self, users: impl IntoIterator<Item = U>) -> Vec<U> {
        let mut users: Vec<U> = users.into_iter().collect();
        let served = |user: &U| self.waiting.get(user).map_or(u128::MAX, |a| a.served);
        users.sort_by_key(served);
        users
    }

    /// What the least-served waiting user has been served.
    fn least_served(&self) -> u128 {
        let served = self.waiting.values().map(|account| account.served);
        served.min().unwrap_or(self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Jain's index of fairness: 1 if all are equal, 1/n if one has everything.
    fn jain(shares: &[f64]) -> f64 {
        let sum: f64 = shares.iter().sum();
        let squares: f64 = shares.iter().map(|share| share * share).sum();
        sum * sum / (shares.len() as f64 * squares)
    }

    #[test]
    fn users_with_jobs_of_other_sizes_get_the_same_work() {
        let mut share = FairShare::new();
        let sizes = [1_u64, 10, 1_000, 50];
        let mut given = [0_u64; 4];
        for user in 0..4 {
            share.enter(user, 1);
        }
        for _ in 0..100_000 {
            let user = share.order(0..4)[0];
            share.charge(&user, sizes[user]);
            given[user] += sizes[user];
        }
        let shares = given.map(|work| work as f64);
        assert!(jain(&shares) > 0.999, "{given:?}");
    }

    #[test]
    fn a_user_that_had_no_work_saves_nothing_up() {
        let mut share = FairShare::new();
        share.enter("ada", 1);
        share.enter("bob", 1);
        share.leave(&"bob");
        for _ in 0..1_000 {
            share.charge(&"ada", 7);
        }
        share.enter("bob", 1);
        let mut next = Vec::new();
        for _ in 0..6 {
            let user = share.order(["ada", "bob"])[0];
            share.charge(&user, 7);
            next.push(user);
        }
        assert_eq!(next, ["ada", "bob", "ada", "bob", "ada", "bob"]);
    }

    #[test]
    fn leaving_and_coming_back_gains_nothing() {
        let mut share = FairShare::new();
        share.enter("ada", 1);
        share.enter("bob", 1);
        let mut given = [0, 0];
        for _ in 0..1_000 {
            // Ada has no work for a moment after each job.
            share.enter("ada", 1);
            let user = share.order(["ada", "bob"])[0];
            share.charge(&user, 3);
            given[usize::from(user == "bob")] += 3;
            share.leave(&"ada");
        }
        assert!(given[0] <= given[1] + 3, "{given:?}");
    }

    #[test]
    fn users_that_come_and_go_are_forgotten() {
        let mut share = FairShare::new();
        share.enter(0, 1);
        for user in 1..10_000_u32 {
            share.enter(user, 1);
            share.charge(&user, 5);
            share.leave(&user);
            share.charge(&0, 5);
        }
        assert!(share.idle.len() <= 1, "{}", share.idle.len());
    }

    proptest! {
        /// Two users that always have work never differ by more than one job of each, per weight.
        #[test]
        fn the_difference_is_bounded(
            sizes in prop::collection::vec((0_usize..4, 1_u64..1_000), 1..400),
            weights in prop::array::uniform4(1_u32..10),
        ) {
            let mut share = FairShare::new();
            for (user, weight) in weights.iter().enumerate() {
                share.enter(user, *weight);
            }
            let mut given = [0_u64; 4];
            for (_, size) in sizes {
                let user = share.order(0..4)[0];
                share.charge(&user, size);
                given[user] += size;
                let level = |user: usize| given[user] as f64 / f64::from(weights[user]);
                let least = (0..4).map(level).fold(f64::INFINITY, f64::min);
                for (user, weight) in weights.iter().enumerate() {
                    prop_assert!(level(user) - least <= 1_000.0 / f64::from(*weight) + 1e-6);
                }
            }
        }
    }
}
