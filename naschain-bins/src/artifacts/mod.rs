//! What a run leaves behind: history, front, pictures, models, tables.

pub mod models;
pub mod plot;
pub mod report;
pub mod table;
