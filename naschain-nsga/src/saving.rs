use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::front::Front;
use crate::lineage::Parents;
use crate::state::{Slot, State};
use crate::{Error, Search, Space};

impl<S: Space + Serialize> Serialize for Search<S>
where
    S::Genome: Serialize,
{
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        self.state.serialize(to)
    }
}

impl<'de, S: Space + Deserialize<'de>> Deserialize<'de> for Search<S>
where
    S::Genome: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Search::restored(State::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

impl<S: Space> Search<S> {
    /// Rebuilds a search from a saved state.
    fn restored(mut state: State<S>) -> Result<Self, Error> {
        state.validate()?;
        let slots = std::mem::take(&mut state.slots);
        let duplicates = state.duplicates;
        let parents = std::mem::take(&mut state.parents);
        let mut promotions = std::mem::take(&mut state.promotions).into_iter().peekable();
        let of = |index: usize| parents.get(index).copied().unwrap_or(Parents::NONE);
        let mut search = Search::without_candidates(state);
        for (index, slot) in slots.into_iter().enumerate() {
            if let Some(one) = promotions.next_if(|one| one.candidate == index) {
                search.add_promoted(one.continues);
            } else if !search.add(slot.genome().clone(), of(index)) {
                let what = format!("candidate {index} is a duplicate of an earlier one");
                return Err(Error::Damaged { what });
            }
            search.state.slots[index] = slot;
            if let Slot::Evaluated(told) = &search.state.slots[index] {
                let mut outcome = told.outcome.clone();
                search.check(told.id, &mut outcome)?;
                search.score(index, &outcome);
                search.pending -= 1;
            }
        }
        search.state.duplicates = duplicates;
        // The waiting candidates join the front at the next selection.
        let partial = (0..search.state.slots.len()).filter(|&index| !search.is_full(index));
        let left_out: Vec<usize> = partial
            .chain(search.state.waiting.iter().copied())
            .collect();
        search.front = Front::without(&search.scores, &left_out);
        Ok(search)
    }
}
