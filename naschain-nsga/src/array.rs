//! Objective values as an array of the crate ndarray.

use ndarray::Array2;

use crate::{Search, Space};

impl<S: Space> Search<S> {
    /// The objective values of all candidates that have some, in the order of their ids: candidates
    /// × objectives, each in its own direction. Requires the feature `ndarray`.
    ///
    /// ```
    /// use naschain_nsga::{Ask, Bits, Objective, Outcome, Search, SearchConfig};
    ///
    /// let objectives = vec![Objective::minimize("ones"), Objective::maximize("first bit")];
    /// let mut config = SearchConfig::new(6, objectives);
    /// (config.population, config.generations) = (8, 2);
    /// let mut search = Search::in_space(config, Bits)?;
    /// while let Ask::Candidate(candidate) = search.ask() {
    ///     let genome = &candidate.genome;
    ///     let values = [genome.count_ones(0..6) as f64, f64::from(genome.get(0))];
    ///     search.tell(candidate.id, Outcome::objectives(values))?;
    /// }
    /// assert_eq!(search.objectives().ncols(), 2);
    /// assert_eq!(search.objectives().nrows(), search.evaluated().count());
    /// # Ok::<(), naschain_nsga::Error>(())
    /// ```
    pub fn objectives(&self) -> Array2<f64> {
        let columns = self.config().objectives.len();
        let rows = self.evaluated().filter_map(|one| one.objectives());
        let values: Vec<f64> = rows.flatten().copied().collect();
        let rows = values.len().checked_div(columns).unwrap_or(0);
        // Each outcome has one value per objective, so no value is left over.
        Array2::from_shape_fn((rows, columns), |(row, column)| {
            values[row * columns + column]
        })
    }
}
