use crate::config::Pace;
use crate::search::Finish;
use crate::{Error, Search, Space};

impl<S: Space> Search<S> {
    /// Raises the number of generations, before or after the search has ended. It then goes on exactly
    /// as if all of them had been configured from the beginning: the candidates, the front and the
    /// statistics are the same.
    ///
    /// # Errors
    /// [`Error::Extension`] if that is impossible, with the reason, and if `generations` is not above
    /// [`SearchConfig::generations`](crate::SearchConfig::generations). The search is unchanged then.
    ///
    /// ```
    /// use naschain_nsga::{Ask, Mode, Objective, Outcome, Search, SearchConfig};
    ///
    /// let mut config = SearchConfig::new(24, vec![Objective::maximize("ones")]);
    /// (config.mode, config.generations) = (Mode::Nsga2, 10);
    /// let mut search = Search::new(config)?;
    /// for generations in [20, 30] {
    ///     while let Ask::Candidate(candidate) = search.ask() {
    ///         let ones = candidate.genome.count_ones(0..24);
    ///         search.tell(candidate.id, Outcome::objectives([f64::from(ones as u32)]))?;
    ///     }
    ///     search.extend(generations)?;
    /// }
    /// assert_eq!(search.evaluated().count(), 20 * 20);
    /// # Ok::<(), naschain_nsga::Error>(())
    /// ```
    pub fn extend(&mut self, generations: usize) -> Result<(), Error> {
        if let Some(reason) = self.obstacle(generations) {
            return Err(Error::Extension {
                generations,
                reason,
            });
        }
        let ended = self.is_finished();
        self.state.config.generations = generations;
        if ended {
            self.advance();
        }
        Ok(())
    }

    /// Why the search cannot go on to this generation as if it had been configured so.
    fn obstacle(&self, generations: usize) -> Option<String> {
        let config = &self.state.config;
        if generations <= config.generations {
            return Some(format!(
                "the search has {} generations; ask for more",
                config.generations
            ));
        }
        if config.population == 1 {
            let reason = "a population of 1 has no pair of parents for another generation";
            return Some(reason.to_owned());
        }
        if !config.rungs.is_empty() {
            let reason = "with rungs, the candidates that go on from each rung have been chosen \
                          already; start a new search from its front";
            return Some(reason.to_owned());
        }
        if config.pace == Pace::SteadyState {
            let reason = "at the steady-state pace candidates depend on what was in flight when they \
                          were made, and the last ones were made without the following ones; start a \
                          new search from its front";
            return Some(reason.to_owned());
        }
        let all = config.population.saturating_mul(generations);
        if let Some(most) = config.evaluations.filter(|&most| most < all) {
            return Some(format!(
                "the search is limited to {most} evaluations, which are fewer than {all} candidates"
            ));
        }
        let reason = match self.state.ended {
            None if self.is_finished() && self.state.waiting.is_empty() => {
                "an earlier version has saved it without what the next generation depends on"
            }
            None => return None,
            Some(Finish::Stalled) => "its front has stalled, which more generations do not change",
            Some(Finish::Exhausted) => "no new genome is left for more generations",
            Some(_) => "it was stopped, and the candidates that were not asked by then are lost",
        };
        Some(reason.to_owned())
    }
}
