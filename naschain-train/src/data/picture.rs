//! Reads one picture and resizes it to a given shape.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use image::DynamicImage;
use image::imageops::FilterType;
use naschain_core::Shape;

use super::decode::{MAX_BYTES, decode};
use crate::Error;

/// Reads an image into `pixels`, plane by plane.
///
/// The largest centred part with the aspect ratio of `shape` is cropped and resized (linear
/// interpolation with antialiasing). An image that already has the shape is not resampled. Grey
/// images are converted to colour and colour images to grey as the number of channels requires;
/// transparency and orientation tags are ignored. Returns whether the image was enlarged.
pub(super) fn read(path: &Path, shape: Shape, pixels: &mut [u8]) -> Result<bool, Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    let mut file = file.take(MAX_BYTES + 1);
    file.read_to_end(&mut bytes).map_err(io)?;
    fit_bytes(&bytes, shape, pixels).map_err(|problem| Error::Malformed {
        path: path.to_owned(),
        problem,
    })
}

/// As [`read`], of the bytes of a file; an error says what is wrong with them.
pub(super) fn fit_bytes(bytes: &[u8], shape: Shape, pixels: &mut [u8]) -> Result<bool, String> {
    let image = decode(bytes)?;
    let enlarged =
        (image.width() as usize) < shape.width || (image.height() as usize) < shape.height;
    fit(image, shape, pixels);
    Ok(enlarged)
}

fn fit(image: DynamicImage, shape: Shape, pixels: &mut [u8]) {
    let (width, height) = (image.width() as usize, image.height() as usize);
    // The crop's sides, rounded to the nearest pixel.
    let scaled = |side: usize, over: usize, under: usize| (side * over + under / 2) / under;
    let part_width = scaled(height, shape.width, shape.height).clamp(1, width);
    let part_height = scaled(width, shape.height, shape.width).clamp(1, height);
    let (left, top) = ((width - part_width) / 2, (height - part_height) / 2);
    let whole = (part_width, part_height) == (width, height);
    let image = if whole {
        image
    } else {
        image.crop_imm(
            left as u32,
            top as u32,
            part_width as u32,
            part_height as u32,
        )
    };
    let (width, height) = (shape.width as u32, shape.height as u32);
    let image = if (image.width(), image.height()) == (width, height) {
        image
    } else {
        image.resize_exact(width, height, FilterType::Triangle)
    };
    if shape.channels == 1 {
        pixels.copy_from_slice(image.into_luma8().as_raw());
        return;
    }
    let plane = shape.height * shape.width;
    for (index, pixel) in image.into_rgb8().pixels().enumerate() {
        for (channel, &value) in pixel.0.iter().enumerate() {
            pixels[channel * plane + index] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> std::path::PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        root.join("tests/fixtures/data").join(name)
    }

    fn pixels(name: &str, shape: &str) -> Vec<u8> {
        let shape: Shape = shape.parse().unwrap();
        let mut pixels = vec![0; shape.len()];
        read(&fixture(name), shape, &mut pixels).unwrap();
        pixels
    }

    fn max_distance(a: &[u8], b: &[u8]) -> u8 {
        assert_eq!(a.len(), b.len());
        let distances = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
        distances.max().unwrap()
    }

    fn mean_distance(a: &[u8], b: &[u8]) -> f64 {
        let distances = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)));
        f64::from(distances.sum::<u32>()) / a.len() as f64
    }

    #[test]
    fn cropping_and_resizing_match_pillow() {
        let pillow = std::fs::read(fixture("picture-3x16x16.bin")).unwrap();
        let png = pixels("picture.png", "3x16x16");
        assert!(
            max_distance(&png, &pillow) <= 1,
            "{}",
            max_distance(&png, &pillow)
        );
        // JPEG at quality 95 with chroma subsampling is lossy.
        for jpeg in ["picture.jpg", "progressive.jpg"] {
            let mean = mean_distance(&pixels(jpeg, "3x16x16"), &pillow);
            assert!(mean < 4.0, "{mean}");
        }
    }

    #[test]
    fn webp_gif_and_bmp_show_the_same_picture() {
        let png = pixels("picture.png", "3x30x40");
        for lossless in ["picture.bmp", "lossless.webp"] {
            assert_eq!(pixels(lossless, "3x30x40"), png, "{lossless}");
        }
        let mean = mean_distance(&pixels("picture.webp", "3x30x40"), &png);
        assert!(mean < 4.0, "{mean}");
        // 256 colours.
        let mean = mean_distance(&pixels("picture.gif", "3x30x40"), &png);
        assert!(mean < 8.0, "{mean}");
    }

    #[test]
    fn grey_and_colour_are_converted() {
        let grey = pixels("grey.png", "1x30x40");
        assert_eq!(
            pixels("grey.png", "3x30x40"),
            [&grey[..], &grey, &grey].concat()
        );
        // With the weights of ITU-R BT.709.
        let colours = pixels("picture.png", "3x30x40");
        let weighted = (0..1200).map(|pixel| {
            let plane = |index: usize| f64::from(colours[index * 1200 + pixel]);
            (0.2126 * plane(0) + 0.7152 * plane(1) + 0.0722 * plane(2)) as u8
        });
        let of_colour = pixels("picture.png", "1x30x40");
        assert!(max_distance(&of_colour, &weighted.collect::<Vec<u8>>()) <= 1);
        let mean = mean_distance(&pixels("grey.jpg", "1x30x40"), &grey);
        assert!(mean < 4.0, "{mean}");
    }

    #[test]
    fn truncated_files_and_other_formats_are_rejected() {
        for name in [
            "picture.png",
            "picture.jpg",
            "progressive.jpg",
            "grey.jpg",
            "picture.bmp",
            "picture.webp",
            "lossless.webp",
        ] {
            let whole = std::fs::read(fixture(name)).unwrap();
            assert!(decode(&whole).is_ok());
            let error = decode(&whole[..whole.len() / 2]).unwrap_err();
            assert!(
                error.ends_with("the end of the file is missing"),
                "{name}: {error}"
            );
            for length in 0..whole.len() - 16 {
                assert!(decode(&whole[..length]).is_err(), "{name} {length}");
            }
        }
        // A thumbnail in the EXIF segment has its own EOI marker.
        for name in ["picture.jpg", "progressive.jpg", "grey.jpg"] {
            let plain = std::fs::read(fixture(name)).unwrap();
            let thumbnail = b"\xff\xe1\x00\x0eExif\0\0\xff\xd8\xff\xd9ab";
            let whole = [&plain[..2], thumbnail, &plain[2..]].concat();
            assert!(decode(&whole).is_ok());
            for length in 0..whole.len() - 1 {
                assert!(decode(&whole[..length]).is_err(), "{name} {length}");
            }
        }
        let error = decode(b"II*\0").unwrap_err();
        assert!(
            error.contains("it is not a PNG, JPEG, WebP, GIF or BMP: it looks like a TIFF"),
            "{error}"
        );
    }
}
