use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::{Ask, Candidate, Error, Outcome, Search, Space};

impl<S: Space> Search<S> {
    /// Runs the search to its end on `threads` threads, at least 1, each of which evaluates one
    /// candidate at a time: [`Search::ask`] and [`Search::tell`] in a loop. Candidates that were asked
    /// before and not told ([`Search::pending`]) are evaluated first, so a loaded search can be run.
    ///
    /// At the generational pace the result does not depend on the number of threads. At the
    /// steady-state pace it depends on the order in which evaluations end, unless there is one thread.
    ///
    /// # Errors
    /// [`Error::Config`] if `threads` is 0. Otherwise as [`Search::tell`], for the first outcome that
    /// is invalid; no further evaluations are begun then.
    ///
    /// # Panics
    /// If `evaluate` panics, as soon as the other threads have ended their evaluations.
    ///
    /// ```
    /// use naschain_nsga::{Mode, Objective, Outcome, Search, SearchConfig};
    ///
    /// let mut config = SearchConfig::new(24, vec![Objective::maximize("ones")]);
    /// config.mode = Mode::Nsga2;
    /// let mut search = Search::new(config)?;
    /// search.run(4, |candidate| {
    ///     Outcome::objectives([candidate.genome.count_ones(0..24) as f64])
    /// })?;
    /// assert!(search.is_finished());
    /// # Ok::<(), naschain_nsga::Error>(())
    /// ```
    pub fn run<F>(&mut self, threads: usize, evaluate: F) -> Result<(), Error>
    where
        S: Send,
        S::Genome: Send,
        F: Fn(&Candidate<S::Genome>) -> Outcome + Sync,
    {
        if threads == 0 {
            return Err(Error::Config {
                field: "threads",
                found: "0".to_owned(),
                expected: "at least 1",
            });
        }
        // Reversed, because the last one is taken first.
        let begun = self.pending().rev().collect();
        let work = Work {
            state: Mutex::new(WorkState {
                search: self,
                begun,
                end: Ok(false),
            }),
            changed: Condvar::new(),
        };
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| work.evaluate_all(&evaluate));
            }
        });
        work.locked().end.clone().map(|_| ())
    }
}

/// A search that several threads work on.
struct Work<'a, S: Space> {
    state: Mutex<WorkState<'a, S>>,
    /// An outcome was told, or the work has ended.
    changed: Condvar,
}

struct WorkState<'a, S: Space> {
    search: &'a mut Search<S>,
    /// Candidates that were asked before the threads began.
    begun: Vec<Candidate<S::Genome>>,
    /// Whether the work has ended although the search has not.
    end: Result<bool, Error>,
}

impl<'a, S: Space> Work<'a, S> {
    /// The state; a panic of `evaluate` occurs outside of the lock and leaves it intact.
    fn locked(&self) -> MutexGuard<'_, WorkState<'a, S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop of one thread.
    fn evaluate_all(&self, evaluate: impl Fn(&Candidate<S::Genome>) -> Outcome) {
        let guard = EndOnPanic(self);
        while let Some(candidate) = self.next() {
            let outcome = evaluate(&candidate);
            let mut state = self.locked();
            if let Err(error) = state.search.tell(candidate.id, outcome)
                && state.end.is_ok()
            {
                state.end = Err(error);
            }
            drop(state);
            self.changed.notify_all();
        }
        drop(guard);
    }

    /// The next candidate, as soon as there is one; `None` at the end.
    fn next(&self) -> Option<Candidate<S::Genome>> {
        let mut state = self.locked();
        while state.end == Ok(false) {
            if let Some(candidate) = state.begun.pop() {
                return Some(candidate);
            }
            match state.search.ask() {
                Ask::Candidate(candidate) => return Some(candidate),
                Ask::Done => return None,
                Ask::Wait => {
                    let changed = self.changed.wait(state);
                    state = changed.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        None
    }
}

/// Ends the work if its thread panics: the other threads would wait for the outcome forever.
struct EndOnPanic<'a, 'b, S: Space>(&'a Work<'b, S>);

impl<S: Space> Drop for EndOnPanic<'_, '_, S> {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut state = self.0.locked();
            if state.end == Ok(false) {
                state.end = Ok(true);
            }
            drop(state);
            self.0.changed.notify_all();
        }
    }
}
