use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{CandidateId, Search, Space};

/// The candidates that a candidate was made from: none, one or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parents([u32; 2]);

impl Parents {
    /// Of a genome that is random or was given.
    pub(crate) const NONE: Parents = Parents([Parents::NOBODY; 2]);
    /// Also stands for candidates whose number is larger, which no search in memory has.
    const NOBODY: u32 = u32::MAX;

    /// Of a mutated genome.
    #[inline]
    pub(crate) fn one(index: usize) -> Parents {
        Parents([number(index), Parents::NOBODY])
    }

    /// Of a child of two, which may be the same candidate.
    #[inline]
    pub(crate) fn pair([one, other]: [usize; 2]) -> Parents {
        if one == other {
            return Parents::one(one);
        }
        Parents([number(one), number(other)])
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        let known = self.0.into_iter().filter(|one| *one != Parents::NOBODY);
        known.map(|one| one as usize)
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(Parents::NOBODY)
}

impl Serialize for Parents {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let known: Vec<usize> = self.iter().collect();
        known.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Parents {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Vec::<u32>::deserialize(from)?[..] {
            [] => Ok(Parents::NONE),
            [one] => Ok(Parents([one, Parents::NOBODY])),
            [one, other] => Ok(Parents([one, other])),
            _ => Err(D::Error::custom("a candidate has more than two parents")),
        }
    }
}

impl<S: Space> Search<S> {
    /// The candidates whose genomes were crossed or mutated into that of a candidate, at most two.
    /// None for a random or a given genome, for a candidate that continues an earlier one, for one that
    /// was never asked, and for those of a search that an earlier version has saved.
    pub fn parents(&self, id: CandidateId) -> impl Iterator<Item = CandidateId> + use<S> {
        let index = usize::try_from(id.0).ok();
        let index = index.filter(|index| *index < self.state.asked);
        let parents = index.and_then(|index| self.state.parents.get(index));
        let parents = parents.copied().unwrap_or(Parents::NONE);
        parents.iter().map(|index| CandidateId(index as u64))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Ask, CandidateId, Mode, Objective, Outcome, Search, SearchConfig};

    fn searched(mode: Mode, evaluations: usize) -> Search {
        let mut config = SearchConfig::new(24, vec![Objective::maximize("ones")]);
        (config.population, config.generations, config.mode) = (8, 80, mode);
        config.evaluations = Some(evaluations);
        let mut search = Search::new(config).unwrap();
        while let Ask::Candidate(candidate) = search.ask() {
            let ones = candidate.genome.count_ones(0..24) as u32;
            let outcome = Outcome::objectives([f64::from(ones)]);
            search.tell(candidate.id, outcome).unwrap();
        }
        search
    }

    fn genes(search: &Search, id: CandidateId) -> String {
        search
            .evaluated()
            .nth(id.0 as usize)
            .unwrap()
            .genome
            .to_string()
    }

    /// Where two parents agree, a child differs by mutation only, which is rare.
    #[test]
    fn children_resemble_their_parents() {
        for mode in [Mode::Nsga2, Mode::Surrogate] {
            let search = searched(mode, 600);
            let (mut with_parents, mut agreed, mut changed) = (0, 0, 0);
            for child in search.evaluated() {
                let parents: Vec<CandidateId> = search.parents(child.id).collect();
                assert!(parents.iter().all(|parent| parent.0 < child.id.0));
                assert!(
                    child.id.0 >= 8 || parents.is_empty(),
                    "the first are random"
                );
                if parents.is_empty() {
                    continue;
                }
                with_parents += 1;
                let child = child.genome.to_string();
                let parents: Vec<String> = parents.iter().map(|id| genes(&search, *id)).collect();
                for at in 0..24 {
                    let gene = |text: &String| text.as_bytes()[at];
                    let first = gene(&parents[0]);
                    if parents.iter().all(|parent| gene(parent) == first) {
                        agreed += 1;
                        changed += usize::from(gene(&child) != first);
                    }
                }
            }
            assert!(with_parents > 300, "{mode:?}: {with_parents}");
            assert!(changed * 5 < agreed, "{mode:?}: {changed} of {agreed}");
        }
    }

    #[test]
    fn parents_are_saved_and_may_be_missing() {
        let search = searched(Mode::Surrogate, 100);
        let saved = serde_json::to_string(&search).unwrap();
        let restored: Search = serde_json::from_str(&saved).unwrap();
        let all = |search: &Search| -> Vec<Vec<CandidateId>> {
            (0..100)
                .map(|id| search.parents(CandidateId(id)).collect())
                .collect()
        };
        assert_eq!(all(&search), all(&restored));
        let mut old: serde_json::Value = serde_json::from_str(&saved).unwrap();
        old.as_object_mut().unwrap().remove("parents").unwrap();
        let old: Search = serde_json::from_value(old).unwrap();
        assert!(all(&old).iter().all(Vec::is_empty));
        let wrong = saved.replacen("\"parents\":[[]", "\"parents\":[[5]", 1);
        let error = serde_json::from_str::<Search>(&wrong)
            .unwrap_err()
            .to_string();
        assert!(error.contains("candidate 0"), "{error}");
    }
}
