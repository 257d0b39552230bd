//! Weights for the chain, computed from scores.

use serde::{Deserialize, Serialize};

use crate::{Error, l1_normalise};

/// The limits of the chain on a vector of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WeightLimits {
    /// Minimum number of non-zero weights.
    pub min_weights: usize,
    /// Maximum share of one weight in the sum of all, in 65,535ths.
    pub max_share_u16: u16,
    /// Quantile below which weights are left out, in 65,535ths (version 10 only).
    pub exclude_quantile_u16: u16,
}

impl Default for WeightLimits {
    /// At least one weight, no other limit.
    fn default() -> Self {
        WeightLimits {
            min_weights: 1,
            max_share_u16: u16::MAX,
            exclude_quantile_u16: 0,
        }
    }
}

impl WeightLimits {
    fn max_share(&self) -> f64 {
        f64::from(self.max_share_u16) / f64::from(u16::MAX)
    }
}

/// Converts scores to the chain's weights as version 11 of the bittensor package: the index and
/// weight of each non-zero weight, of which the greatest is 65,535.
///
/// # Errors
/// [`Error::Score`] for a score that is negative or not finite, [`Error::AllWeightsZero`], and
/// [`Error::TooFewWeights`] for fewer non-zero weights than the chain's minimum.
///
/// ```
/// use naschain_consensus::{WeightLimits, weights_v11};
/// let weights = weights_v11(&[0.0, 1.0, 2.0, 4.0], &WeightLimits::default())?;
/// assert_eq!(weights, [(1, 16_384), (2, 32_768), (3, 65_535)]);
/// # Ok::<(), naschain_consensus::Error>(())
/// ```
pub fn weights_v11(scores: &[f32], limits: &WeightLimits) -> Result<Vec<(usize, u16)>, Error> {
    let raw = raw_weights(scores)?;
    let kept: Vec<(usize, f64)> = raw
        .into_iter()
        .enumerate()
        .filter(|(_, weight)| *weight > 0.0)
        .collect();
    if kept.is_empty() {
        return Err(Error::AllWeightsZero {
            count: scores.len(),
        });
    }
    let values: Vec<f64> = kept.iter().map(|(_, weight)| *weight).collect();
    let capped = cap_shares(&values, limits.max_share());
    let weights = to_u16(kept.iter().map(|(index, _)| *index).zip(capped));
    if weights.len() < limits.min_weights {
        return Err(Error::TooFewWeights {
            found: weights.len(),
            expected: limits.min_weights,
        });
    }
    Ok(weights)
}

/// Converts scores to weights as version 10 of the bittensor package.
///
/// Differences from [`weights_v11`]: all weights are equal if all scores are zero or there are
/// fewer scores than the chain's minimum of weights; if too few scores are not zero, every score is
/// raised by a small constant; and weights below the chain's quantile are left out.
///
/// # Errors
/// [`Error::Score`] for a score that is negative or not finite; [`Error::AllWeightsZero`] if there
/// are no scores.
pub fn weights_v10(scores: &[f32], limits: &WeightLimits) -> Result<Vec<(usize, u16)>, Error> {
    const MIN_FILL: f64 = 1e-5;
    let raw = raw_weights(scores)?;
    if raw.is_empty() {
        return Err(Error::AllWeightsZero { count: 0 });
    }
    let indices = 0..raw.len();
    let positive = raw.iter().filter(|weight| **weight > 0.0).count();
    if positive == 0 || raw.len() < limits.min_weights {
        return Ok(indices.map(|index| (index, u16::MAX)).collect());
    }
    if positive < limits.min_weights {
        let raised: Vec<f64> = raw.iter().map(|weight| MIN_FILL + weight).collect();
        return Ok(to_u16(indices.zip(cap_shares(&raised, limits.max_share()))));
    }
    let lowest = lowest_kept(&raw, positive, limits);
    let kept = indices.filter(|index| raw[*index] > 0.0 && raw[*index] >= lowest);
    let values: Vec<f64> = kept.clone().map(|index| raw[index]).collect();
    // That version computes in single precision here, which affects rounding.
    let capped = cap_shares(&values, limits.max_share());
    let capped = capped.into_iter().map(|share| f64::from(share as f32));
    Ok(to_u16(kept.zip(capped.collect::<Vec<f64>>())))
}

/// The weight at the quantile below which weights are left out, by linear interpolation; limited so
/// that the minimum number of weights remains.
fn lowest_kept(raw: &[f64], positive: usize, limits: &WeightLimits) -> f64 {
    let mut sorted: Vec<f64> = raw.iter().copied().filter(|weight| *weight > 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    let max_quantile = (positive - limits.min_weights) as f64 / positive as f64;
    let quantile = f64::from(limits.exclude_quantile_u16) / f64::from(u16::MAX);
    let position = quantile.min(max_quantile) * (positive - 1) as f64;
    let (below, part) = (position.floor(), position - position.floor());
    let low = sorted[below as usize];
    let high = sorted[(below as usize + 1).min(positive - 1)];
    low + (high - low) * part
}

/// The L1-normalised scores, which a validator passes to the chain's package.
fn raw_weights(scores: &[f32]) -> Result<Vec<f64>, Error> {
    if let Some((index, found)) = scores
        .iter()
        .enumerate()
        .find(|(_, score)| !score.is_finite() || **score < 0.0)
    {
        return Err(Error::Score {
            index,
            found: found.to_string(),
        });
    }
    Ok(l1_normalise(scores).into_iter().map(f64::from).collect())
}

/// Normalises the weights so that no share exceeds `limit`: weights above a cutoff are reduced to
/// it. All shares are equal if no cutoff achieves that.
fn cap_shares(weights: &[f64], limit: f64) -> Vec<f64> {
    // The same constant as in the bittensor package; it keeps shares below the limit.
    const EPSILON: f64 = 1e-7;
    let total: f64 = weights.iter().sum();
    let count = weights.len() as f64;
    if total == 0.0 || count * limit <= 1.0 {
        return vec![1.0 / count; weights.len()];
    }
    let mut shares: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
    shares.sort_by(f64::total_cmp);
    if shares.last().is_none_or(|greatest| *greatest <= limit) {
        return weights.iter().map(|weight| weight / total).collect();
    }
    // `below` counts the shares that, used as the cutoff, stay below the limit as a share of the
    // new total.
    let mut sum = 0.0;
    let (mut below, mut sum_below) = (0, 0.0);
    for (index, share) in shares.iter().enumerate() {
        sum += share;
        let above = (shares.len() - index - 1) as f64;
        if share / (above * share + sum + EPSILON) < limit {
            below += 1;
            sum_below = sum;
        }
    }
    let cut = (shares.len() - below) as f64;
    let cutoff = (limit * sum_below - EPSILON) / (1.0 - limit * cut) * total;
    let clipped: Vec<f64> = weights.iter().map(|weight| weight.min(cutoff)).collect();
    let total: f64 = clipped.iter().sum();
    clipped.into_iter().map(|weight| weight / total).collect()
}

/// Scales by the maximum, rounds half to even and drops zeros.
fn to_u16(weights: impl Iterator<Item = (usize, f64)> + Clone) -> Vec<(usize, u16)> {
    let greatest = weights
        .clone()
        .map(|(_, weight)| weight)
        .fold(0.0, f64::max);
    weights
        .map(|(index, weight)| {
            let scaled = weight / greatest * f64::from(u16::MAX);
            (index, scaled.round_ties_even() as u16)
        })
        .filter(|(_, weight)| *weight > 0)
        .collect()
}
