//! Files of a run other than its journal: history, front, plots, models.

pub(crate) mod candidate;
pub(crate) mod choice;
pub(crate) mod data_place;
pub(crate) mod drawing;
pub(crate) mod extent;
pub(crate) mod front;
pub(crate) mod front_model;
pub(crate) mod grouped;
pub(crate) mod history;
pub(crate) mod layers;
pub(crate) mod lineage;
pub(crate) mod models;
pub(crate) mod plot;
pub(crate) mod repeat;
pub(crate) mod report;
pub(crate) mod results;
pub(crate) mod run_facts;
pub(crate) mod table;
pub(crate) mod trained_model;
pub(crate) mod workload;
