//! The memory layout of maps and weights in blocks of channels, and conversions.
//!
//! A map is `[image][block of channels][pixel][lane]`; unused lanes of the last block are always 0.
//! The lanes of weights are output channels.
//!
//! A block has 8 or 16 lanes, so the neighbours of a pixel are at fixed distances for any number of
//! channels, and no kernel needs a mask. Lanes are output channels, so the width of vectors is part
//! of no sum. With one lane this is the layout of the GPU, and both share the plan and the packing.

/// From `[out, in, 3, 3]` to `[block][kernel row][in][kernel column][lane]`.
pub(crate) fn pack3(weights: &[f32], inputs: usize, lanes: usize) -> Vec<f32> {
    let outputs = weights.len() / (9 * inputs);
    let mut packed = vec![0.0; outputs.next_multiple_of(lanes) * 9 * inputs];
    for (output, kernels) in weights.chunks_exact(9 * inputs).enumerate() {
        let block = &mut packed[output / lanes * 9 * inputs * lanes..];
        for (input, kernel) in kernels.as_chunks::<9>().0.iter().enumerate() {
            for (at, &weight) in kernel.iter().enumerate() {
                block[place3(at, input, inputs) * lanes + output % lanes] = weight;
            }
        }
    }
    packed
}

/// The inverse of [`pack3`].
pub(crate) fn unpack3(packed: &[f32], inputs: usize, outputs: usize, lanes: usize) -> Vec<f32> {
    let mut weights = vec![0.0; outputs * 9 * inputs];
    for (output, kernels) in weights.chunks_exact_mut(9 * inputs).enumerate() {
        let block = &packed[output / lanes * 9 * inputs * lanes..];
        for (input, kernel) in kernels.as_chunks_mut::<9>().0.iter_mut().enumerate() {
            for (at, weight) in kernel.iter_mut().enumerate() {
                *weight = block[place3(at, input, inputs) * lanes + output % lanes];
            }
        }
    }
    weights
}

/// The place of element `at` of a 3×3 kernel in a block, `[kernel row][in][kernel column]`.
fn place3(at: usize, input: usize, inputs: usize) -> usize {
    (at / 3 * inputs + input) * 3 + at % 3
}

/// From `[out, in]` to `[block][in][lane]`; also for `[out]`, where `inputs` is 1.
pub(crate) fn pack1(weights: &[f32], inputs: usize, lanes: usize) -> Vec<f32> {
    let outputs = weights.len() / inputs;
    let mut packed = vec![0.0; outputs.next_multiple_of(lanes) * inputs];
    for (output, row) in weights.chunks_exact(inputs).enumerate() {
        let block = &mut packed[output / lanes * inputs * lanes..];
        for (to, &weight) in block.chunks_exact_mut(lanes).zip(row) {
            to[output % lanes] = weight;
        }
    }
    packed
}

/// The inverse of [`pack1`].
pub(crate) fn unpack1(packed: &[f32], inputs: usize, outputs: usize, lanes: usize) -> Vec<f32> {
    let mut weights = vec![0.0; outputs * inputs];
    for (output, row) in weights.chunks_exact_mut(inputs).enumerate() {
        let block = &packed[output / lanes * inputs * lanes..];
        for (weight, from) in row.iter_mut().zip(block.chunks_exact(lanes)) {
            *weight = from[output % lanes];
        }
    }
    weights
}

/// From `[out, in, taps]` to `[block][tap][in][lane]`.
pub(crate) fn pack_taps(weights: &[f32], inputs: usize, taps: usize, lanes: usize) -> Vec<f32> {
    let by_tap = weights
        .chunks_exact(inputs * taps)
        .flat_map(|row| (0..taps).flat_map(move |tap| row[tap..].iter().step_by(taps).copied()));
    pack1(&by_tap.collect::<Vec<f32>>(), inputs * taps, lanes)
}

/// The inverse of [`pack_taps`].
pub(crate) fn unpack_taps(
    packed: &[f32],
    inputs: usize,
    taps: usize,
    outputs: usize,
    lanes: usize,
) -> Vec<f32> {
    let rows = unpack1(packed, inputs * taps, outputs, lanes);
    let by_input = rows.chunks_exact(inputs * taps).flat_map(|row| {
        (0..inputs).flat_map(move |input| row[input..].iter().step_by(inputs).copied())
    });
    by_input.collect()
}

/// The packed weights with which a 3×3 convolution (padding 1) of the output's gradient gives the
/// input's gradient: inputs and outputs exchanged, the kernel rotated by 180°. Channels and lanes
/// are equal on both sides.
pub(crate) fn flipped(packed: &[f32], channels: usize, lanes: usize, to: &mut [f32]) {
    let blocks = channels.div_ceil(lanes);
    for block in 0..blocks {
        for row in 0..3 {
            for input in 0..channels {
                for column in 0..3 {
                    let from = ((block * 3 + row) * channels + input) * 3 + column;
                    let from = &packed[from * lanes..][..lanes.min(channels - block * lanes)];
                    let to_block = input / lanes * 3 + (2 - row);
                    for (lane, &weight) in from.iter().enumerate() {
                        let output = block * lanes + lane;
                        let place = (to_block * channels + output) * 3 + (2 - column);
                        to[place * lanes + input % lanes] = weight;
                    }
                }
            }
        }
    }
}

/// [`flipped`] of weights that are not packed, `[out, in, 3, 3]`.
#[cfg(feature = "burn")]
pub(crate) fn flip3(weights: &[f32], channels: usize, lanes: usize) -> Vec<f32> {
    let mut to = vec![0.0; channels.next_multiple_of(lanes) * 9 * channels];
    for (output, kernels) in weights.chunks_exact(9 * channels).enumerate() {
        for (input, kernel) in kernels.as_chunks::<9>().0.iter().enumerate() {
            let block = &mut to[input / lanes * 9 * channels * lanes..];
            for (at, &weight) in kernel.iter().enumerate() {
                block[place3(8 - at, output, channels) * lanes + input % lanes] = weight;
            }
        }
    }
    to
}

/// The layout of the transposed weights of a 1×1 convolution or linear layer, for the gradient with
/// respect to its inputs.
#[derive(Clone, Copy)]
pub(crate) struct Transposed {
    /// Channels of one map.
    pub(crate) inputs: usize,
    pub(crate) in_lanes: usize,
    pub(crate) outputs: usize,
    pub(crate) out_lanes: usize,
    /// Number of maps that are read.
    pub(crate) maps: usize,
}

impl Transposed {
    /// Elements of the transposed weights of one map.
    pub(crate) fn len(self) -> usize {
        self.inputs.next_multiple_of(self.in_lanes) * self.outputs
    }

    /// Writes the transposed weights of map number `map` to `to`: `[block of
    /// inputs][output][lane]`.
    pub(crate) fn fill(self, packed: &[f32], map: usize, to: &mut [f32]) {
        let all = self.maps * self.inputs;
        for output in 0..self.outputs {
            let (block, lane) = (output / self.out_lanes, output % self.out_lanes);
            for input in 0..self.inputs {
                let from = (block * all + map * self.inputs + input) * self.out_lanes + lane;
                let place = input / self.in_lanes * self.outputs + output;
                to[place * self.in_lanes + input % self.in_lanes] = packed[from];
            }
        }
    }

    /// The same from weights that are not packed, `[output, maps × inputs]`, into a new vector.
    #[cfg(feature = "burn")]
    pub(crate) fn of_rows(self, weights: &[f32], map: usize) -> Vec<f32> {
        let mut to = vec![0.0; self.len()];
        let rows = weights.chunks_exact(self.maps * self.inputs);
        for (output, row) in rows.enumerate() {
            let row = &row[map * self.inputs..][..self.inputs];
            for (block, from) in row.chunks(self.in_lanes).enumerate() {
                let place = (block * self.outputs + output) * self.in_lanes;
                to[place..][..from.len()].copy_from_slice(from);
            }
        }
        to
    }
}

/// Fills `blocks`, `[image][block][pixel][lane]`, from `planes`, `[image][channel][pixel]`.
pub(crate) fn fill_blocks(
    planes: &[f32],
    channels: usize,
    pixels: usize,
    lanes: usize,
    blocks: &mut [f32],
) {
    let image = channels.next_multiple_of(lanes) * pixels;
    blocks.fill(0.0);
    for (index, &value) in planes.iter().enumerate() {
        let (pixel, channel) = (index % pixels, index / pixels % channels);
        let block = index / pixels / channels * image + channel / lanes * pixels * lanes;
        blocks[block + pixel * lanes + channel % lanes] = value;
    }
}

/// The same into a new vector.
#[cfg(test)]
pub(crate) fn into_blocks(
    planes: &[f32],
    channels: usize,
    pixels: usize,
    lanes: usize,
) -> Vec<f32> {
    let images = planes.len() / (channels * pixels);
    let mut blocks = vec![0.0; images * channels.next_multiple_of(lanes) * pixels];
    fill_blocks(planes, channels, pixels, lanes, &mut blocks);
    blocks
}

/// The inverse of [`fill_blocks`].
#[cfg(test)]
pub(crate) fn from_blocks(
    blocks: &[f32],
    channels: usize,
    pixels: usize,
    lanes: usize,
) -> Vec<f32> {
    let image = channels.next_multiple_of(lanes) * pixels;
    let images = blocks.len() / image;
    let places = (0..images * channels * pixels).map(|index| {
        let (pixel, channel) = (index % pixels, index / pixels % channels);
        let block = index / pixels / channels * image + channel / lanes * pixels * lanes;
        block + pixel * lanes + channel % lanes
    });
    places.map(|place| blocks[place]).collect()
}
