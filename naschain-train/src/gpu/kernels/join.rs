//! 1×1 convolution of one or several maps, and the gradients with respect to those maps; with one
//! pixel per image it is the linear layer.

use cubecl::prelude::*;

/// Dimensions and offsets of a 1×1 convolution, in the direction of the forward pass.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct Sizes1 {
    pub(crate) images: usize,
    pub(crate) pixels: usize,
    /// Channels of each input map.
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    /// Offset and number of the join's sources.
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// Weights per output channel.
    pub(crate) row: usize,
    /// Stride between maps in their buffer.
    pub(crate) map_step: usize,
    /// Offset of the weights.
    pub(crate) weights_at: usize,
    /// Images of the batch: the number of factors per path.
    pub(crate) factors: usize,
}

/// Entries per source in the table: its map; its path, counted from 1, or 0 for none; and whether
/// it is the first of the map's readers in the backward pass.
pub(crate) const SOURCE: usize = 3;

/// The factor of an image for source number `source`; 1 if it has no path. A source that is `alone`
/// has a path and no table.
#[cube]
pub(crate) fn factor(
    sources: &Array<u32>,
    factors: &Array<f32>,
    source: usize,
    image: usize,
    images: usize,
    #[comptime] alone: bool,
) -> f32 {
    let mut factor = 1.0f32;
    if alone {
        factor = factors[image];
    } else {
        let path = sources[source * 3 + 1] as usize;
        if path > 0 {
            factor = factors[(path - 1) * images + image];
        }
    }
    factor
}

/// Where a source's map starts.
#[cube]
pub(crate) fn map_at(
    sources: &Array<u32>,
    sizes: &Sizes1,
    source: usize,
    #[comptime] alone: bool,
) -> usize {
    let mut at = 0usize;
    if !alone {
        at = sources[(sizes.first + source) * 3] as usize * sizes.map_step;
    }
    at
}

/// The sums of one pixel for `channels` output channels in `images` images. `alone`: `maps` is the
/// map of a single source, without a table. `add`: the sums continue those in `out`.
#[cube(launch_unchecked)]
pub(crate) fn conv1(
    maps: &Array<f32>,
    weights: &Array<f32>,
    sources: &Array<u32>,
    factors: &Array<f32>,
    out: &mut Array<f32>,
    sizes: &Sizes1,
    #[comptime] channels: usize,
    #[comptime] images: usize,
    #[comptime] drops: bool,
    #[comptime] alone: bool,
    #[comptime] add: bool,
) {
    let tiles = sizes.out_channels.div_ceil(channels);
    if ABSOLUTE_POS >= sizes.pixels * tiles * sizes.images.div_ceil(images) {
        terminate!();
    }
    let pixel = ABSOLUTE_POS % sizes.pixels;
    let first_channel = ABSOLUTE_POS / sizes.pixels % tiles * channels;
    let first_image = ABSOLUTE_POS / sizes.pixels / tiles * images;
    let mut sums = Array::<f32>::new(channels * images);
    #[unroll]
    for i in 0..images {
        #[unroll]
        for c in 0..channels {
            sums[i * channels + c] = 0.0f32;
            if add {
                let image = min(first_image + i, sizes.images - 1);
                let channel = min(first_channel + c, sizes.out_channels - 1);
                let plane = (image * sizes.out_channels + channel) * sizes.pixels;
                sums[i * channels + c] = out[plane + pixel];
            }
        }
    }
    for source in 0..sizes.count {
        let map = map_at(sources, sizes, source, alone);
        let mut scales = Array::<f32>::new(images);
        #[unroll]
        for i in 0..images {
            scales[i] = 1.0f32;
            if drops {
                let image = min(first_image + i, sizes.images - 1);
                let source = sizes.first + source;
                scales[i] = factor(sources, factors, source, image, sizes.factors, alone);
            }
        }
        for input in 0..sizes.in_channels {
            let mut here = Array::<f32>::new(channels);
            #[unroll]
            for c in 0..channels {
                let channel = min(first_channel + c, sizes.out_channels - 1);
                let row = channel * sizes.row + source * sizes.in_channels;
                here[c] = weights[sizes.weights_at + row + input];
            }
            #[unroll]
            for i in 0..images {
                let image = min(first_image + i, sizes.images - 1);
                let plane = (image * sizes.in_channels + input) * sizes.pixels;
                let mut value = maps[map + plane + pixel];
                if drops {
                    value *= scales[i];
                }
                #[unroll]
                for c in 0..channels {
                    sums[i * channels + c] = fma(value, here[c], sums[i * channels + c]);
                }
            }
        }
    }
    #[unroll]
    for i in 0..images {
        #[unroll]
        for c in 0..channels {
            let image = first_image + i;
            let channel = first_channel + c;
            if image < sizes.images && channel < sizes.out_channels {
                let plane = (image * sizes.out_channels + channel) * sizes.pixels;
                out[plane + pixel] = sums[i * channels + c];
            }
        }
    }
}

/// The gradients with respect to all input maps: the sums of one pixel for `channels` channels of
/// one map in `images` images. A source that is `alone` has no table; `add` adds to its gradient.
#[cube(launch_unchecked)]
pub(crate) fn conv1_back(
    dz: &Array<f32>,
    weights: &Array<f32>,
    sources: &Array<u32>,
    factors: &Array<f32>,
    maps: &mut Array<f32>,
    sizes: &Sizes1,
    #[comptime] channels: usize,
    #[comptime] images: usize,
    #[comptime] drops: bool,
    #[comptime] alone: bool,
    #[comptime] add: bool,
) {
    let tiles = sizes.in_channels.div_ceil(channels);
    let groups = sizes.images.div_ceil(images);
    if ABSOLUTE_POS >= sizes.pixels * tiles * groups * sizes.count {
        terminate!();
    }
    let pixel = ABSOLUTE_POS % sizes.pixels;
    let first_channel = ABSOLUTE_POS / sizes.pixels % tiles * channels;
    let first_image = ABSOLUTE_POS / sizes.pixels / tiles % groups * images;
    let source = ABSOLUTE_POS / sizes.pixels / tiles / groups;
    let mut sums = Array::<f32>::new(channels * images);
    #[unroll]
    for i in 0..channels * images {
        sums[i] = 0.0f32;
    }
    for output in 0..sizes.out_channels {
        let row = output * sizes.row + source * sizes.in_channels;
        let mut here = Array::<f32>::new(channels);
        #[unroll]
        for c in 0..channels {
            let channel = min(first_channel + c, sizes.in_channels - 1);
            here[c] = weights[sizes.weights_at + row + channel];
        }
        #[unroll]
        for i in 0..images {
            let image = min(first_image + i, sizes.images - 1);
            let value = dz[(image * sizes.out_channels + output) * sizes.pixels + pixel];
            #[unroll]
            for c in 0..channels {
                sums[i * channels + c] = fma(value, here[c], sums[i * channels + c]);
            }
        }
    }
    let entry = sizes.first + source;
    let map = map_at(sources, sizes, source, alone);
    let mut first_reader = 1u32;
    if !alone {
        first_reader = sources[entry * 3 + 2];
    } else if add {
        first_reader = 0u32;
    }
    #[unroll]
    for i in 0..images {
        let image = first_image + i;
        let mut scale = 1.0f32;
        if drops {
            let known = min(image, sizes.images - 1);
            scale = factor(sources, factors, entry, known, sizes.factors, alone);
        }
        #[unroll]
        for c in 0..channels {
            let channel = first_channel + c;
            if image < sizes.images && channel < sizes.in_channels {
                let plane = (image * sizes.in_channels + channel) * sizes.pixels;
                let place = map + plane + pixel;
                let sum = sums[i * channels + c];
                if first_reader == 1 {
                    maps[place] = scale * sum;
                } else {
                    maps[place] = fma(scale, sum, maps[place]);
                }
            }
        }
    }
}

/// Adds the linear layer's bias to each image's logits.
#[cube(launch_unchecked)]
pub(crate) fn add_bias(
    parameters: &Array<f32>,
    out: &mut Array<f32>,
    numbers: usize,
    channels: usize,
    bias_at: usize,
) {
    if ABSOLUTE_POS < numbers {
        let bias = parameters[bias_at + ABSOLUTE_POS % channels];
        out[ABSOLUTE_POS] = out[ABSOLUTE_POS] + bias;
    }
}
