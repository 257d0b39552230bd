//! `report.html`: an interactive report of a run in one file, which works offline.
//!
//! Charts are drawn by plotly.js, which the crate plotly embeds; `report.js` connects them with the
//! data of the run.

use anyhow::{Context, Result};
use naschain_consensus::Row;
use naschain_core::{Genome, Measurement};
use naschain_run::EndedJob;
use naschain_train::CurvePoint;
use serde::Serialize;

use crate::artifacts::choice::names_of;
use crate::artifacts::drawing::network_svg;
use crate::artifacts::models::retrained_description;
use crate::artifacts::results::{Results, hypervolume_share, largest_costs, measured};

/// The file, in the folder of a run.
pub(crate) const REPORT_FILE: &str = "report.html";
/// Networks whose drawing is in the report, the most accurate first; a drawing has some kilobytes.
const MAX_DRAWN: usize = 300;
const PAGE: &str = include_str!("report.html");
const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

#[derive(Serialize)]
struct ReportData {
    title: String,
    /// The images on which accuracies were measured: validation or test.
    measured_on: &'static str,
    guessing_limit: f64,
    /// The number of networks of the whole search, if it is not finished.
    unfinished_of: Option<usize>,
    networks: Vec<Network>,
    /// Genomes without a result, and why.
    failed: Vec<(String, String)>,
    /// After each evaluation, the share of the box that the front so far dominates.
    hypervolume: Vec<f64>,
}

#[derive(Serialize)]
struct Network {
    genome: String,
    /// Its place in the order in which jobs ended, from 1.
    evaluation: usize,
    accuracy: f64,
    test_accuracy: Option<f64>,
    retrained: Option<RetrainedNetwork>,
    params: u64,
    flops: u64,
    nodes: usize,
    is_front: bool,
    picks: String,
    miners: Vec<MinerRow>,
    curve: Vec<CurvePoint>,
    svg: Option<String>,
}

/// What `retrain` made of a network.
#[derive(Serialize)]
struct RetrainedNetwork {
    test_accuracy: Option<f64>,
    epochs: u32,
}

#[derive(Serialize)]
struct MinerRow {
    name: String,
    answer: String,
    finding: String,
    agreed: bool,
}

/// The report of a run.
pub(crate) fn report_html(results: &Results, title: &str) -> Result<String> {
    let report = ReportData {
        title: title.to_owned(),
        measured_on: results.measured_on(),
        guessing_limit: results.guessing_limit(),
        unfinished_of: (!results.extent.finished).then_some(results.extent.networks),
        networks: networks(results)?,
        failed: failed(&results.ended),
        hypervolume: hypervolumes(results)?,
    };
    // In a script element only `<` could end the data.
    let data = serde_json::to_string(&report)?.replace('<', "\\u003c");
    let library = plotly::Plot::offline_js_sources();
    // What follows are formulas, which the charts do not have.
    let (script, _) = library
        .split_once("</script>")
        .context("the charting library is not a script")?;
    // In this order, because nothing that is inserted is searched again.
    let mut html = String::with_capacity(script.len() + data.len() + PAGE.len());
    let mut rest = PAGE;
    let parts = [
        ("/* style */", STYLE),
        ("<!-- library -->", script),
        ("/* data */", data.as_str()),
        ("/* script */", SCRIPT),
    ];
    for (mark, part) in parts {
        let (before, after) = rest
            .split_once(mark)
            .with_context(|| format!("the page of the report has no {mark}"))?;
        html += before;
        html += part;
        rest = after;
    }
    Ok(html + rest)
}

fn networks(results: &Results) -> Result<Vec<Network>> {
    let space = &results.spec.space;
    let mut front = results.useful_front();
    // No choice picks a network that is no better than guessing, but where there is no other, the
    // front consists of them.
    let is_choosable = !front.is_empty();
    if !is_choosable {
        front = results.front.iter().collect();
    }
    let mut by_accuracy: Vec<_> = measured(&results.ended)
        .map(|(job, m)| (std::cmp::Reverse(m.accuracy), job.job))
        .collect();
    by_accuracy.sort();
    let last_drawn = by_accuracy.get(MAX_DRAWN).copied();
    let mut networks = Vec::new();
    for (index, job) in results.ended.iter().enumerate() {
        let Some(m) = job.result() else {
            continue;
        };
        let architecture = space.decode(&job.genome)?;
        let member = front.iter().find(|member| member.job == job.job);
        let model = results.model(&job.genome);
        let place = (std::cmp::Reverse(m.accuracy), job.job);
        let is_drawn = member.is_some() || last_drawn.is_none_or(|last| place < last);
        networks.push(Network {
            genome: job.genome.grouped(space.phase_len()),
            evaluation: index + 1,
            accuracy: m.accuracy.percent(),
            test_accuracy: model.map(|model| model.test_accuracy.percent()),
            retrained: retrained(results, &job.genome),
            params: m.params,
            flops: m.flops,
            nodes: architecture
                .phases
                .iter()
                .map(|phase| phase.nodes.len())
                .sum(),
            is_front: member.is_some(),
            picks: member
                .filter(|_| is_choosable)
                .map_or_else(String::new, |member| names_of(member, &front)),
            miners: miners(job),
            curve: model.map_or_else(Vec::new, |model| model.curve.clone()),
            svg: is_drawn.then(|| network_svg(&architecture)),
        });
    }
    Ok(networks)
}

fn retrained(results: &Results, genome: &Genome) -> Option<RetrainedNetwork> {
    let model = retrained_description(&results.dir, genome)?;
    Some(RetrainedNetwork {
        test_accuracy: model.test_accuracy.map(|accuracy| accuracy.percent()),
        epochs: model.recipe.epochs,
    })
}

fn miners(job: &EndedJob) -> Vec<MinerRow> {
    let verdict = &job.verdict;
    let rows = job.rows.iter().zip(&verdict.findings).zip(&verdict.agreed);
    rows.map(|(((name, row), finding), agreed)| MinerRow {
        name: name.to_string(),
        answer: match row {
            Row::Measured(m) => format!("{} %", m.accuracy),
            Row::Failed(reason) => reason.clone(),
            _ => "unreadable".to_owned(),
        },
        finding: finding.to_string(),
        agreed: *agreed,
    })
    .collect()
}

fn failed(ended: &[EndedJob]) -> Vec<(String, String)> {
    let without = ended.iter().filter(|job| job.result().is_none());
    without
        .map(|job| (job.genome.to_string(), job.reason()))
        .collect()
}

/// The hypervolume of the first networks, for each number of them. Those that were stopped at a rung add
/// nothing.
fn hypervolumes(results: &Results) -> Result<Vec<f64>> {
    let ended = &results.ended;
    let all: Vec<Measurement> = measured(ended).map(|(_, m)| m).collect();
    let largest = largest_costs(all.iter());
    let mut front: Vec<Measurement> = Vec::new();
    let mut shares = Vec::new();
    let mut share = 0.0;
    for job in ended {
        let is_whole = !results.stopped.contains_key(&job.job);
        if let Some(new) = job.result().filter(|_| is_whole) {
            let covers = |a: &Measurement, b: &Measurement| {
                a.accuracy >= b.accuracy && a.params <= b.params && a.flops <= b.flops
            };
            if !front.iter().any(|old| covers(old, &new)) {
                front.retain(|old| !covers(&new, old));
                front.push(new);
                share = hypervolume_share(&front, largest)?;
            }
        }
        shares.push(share);
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::extent::SearchExtent;
    use crate::artifacts::plot::front_svg;
    use crate::artifacts::table::front_table;
    use crate::test_spec::test_spec;
    use naschain_run::FrontMember;

    /// A run of one network of this accuracy in percent, which one miner trained.
    fn run_of_one(accuracy: f64) -> Results {
        let digest = "0".repeat(64);
        let measurement =
            format!(r#"{{"accuracy":{accuracy},"params":900,"flops":50000,"digest":"{digest}"}}"#);
        let line = format!(
            r#"{{"batch":0,"genome":"1010","rows":[["local-1",{{"measured":{measurement}}}]],"verdict":{{"agreed":[true],"reasons":["trusted"],"consensus":{measurement}}}}}"#
        );
        let job: EndedJob = serde_json::from_str(&line).unwrap();
        let member = FrontMember {
            job: job.job,
            genome: job.genome.clone(),
            measurement: job.result().unwrap(),
        };
        Results {
            dir: "run".into(),
            spec: test_spec(),
            ended: vec![job],
            stopped: std::collections::BTreeMap::new(),
            front: vec![member],
            extent: SearchExtent {
                networks: 1,
                finished: true,
            },
            models: Vec::new(),
        }
    }

    #[test]
    fn networks_no_better_than_guessing_are_shown_where_there_are_no_others() {
        let guessing = run_of_one(9.5);
        let shown = networks(&guessing).unwrap();
        // On the front, but no choice picks it.
        assert!(shown[0].is_front && shown[0].picks.is_empty());
        let svg = front_svg(&guessing, "title").unwrap();
        assert!(svg.contains("none better than guessing") && svg.contains("<circle"));
        assert!(!svg.contains("Pareto front") && !svg.contains("not shown"));
        let learnt = run_of_one(90.0);
        assert_eq!(networks(&learnt).unwrap()[0].picks, "best, knee, smallest");
        let svg = front_svg(&learnt, "title").unwrap();
        assert!(svg.contains("Pareto front, validation") && !svg.contains("none better"));
        assert!(svg.contains("max-width: 100%"));
    }

    #[test]
    fn a_retraining_has_no_validation_accuracy() {
        let mut retraining = run_of_one(90.0);
        retraining.spec.recipe.validation_images = 0;
        let html = report_html(&retraining, "title").unwrap();
        assert!(html.contains(r#""measured_on":"test","guessing_limit":10.0,"#));
        let svg = front_svg(&retraining, "title").unwrap();
        assert!(svg.contains("Pareto front, test") && !svg.contains("validation"));
        let table = front_table(&retraining);
        assert!(!table.contains("validation"), "{table}");
    }

    #[test]
    fn the_library_is_one_script_without_formulas() {
        let library = plotly::Plot::offline_js_sources();
        let (script, formulas) = library.split_once("</script>").unwrap();
        assert!(script.contains("plotly.js v") && script.contains("parcoords"));
        assert!(formulas.contains("MathJax"));
    }
}
