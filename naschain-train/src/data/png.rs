//! Images as PNG files.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use naschain_core::Shape;

use crate::Error;

/// An image as a PNG file: `pixels` has channels × height × width values, plane by plane, of which
/// `white` is the brightest.
///
/// # Errors
/// [`Error::Picture`] for a shape with neither 1 nor 3 channels, and for pixels of another shape.
///
/// ```
/// use naschain_train::{Dataset, png_of};
/// let digits = Dataset::digits();
/// let first = digits.train.pixels(&[0])?;
/// let png = png_of(&first, digits.shape, digits.white())?;
/// assert!(png.starts_with(b"\x89PNG"));
/// # Ok::<(), naschain_train::Error>(())
/// ```
pub fn png_of(pixels: &[u8], shape: Shape, white: u8) -> Result<Vec<u8>, Error> {
    let wrong = || Error::Picture {
        problem: format!(
            "{} values are no grey or colour image of {shape}",
            pixels.len()
        ),
    };
    if pixels.len() != shape.len() {
        return Err(wrong());
    }
    let scaled = |value: &u8| {
        let scaled = u32::from(*value) * 255 / u32::from(white.max(1));
        u8::try_from(scaled).unwrap_or(u8::MAX)
    };
    let area = shape.width * shape.height;
    let bytes: Vec<u8> = match shape.channels {
        1 => pixels.iter().map(scaled).collect(),
        3 => {
            let value = |at: usize| scaled(&pixels[(at % 3) * area + at / 3]);
            (0..3 * area).map(value).collect()
        }
        _ => return Err(wrong()),
    };
    let side = |side: usize| u32::try_from(side).map_err(|_| wrong());
    let (width, height) = (side(shape.width)?, side(shape.height)?);
    let image = if shape.channels == 1 {
        GrayImage::from_raw(width, height, bytes).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, bytes).map(DynamicImage::from)
    };
    let mut file = Cursor::new(Vec::new());
    let image = image.ok_or_else(wrong)?;
    image
        .write_to(&mut file, ImageFormat::Png)
        .map_err(|_| wrong())?;
    Ok(file.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::picture_from_bytes;

    #[test]
    fn a_png_has_the_pixels_of_the_image() {
        for shape in ["3x4x5", "1x4x5"] {
            let shape: Shape = shape.parse().unwrap();
            let pixels: Vec<u8> = (0..shape.len()).map(|at| (at * 4) as u8).collect();
            let png = png_of(&pixels, shape, 255).unwrap();
            assert_eq!(picture_from_bytes(&png, shape).unwrap(), pixels);
        }
        let shape: Shape = "1x1x2".parse().unwrap();
        let png = png_of(&[0, 16], shape, 16).unwrap();
        assert_eq!(picture_from_bytes(&png, shape).unwrap(), [0, 255]);
        let error = png_of(&[0; 3], shape, 255).unwrap_err().to_string();
        assert!(
            error.contains("3 values") && error.contains("1x1x2"),
            "{error}"
        );
    }
}
