use super::*;
use crate::artifacts::extent::SearchExtent;
use crate::artifacts::plot::front_svg;
use crate::artifacts::table::front_table;
use crate::test_spec::test_spec;
use naschain_run::{EndedJob, FrontMember};

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

fn shown_details(results: &Results) -> serde_json::Value {
    let record = record::record_of(results, &results.ended);
    details::details(results, &results.ended, &record).unwrap()
}

#[test]
fn networks_no_better_than_guessing_are_shown_where_there_are_no_others() {
    let guessing = run_of_one(9.5);
    let shown = shown_details(&guessing);
    // On the front, but no choice picks it.
    assert!(shown["0"]["on_front"] == true && shown["0"]["picks"] == "");
    let svg = front_svg(&guessing, "title").unwrap();
    assert!(svg.contains("none better than guessing") && svg.contains("<circle"));
    assert!(!svg.contains("Pareto front") && !svg.contains("not shown"));
    let learnt = run_of_one(90.0);
    assert_eq!(shown_details(&learnt)["0"]["picks"], "best, knee, smallest");
    let svg = front_svg(&learnt, "title").unwrap();
    assert!(svg.contains("Pareto front, validation") && !svg.contains("none better"));
    assert!(svg.contains("max-width: 100%"));
}

#[test]
fn a_retraining_has_no_validation_accuracy() {
    let mut retraining = run_of_one(90.0);
    retraining.spec.recipe.validation_images = 0;
    let html = report_html(&retraining, "title").unwrap();
    assert!(html.contains(r#""guessing_limit":10.0,"#) && html.contains(r#""measured_on":"test""#));
    let svg = front_svg(&retraining, "title").unwrap();
    assert!(svg.contains("Pareto front, test") && !svg.contains("validation"));
    let table = front_table(&retraining);
    assert!(!table.contains("validation"), "{table}");
}
