use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::candidate::Evaluated;
use crate::config::SearchConfig;
use crate::exact;
use crate::lineage::Parents;
use crate::rungs::{Ladder, Promotion};
use crate::search::Finish;
use crate::statistics::Statistics;
use crate::{Error, Genes, Space};

/// A candidate before and after its outcome is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Slot<G> {
    #[serde(rename = "untold")]
    Pending(G),
    #[serde(rename = "told")]
    Evaluated(Evaluated<G>),
}

impl<G> Slot<G> {
    pub(crate) fn genome(&self) -> &G {
        match self {
            Slot::Pending(genome) => genome,
            Slot::Evaluated(evaluated) => &evaluated.genome,
        }
    }
}

/// The part of a search that is saved; everything else is derived from it.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(deserialize = "S: Deserialize<'de>, S::Genome: Deserialize<'de>")
)]
pub(crate) struct State<S: Space> {
    pub(crate) config: SearchConfig,
    pub(crate) space: S,
    /// Every candidate made so far, in the order of ids.
    pub(crate) slots: Vec<Slot<S::Genome>>,
    /// How many of them have been asked.
    pub(crate) asked: usize,
    /// The survivors of the last selection.
    pub(crate) population: Vec<usize>,
    /// The candidates told since the last selection.
    pub(crate) waiting: Vec<usize>,
    /// Genomes rejected because their canonical form was a candidate already.
    pub(crate) duplicates: u64,
    /// Why no more candidates are made, unless a limit of the configuration is the reason.
    pub(crate) ended: Option<Finish>,
    /// One entry per completed generation.
    pub(crate) statistics: Vec<Statistics>,
    /// The reference point of the statistics' hypervolumes, with all objectives minimised.
    #[serde(deserialize_with = "exact::list_option::deserialize")]
    pub(crate) reference: Option<Vec<f64>>,
    /// The candidates that continue earlier ones, in the order of candidates.
    #[serde(default)]
    pub(crate) promotions: Vec<Promotion>,
    /// What each candidate was made from; those of earlier versions are missing.
    #[serde(default)]
    pub(crate) parents: Vec<Parents>,
}

// By hand, as that of the configuration.
impl<S: Space + Serialize> Serialize for State<S>
where
    S::Genome: Serialize,
{
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        let writes_promotions = !self.promotions.is_empty() || !to.is_human_readable();
        let mut to = to.serialize_struct("State", 11 + usize::from(writes_promotions))?;
        to.serialize_field("config", &self.config)?;
        to.serialize_field("space", &self.space)?;
        to.serialize_field("slots", &self.slots)?;
        to.serialize_field("asked", &self.asked)?;
        to.serialize_field("population", &self.population)?;
        to.serialize_field("waiting", &self.waiting)?;
        to.serialize_field("duplicates", &self.duplicates)?;
        to.serialize_field("ended", &self.ended)?;
        to.serialize_field("statistics", &self.statistics)?;
        to.serialize_field("reference", &ExactPoint(&self.reference))?;
        if writes_promotions {
            to.serialize_field("promotions", &self.promotions)?;
        }
        to.serialize_field("parents", &self.parents)?;
        to.end()
    }
}

/// A point whose floats are written exactly.
struct ExactPoint<'a>(&'a Option<Vec<f64>>);

impl Serialize for ExactPoint<'_> {
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        exact::list_option::serialize(self.0, to)
    }
}

impl<S: Space> State<S> {
    /// Checks that the parts are consistent; outcomes are checked when they are scored.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.config.validate()?;
        let ladder = Ladder::of(self)?;
        let damaged = |what: String| Err(Error::Damaged { what });
        let made = self.slots.len();
        if self.asked > made {
            return damaged(format!(
                "{} candidates were asked, but only {made} exist",
                self.asked
            ));
        }
        // A search may be stopped before anything is asked.
        if self.slots.is_empty() && self.ended.is_none() {
            return damaged("it has no candidates and has not ended".to_owned());
        }
        for (index, slot) in self.slots.iter().enumerate() {
            let genome = slot.genome();
            genome.check(self.space.domain(), self.config.genome_len)?;
            if let Slot::Evaluated(told) = slot {
                let generation = ladder.ordinal(index) / self.config.population + 1;
                if told.id.0 != index as u64 || told.generation != generation {
                    return damaged(format!(
                        "candidate {index} of generation {generation} is stored with id {} and generation {}",
                        told.id, told.generation
                    ));
                }
                if index >= self.asked {
                    return damaged(format!("candidate {index} was told but never asked"));
                }
            }
        }
        for (index, parents) in self.parents.iter().enumerate() {
            if let Some(parent) = parents.iter().find(|parent| *parent >= index) {
                return damaged(format!("candidate {index} has the later parent {parent}"));
            }
        }
        let is_told = |index: usize| matches!(self.slots.get(index), Some(Slot::Evaluated(_)));
        let mut told = self.population.iter().chain(&self.waiting);
        if let Some(index) = told.find(|&&index| !is_told(index)) {
            return damaged(format!("survivor {index} was never told"));
        }
        let objectives = self.config.objectives.len();
        match &self.reference {
            Some(point) if point.len() != objectives => damaged(format!(
                "the reference point has {} values; the search has {objectives} objectives",
                point.len()
            )),
            _ => Ok(()),
        }
    }
}
