//! Files of a run other than its journal: history, front, plots, models.

pub(crate) mod data_place;
pub(crate) mod front;
pub(crate) mod history;
pub(crate) mod models;
pub(crate) mod plot;
pub(crate) mod table;
