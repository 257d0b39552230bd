//! Rungs: the budgets at which candidates are compared, and how many of them go on.

use serde::{Deserialize, Serialize};

use crate::candidate::{Candidate, CandidateId};
use crate::lineage::Parents;
use crate::search::Finish;
use crate::selection::Selection;
use crate::state::{Slot, State};
use crate::{Error, Search, SearchConfig, Space};

/// A candidate that continues an earlier one to the next budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Promotion {
    pub(crate) candidate: usize,
    pub(crate) continues: usize,
}

/// Where each candidate stands, as it follows from the promotions. Empty in a search without rungs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ladder {
    places: Vec<Place>,
    promoted: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    rung: usize,
    /// The first candidate with this genome, which is at the first rung.
    first: usize,
    /// How many genomes were made before this one.
    ordinal: usize,
    /// The candidate that continues this one.
    next: Option<usize>,
}

impl Ladder {
    /// Rebuilds the ladder of a saved search.
    pub(crate) fn of<S: Space>(state: &State<S>) -> Result<Ladder, Error> {
        let mut ladder = Ladder::default();
        let mut promotions = state.promotions.iter().peekable();
        if state.config.rungs.is_empty() {
            return match promotions.next() {
                None => Ok(ladder),
                Some(one) => Err(one.damaged("the search has no rungs")),
            };
        }
        for index in 0..state.slots.len() {
            let Some(&promotion) = promotions.next_if(|one| one.candidate == index) else {
                ladder.begin();
                continue;
            };
            let Some(place) = ladder.places.get(promotion.continues).copied() else {
                return Err(promotion.damaged("that is not an earlier one"));
            };
            let [slot, before] = [index, promotion.continues].map(|at| &state.slots[at]);
            if !matches!(before, Slot::Evaluated(_)) || slot.genome() != before.genome() {
                return Err(promotion.damaged("that was not told, or has another genome"));
            }
            if place.next.is_some() || place.rung + 1 >= state.config.rungs.len() {
                return Err(promotion.damaged("that has no further rung"));
            }
            ladder.promote(promotion.continues);
        }
        promotions.next().map_or(Ok(ladder), |one| {
            Err(one.damaged("there is no such candidate, or they are not in order"))
        })
    }

    /// Adds a candidate with a new genome.
    pub(crate) fn begin(&mut self) {
        let index = self.places.len();
        self.places.push(Place {
            rung: 0,
            first: index,
            ordinal: index - self.promoted,
            next: None,
        });
    }

    /// Adds a candidate that continues another one.
    pub(crate) fn promote(&mut self, continues: usize) {
        let next = self.places.len();
        let before = &mut self.places[continues];
        before.next = Some(next);
        let place = Place {
            rung: before.rung + 1,
            next: None,
            ..*before
        };
        self.places.push(place);
        self.promoted += 1;
    }

    pub(crate) fn rung(&self, index: usize) -> usize {
        self.places.get(index).map_or(0, |place| place.rung)
    }

    /// The first candidate with the same genome.
    pub(crate) fn first(&self, index: usize) -> usize {
        self.places.get(index).map_or(index, |place| place.first)
    }

    /// The candidate that continues this one.
    pub(crate) fn next(&self, index: usize) -> Option<usize> {
        self.places.get(index)?.next
    }

    /// How many genomes were made before that of this candidate.
    pub(crate) fn ordinal(&self, index: usize) -> usize {
        self.places.get(index).map_or(index, |place| place.ordinal)
    }

    /// The number of candidates that continue an earlier one.
    pub(crate) fn promoted(&self) -> usize {
        self.promoted
    }

    /// The candidates at a rung.
    pub(crate) fn at(&self, rung: usize) -> impl Iterator<Item = usize> {
        let places = self.places.iter().enumerate();
        places.filter_map(move |(index, place)| (place.rung == rung).then_some(index))
    }
}

impl Promotion {
    fn damaged(&self, reason: &str) -> Error {
        let (candidate, continues) = (self.candidate, self.continues);
        let what = format!("candidate {candidate} continues candidate {continues}; {reason}");
        Error::Damaged { what }
    }
}

impl SearchConfig {
    /// The maximum number of candidates at each rung. Without rungs, that of all candidates.
    ///
    /// ```
    /// use naschain_nsga::{Objective, SearchConfig};
    ///
    /// let mut config = SearchConfig::new(24, vec![Objective::maximize("accuracy")]);
    /// config.rungs = vec![1, 3, 9];
    /// assert_eq!(config.candidates_by_rung(), [400, 133, 44]);
    /// ```
    pub fn candidates_by_rung(&self) -> Vec<usize> {
        let mut counts = vec![self.max_candidates()];
        for pair in self.rungs.windows(2) {
            counts.push(quota(counts[counts.len() - 1], pair[0], pair[1]));
        }
        counts
    }
}

/// How many of `told` candidates with one budget go on to the next: so many that both take as much
/// (Jamieson and Talwalkar 2016).
fn quota(told: usize, budget: u32, next: u32) -> usize {
    (told as u128 * u128::from(budget) / u128::from(next.max(1))) as usize
}

impl<S: Space> Search<S> {
    pub(crate) fn has_rungs(&self) -> bool {
        !self.state.config.rungs.is_empty()
    }

    /// The budget of a candidate, in the units of [`SearchConfig::rungs`]. `None` in a search without
    /// rungs, and for a candidate that was never asked.
    pub fn budget(&self, id: CandidateId) -> Option<u32> {
        let index = usize::try_from(id.0).ok()?;
        let rungs = &self.state.config.rungs;
        let budget = || rungs.get(self.ladder.rung(index)).copied();
        (index < self.state.asked).then(budget)?
    }

    /// The earlier candidate with the same genome that a candidate continues from a smaller budget, as
    /// in [`Candidate::continues`].
    pub fn continues(&self, id: CandidateId) -> Option<CandidateId> {
        let index = usize::try_from(id.0).ok()?;
        let promotions = &self.state.promotions;
        let place = promotions.binary_search_by_key(&index, |one| one.candidate);
        let continues = promotions[place.ok()?].continues;
        Some(CandidateId(continues as u64))
    }

    /// What is asked of this genome.
    pub(crate) fn candidate(&self, index: usize, genome: S::Genome) -> Candidate<S::Genome> {
        let id = CandidateId(index as u64);
        Candidate {
            id,
            genome,
            budget: self.budget(id),
            continues: self.continues(id),
        }
    }

    /// The number of candidates that do not continue an earlier one.
    pub(crate) fn genomes_made(&self) -> usize {
        self.state.slots.len() - self.ladder.promoted()
    }

    /// Whether a candidate has the full budget, so that its result may be on the front.
    pub(crate) fn is_full(&self, index: usize) -> bool {
        !self.has_rungs() || self.ladder.rung(index) + 1 == self.state.config.rungs.len()
    }

    /// Whether there is a result for the genome of this candidate at a larger budget.
    pub(crate) fn is_superseded(&self, index: usize) -> bool {
        let next = self.ladder.next(index);
        next.is_some_and(|next| !self.is_pending(next))
    }

    /// Whether told candidates may still be continued.
    pub(crate) fn may_promote(&self) -> bool {
        let halted = matches!(self.state.ended, Some(Finish::Stopped | Finish::Stalled));
        self.has_rungs() && !halted
    }

    /// The number of candidates of the first rung that were told; without rungs, of all candidates.
    pub(crate) fn genomes_told(&self) -> usize {
        if !self.has_rungs() {
            return self.state.slots.len() - self.pending;
        }
        self.told_at(0).count()
    }

    fn told_at(&self, rung: usize) -> impl Iterator<Item = usize> {
        let candidates = self.ladder.at(rung);
        candidates.filter(|&index| !self.is_pending(index))
    }

    /// Adds the candidates that continue earlier ones, those of the largest budgets first. Of each rung
    /// the best by rank and crowding distance among all its results go on.
    pub(crate) fn promote(&mut self) {
        if !self.may_promote() {
            return;
        }
        for rung in (0..self.state.config.rungs.len() - 1).rev() {
            let (due, eligible) = self.due(rung);
            if due > 0 {
                let mut chosen = Selection::ranked(&self.scores, self.told_at(rung).collect());
                chosen.retain(|index| eligible.contains(index));
                chosen.truncate(due);
                chosen.into_iter().for_each(|one| self.add_promoted(one));
            }
        }
    }

    /// How many candidates of a rung are to go on now, and among which to choose.
    fn due(&self, rung: usize) -> (usize, Vec<usize>) {
        let rungs = &self.state.config.rungs;
        let (promoted, mut eligible): (Vec<usize>, Vec<usize>) = self
            .told_at(rung)
            .partition(|&index| self.ladder.next(index).is_some());
        let told = promoted.len() + eligible.len();
        let due = quota(told, rungs[rung], rungs[rung + 1]).saturating_sub(promoted.len());
        // Of a failed evaluation there is nothing to continue.
        eligible.retain(|&index| self.scores.violations[index].is_finite());
        (due.min(eligible.len()), eligible)
    }

    /// Adds a candidate that continues another one.
    pub(crate) fn add_promoted(&mut self, continues: usize) {
        let promotion = Promotion {
            candidate: self.state.slots.len(),
            continues,
        };
        self.state.promotions.push(promotion);
        self.ladder.promote(continues);
        self.push_slot(self.state.slots[continues].genome().clone(), Parents::NONE);
    }

    /// Removes the candidates from this one on.
    pub(crate) fn truncate_promotions(&mut self, len: usize) {
        let promotions = &mut self.state.promotions;
        promotions.retain(|one| one.candidate < len);
        let ladder = &mut self.ladder;
        ladder.promoted = promotions.len();
        ladder.places.truncate(len);
        for place in &mut ladder.places {
            place.next = place.next.filter(|next| *next < len);
        }
    }
}
