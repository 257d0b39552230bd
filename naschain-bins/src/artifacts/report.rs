//! `report.html`: the page of a run in one file, which works offline.
//!
//! It has the markup, styles and scripts of the page that a genomaster serves, with the run's record
//! inside. Of a run's folder only the ended jobs are known, so their numbers take the place of times.

mod details;
mod record;
mod scripts;

use anyhow::Result;
use askama::Template;

use crate::artifacts::results::Results;
use crate::web::assets;
use crate::web::page::{Page, ReportPage};

/// The file, in the folder of a run.
pub(crate) const REPORT_FILE: &str = "report.html";

/// The report of a run.
pub(crate) fn report_html(results: &Results, title: &str) -> Result<String> {
    let all = record::all_jobs(results)?;
    let record = record::record_of(results, &all);
    let style = assets::content("style.css").unwrap_or_default();
    let page = ReportPage {
        style: String::from_utf8_lossy(&style).into_owned(),
        import_map: scripts::import_map("dashboard.js"),
        library: assets::library(),
        record: embedded(&record::document(results, (&all, &record), title)?)?,
        details: embedded(&details::details(results, &all, &record)?)?,
        page: Page::new(title),
    };
    Ok(page.render()?)
}

/// A JSON text inside an element of script, which only `<` could end.
fn embedded(value: &serde_json::Value) -> Result<String> {
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}

#[cfg(test)]
mod tests;
