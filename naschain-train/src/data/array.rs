//! Interprets a NumPy array as images or as labels.

use naschain_core::Shape;

use super::npy::Header;

const MAX_SIDE: usize = 4096;

/// One array of an archive.
pub(super) struct Array {
    pub(super) name: String,
    pub(super) header: Header,
    pub(super) bytes: Vec<u8>,
}

/// The dimensions of an array of images.
pub(super) struct ImageArray {
    pub(super) images: usize,
    /// Of each image.
    pub(super) shape: Shape,
    /// Whether channels are the last dimension.
    channels_last: bool,
}

impl Header {
    /// Size of the data in bytes; `None` for a type that is not an integer.
    pub(super) fn bytes(&self) -> Option<u128> {
        let mut sizes = self.shape.iter().map(|&size| size as u128);
        let count = sizes.try_fold(1u128, u128::checked_mul)?;
        count.checked_mul(self.integer_type()?.width as u128)
    }

    fn integer_type(&self) -> Option<IntegerType> {
        let (order, kind, width) = match self.descr.as_bytes() {
            [order @ (b'<' | b'>' | b'|'), kind @ (b'u' | b'i'), width] => (order, kind, width),
            _ => return None,
        };
        let width = usize::from(width.wrapping_sub(b'0'));
        [1, 2, 4, 8].contains(&width).then_some(IntegerType {
            width,
            big: *order == b'>',
            signed: *kind == b'i',
        })
    }

    /// Reads the header as images: images × channels × height × width, or with channels last.
    pub(super) fn images(&self, name: &str) -> Result<ImageArray, String> {
        let (descr, sizes) = (&self.descr, &self.shape);
        if descr != "|u1" {
            return Err(format!(
                "{name} has the type {descr}; pixels must be uint8 (|u1) from 0 to 255; convert values \
                 from 0 to 1 with (x * 255).round().astype(\"uint8\")"
            ));
        }
        let (images, planes, channels_last) = match sizes[..] {
            [images, height, width] => (images, [1, height, width], false),
            [images, a, b, c] if [1, 3].contains(&c) && ![1, 3].contains(&a) => {
                (images, [c, a, b], true)
            }
            [_, a, _, 2 | 4] if !(1..=4).contains(&a) => {
                return Err(format!(
                    "{name} has the shape {sizes:?}; 2 or 4 channels must come before height and width, \
                     as after {name}.transpose(0, 3, 1, 2)"
                ));
            }
            [images, a, b, c] => (images, [a, b, c], false),
            _ => {
                return Err(format!(
                    "{name} has {} dimensions; images must have 3 or 4: number, height, width, and \
                     optionally channels before or after these two",
                    sizes.len()
                ));
            }
        };
        let fits = |size: &usize| (1..=MAX_SIDE).contains(size);
        if images == 0 || !planes.iter().all(fits) {
            return Err(format!(
                "{name} has the shape {sizes:?}; there must be at least one image, and channels and \
                 sides of 1 to {MAX_SIDE}"
            ));
        }
        let [channels, height, width] = planes;
        Ok(ImageArray {
            images,
            shape: Shape {
                channels,
                height,
                width,
            },
            channels_last,
        })
    }

    /// Reads the header as labels and returns their number.
    pub(super) fn labels(&self, name: &str) -> Result<usize, String> {
        let (descr, sizes) = (&self.descr, &self.shape);
        if self.integer_type().is_none() {
            return Err(format!(
                "{name} has the type {descr}; labels must be integers"
            ));
        }
        match sizes[..] {
            [labels] | [labels, 1] => Ok(labels),
            _ => Err(format!(
                "{name} has the shape {sizes:?}; there must be one label per image"
            )),
        }
    }
}

/// An integer type.
struct IntegerType {
    /// Bytes per value.
    width: usize,
    /// Big-endian.
    big: bool,
    signed: bool,
}

impl Array {
    /// The pixels as images × channels × height × width.
    pub(super) fn pixels(mut self, layout: &ImageArray) -> Vec<u8> {
        if layout.channels_last {
            channels_first(&mut self.bytes, layout.shape);
        }
        self.bytes
    }

    /// One label per image.
    pub(super) fn labels(&self) -> Result<Vec<u16>, String> {
        let (name, numbers) = (&self.name, self.header.integer_type());
        let Some(IntegerType { width, big, signed }) = numbers else {
            return self.header.labels(name).map(|_| Vec::new());
        };
        let label = |(index, number): (usize, &[u8])| {
            let value = integer(number, big, signed);
            u16::try_from(value).map_err(|_| {
                format!("{name} has {value} for image {index}; labels must be 0 to 65535")
            })
        };
        let numbers = self.bytes.chunks_exact(width).enumerate();
        numbers.map(label).collect()
    }
}

/// The value of an integer of 1 to 8 bytes.
fn integer(bytes: &[u8], big: bool, signed: bool) -> i128 {
    let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let value = if big {
        bytes.iter().fold(0, join)
    } else {
        bytes.iter().rev().fold(0, join)
    };
    let bits = 8 * bytes.len() as u32;
    let negative = signed && value >> (bits - 1) & 1 == 1;
    i128::from(value) - if negative { 1 << bits } else { 0 }
}

/// Converts each image from height × width × channels to channels × height × width.
fn channels_first(pixels: &mut [u8], shape: Shape) {
    let plane = shape.height * shape.width;
    let mut before = vec![0; shape.len()];
    for image in pixels.chunks_exact_mut(shape.len()) {
        before.copy_from_slice(image);
        for (index, pixel) in image.iter_mut().enumerate() {
            *pixel = before[index % plane * shape.channels + index / plane];
        }
    }
}
