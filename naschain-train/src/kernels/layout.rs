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
    let rows = weights.as_chunks::<3>().0;
    for (place, row) in places3(inputs, outputs, lanes).zip(rows) {
        for (column, &weight) in row.iter().enumerate() {
            packed[place + column * lanes] = weight;
        }
    }
    packed
}

/// The inverse of [`pack3`].
pub(crate) fn unpack3(packed: &[f32], inputs: usize, outputs: usize, lanes: usize) -> Vec<f32> {
    let mut weights = Vec::with_capacity(outputs * 9 * inputs);
    for place in places3(inputs, outputs, lanes) {
        weights.extend([0, 1, 2].map(|column| packed[place + column * lanes]));
    }
    weights
}

/// The place of the first weight of each kernel row, in the order `[out][in][row]`.
fn places3(inputs: usize, outputs: usize, lanes: usize) -> impl Iterator<Item = usize> {
    (0..outputs).flat_map(move |output| {
        let block = output / lanes * 9 * inputs;
        let lane = output % lanes;
        (0..inputs).flat_map(move |input| {
            (0..3).map(move |row| (block + (row * inputs + input) * 3) * lanes + lane)
        })
    })
}

/// From `[out, in]` to `[block][in][lane]`; also for `[out]`, where `inputs` is 1.
pub(crate) fn pack1(weights: &[f32], inputs: usize, lanes: usize) -> Vec<f32> {
    let outputs = weights.len() / inputs;
    let mut packed = vec![0.0; outputs.next_multiple_of(lanes) * inputs];
    for (place, &weight) in places1(inputs, outputs, lanes).zip(weights) {
        packed[place] = weight;
    }
    packed
}

/// The inverse of [`pack1`].
pub(crate) fn unpack1(packed: &[f32], inputs: usize, outputs: usize, lanes: usize) -> Vec<f32> {
    let places = places1(inputs, outputs, lanes);
    places.map(|place| packed[place]).collect()
}

fn places1(inputs: usize, outputs: usize, lanes: usize) -> impl Iterator<Item = usize> {
    (0..outputs).flat_map(move |output| {
        let first = output / lanes * inputs * lanes + output % lanes;
        (0..inputs).map(move |input| first + input * lanes)
    })
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
