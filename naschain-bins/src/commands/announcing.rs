//! What `search` says before it begins.

use std::time::Duration;

use anyhow::Result;
use naschain_train::{Dataset, Options};

use crate::artifacts::extent::work_left;
use crate::artifacts::workload::Workload;
use crate::cli::common_args::CommonArgs;
use crate::cli::program::print;
use crate::commands::calibration::Calibration;
use crate::commands::conclude::{failed_networks, progress};
use crate::commands::progress::Progress;
use crate::coordinator::Coordinator;
use crate::printable::{about, about_from_1_s, counted};

/// Says how long the search will take on this machine, and with other budgets. Returns the progress
/// with the speed that is expected.
pub(super) async fn announce(
    common: &CommonArgs,
    limit: Option<Duration>,
    coordinator: &Coordinator,
    dataset: &Dataset,
    (options, miners): (Options, usize),
) -> Result<Progress> {
    let load = Workload::new(coordinator.spec(), dataset.test.len());
    let expected = announced(common, limit, coordinator, dataset, (options, miners)).await?;
    Ok(Progress::of_search(load, expected))
}

/// The FLOPs per second that the miners are expected to do; `None` if nothing is left to do.
async fn announced(
    common: &CommonArgs,
    limit: Option<Duration>,
    coordinator: &Coordinator,
    dataset: &Dataset,
    (options, miners): (Options, usize),
) -> Result<Option<f64>> {
    let (done, total) = progress(coordinator).await;
    if done >= total {
        return Ok(None);
    }
    if let Some(failed) = coordinator
        .with_state(|state| failed_networks(state.ended_jobs()))
        .await
    {
        print(&(failed + "\n"))?;
    }
    let spec = coordinator.spec().clone();
    let measured = spec.clone();
    let measure = move || Calibration::measure(&measured, options, miners);
    // If this fails, the search runs all the same and only gives no estimate; a network may need more
    // memory than is allowed.
    let Ok(calibration) = tokio::task::spawn_blocking(measure).await? else {
        return Ok(None);
    };
    let test_images = dataset.test.len();
    let left = coordinator.with_state(work_left).await;
    let up_to = ["up to ", ""][usize::from(spec.recipe.rungs.is_empty())];
    let mut text = format!(
        "{left}, {up_to}{} of {} each",
        counted(spec.recipe.epochs, "epoch"),
        counted(spec.recipe.train_images, "image")
    );
    if let Some(time) = about_from_1_s(calibration.time_of(&spec, test_images, done)) {
        text += &format!(": about {time} on this machine");
    }
    if done == 0 {
        let others = common.larger_budgets(&spec, dataset);
        let others = others.filter_map(|(name, spec)| {
            let time = about_from_1_s(calibration.time_of(&spec, test_images, 0))?;
            Some(format!("--budget {name}: about {time}"))
        });
        let others: Vec<String> = others.collect();
        if !others.is_empty() {
            text += &format!(" ({})", others.join("; "));
        }
    }
    if let Some(limit) = limit {
        text += &format!(
            "; ends after about {} at the latest (--time), then tests the models of the front",
            about(limit)
        );
    }
    print(&(text + "\n"))?;
    Ok(Some(calibration.rate()))
}
