//! A NumPy array as images or as labels.

use naschain_core::Shape;

use super::npy::Header;

const LARGEST_SIDE: usize = 4096;

/// One array of an archive.
pub(super) struct Array {
    pub(super) name: String,
    pub(super) header: Header,
    pub(super) bytes: Vec<u8>,
}

impl Header {
    /// Bytes of one number.
    pub(super) fn width(&self) -> Result<u128, String> {
        let digits = self.descr.trim_start_matches(|c: char| !c.is_ascii_digit());
        let width = digits.parse().ok().filter(|width| *width <= 8);
        width.ok_or_else(|| format!("its type is {}; numbers are needed", self.descr))
    }
}

impl Array {
    /// Images × channels × height × width numbers and the shape of each image.
    pub(super) fn pixels(mut self) -> Result<(Shape, Vec<u8>), String> {
        let (name, descr) = (&self.name, &self.header.descr);
        if descr != "|u1" {
            return Err(format!(
                "{name} has the type {descr}; pixels are uint8 (|u1) from 0 to 255, such as \
                 (x * 255).round().astype(\"uint8\") of numbers from 0 to 1"
            ));
        }
        let (planes, last) = match self.header.shape[..] {
            [_, height, width] => ([1, height, width], false),
            [_, a, b, c] if [1, 3].contains(&c) && ![1, 3].contains(&a) => ([c, a, b], true),
            [_, a, b, c] => ([a, b, c], false),
            _ => {
                return Err(format!(
                    "{name} has {} dimensions; images have 3 or 4: number, height, width, and \
                     channels before or after these two",
                    self.header.shape.len()
                ));
            }
        };
        let [channels, height, width] = planes;
        if self.bytes.is_empty() || planes.iter().any(|&size| size > LARGEST_SIDE) {
            return Err(format!(
                "{name} has the shape {:?}; at least one image, and channels and sides of 1 to \
                 {LARGEST_SIDE} are needed",
                self.header.shape
            ));
        }
        let shape = Shape {
            channels,
            height,
            width,
        };
        if last {
            planes_first(&mut self.bytes, shape);
        }
        Ok((shape, self.bytes))
    }

    /// One label an image.
    pub(super) fn labels(&self) -> Result<Vec<u16>, String> {
        let (name, sizes) = (&self.name, &self.header.shape);
        if !matches!(sizes[..], [_] | [_, 1]) {
            return Err(format!(
                "{name} has the shape {sizes:?}; it must be one label an image"
            ));
        }
        let descr = &self.header.descr;
        let (big, signed) = match descr.as_bytes() {
            [b'>', kind @ (b'u' | b'i'), _] => (true, *kind == b'i'),
            [b'<' | b'|', kind @ (b'u' | b'i'), _] => (false, *kind == b'i'),
            _ => {
                return Err(format!(
                    "{name} has the type {descr}; labels are whole numbers"
                ));
            }
        };
        let width = self.header.width()? as usize;
        if width == 0 {
            return Err(format!(
                "{name} has the type {descr}; labels are whole numbers"
            ));
        }
        let label = |(index, number): (usize, &[u8])| {
            let value = whole_number(number, big, signed);
            u16::try_from(value)
                .map_err(|_| format!("{name} has {value} for image {index}; labels are 0 to 65535"))
        };
        self.bytes
            .chunks_exact(width)
            .enumerate()
            .map(label)
            .collect()
    }
}

/// The value of 1 to 8 bytes.
fn whole_number(bytes: &[u8], big: bool, signed: bool) -> i128 {
    let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let value = match big {
        true => bytes.iter().fold(0, join),
        false => bytes.iter().rev().fold(0, join),
    };
    let bits = 8 * bytes.len() as u32;
    let negative = signed && value >> (bits - 1) & 1 == 1;
    i128::from(value) - if negative { 1 << bits } else { 0 }
}

/// Puts the colour planes of each image one after the other; they come pixel by pixel.
fn planes_first(pixels: &mut [u8], shape: Shape) {
    let plane = shape.height * shape.width;
    let mut before = vec![0; shape.len()];
    for image in pixels.chunks_exact_mut(shape.len()) {
        before.copy_from_slice(image);
        for (index, pixel) in image.iter_mut().enumerate() {
            *pixel = before[index % plane * shape.channels + index / plane];
        }
    }
}
