//! The shapes of feature maps and convolutions.

use crate::Isa;
use crate::kernels::conv1::Sizes1;
use crate::kernels::conv3::Sizes3;
use crate::plan::MapDims;

/// The shape of a feature map, `[image][block of channels][row][column][lane]`, and the instruction
/// set that processes it. Unused lanes of the last block are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapShape {
    /// Images of the mini-batch.
    pub images: usize,
    /// Channels, without padding.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// The CPU instruction set. It decides the number of lanes, and no bit of a result.
    pub isa: Isa,
}

impl MapShape {
    pub(crate) fn dims(self) -> MapDims {
        MapDims {
            channels: self.channels,
            lanes: self.isa.lanes(self.channels),
            height: self.height,
            width: self.width,
        }
    }

    /// The dimensions of the tensor on a CPU: images, blocks, rows, columns, lanes.
    pub fn tensor(self) -> [usize; 5] {
        let dims = self.dims();
        let blocks = dims.padded() / dims.lanes;
        [self.images, blocks, self.height, self.width, dims.lanes]
    }

    /// The same with another number of channels.
    pub fn with_channels(self, channels: usize) -> MapShape {
        MapShape { channels, ..self }
    }

    /// Half of the rows and columns, rounded down.
    pub fn halved(self) -> MapShape {
        MapShape {
            height: self.height / 2,
            width: self.width / 2,
            ..self
        }
    }

    /// One pixel per channel.
    pub fn averaged(self) -> MapShape {
        MapShape {
            height: 1,
            width: 1,
            ..self
        }
    }
}

/// A 3×3 convolution: of a map with as many channels, padded by one pixel; or of
/// `[images, planes, height + 2, width + 2]` pixels, without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv3Shape {
    /// The result.
    pub to: MapShape,
    /// Planes of the pixels; `None` reads a map.
    pub planes: Option<usize>,
}

impl Conv3Shape {
    pub(crate) fn inputs(self) -> usize {
        self.planes.unwrap_or(self.to.channels)
    }

    pub(crate) fn sizes(self, images: usize) -> Sizes3 {
        let dims = self.to.dims();
        match self.planes {
            None => dims.conv3(images),
            Some(planes) => dims.first_conv3(images, planes),
        }
    }
}

/// A 1×1 convolution of one map, or of several maps of equal shape as if they were concatenated
/// along channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv1Shape {
    /// The result.
    pub to: MapShape,
    /// Channels of each map that is read.
    pub inputs: usize,
    /// Number of maps that are read.
    pub maps: usize,
}

impl Conv1Shape {
    /// The maps that are read.
    pub fn from(self) -> MapShape {
        self.to.with_channels(self.inputs)
    }

    pub(crate) fn sizes(self, images: usize) -> Sizes1 {
        let dims = self.to.dims();
        dims.conv1(images, self.maps, self.from().dims())
    }

    /// The sizes of the convolution whose result is the gradient of one map.
    pub(crate) fn back(self, images: usize) -> Sizes1 {
        self.from().dims().conv1(images, 1, self.to.dims())
    }
}
