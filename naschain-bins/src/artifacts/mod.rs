//! Files of a run other than its journal: history, front, plots, models.

pub mod front;
pub mod history;
pub mod models;
pub mod plot;
pub mod table;
