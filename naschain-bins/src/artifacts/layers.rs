//! The layers of a network with their shapes and costs, as a text table.

use naschain_core::{Costs, Layer};

use crate::artifacts::grouped::grouped;

/// One line for each layer, and `total`, the costs of the network.
pub(crate) fn layer_table(layers: &[Layer], total: Costs) -> String {
    let width = layers.iter().map(|layer| layer.name.len()).max();
    let width = width.unwrap_or(0).max(5);
    let row = |[name, output, params, flops]: [&str; 4]| {
        format!("{name:<width$}  {output:>10}  {params:>12}  {flops:>14}\n")
    };
    let mut text = row(["layer", "output", "parameters", "FLOPs"]);
    for layer in layers {
        let (params, flops) = (grouped(layer.costs.params), grouped(layer.costs.flops));
        text += &row([&layer.name, &layer.output.to_string(), &params, &flops]);
    }
    let (params, flops) = (grouped(total.params), grouped(total.flops));
    text + &row(["total", "", &params, &flops])
}
