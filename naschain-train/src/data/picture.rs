//! Decodes one PNG or JPEG file and resizes it to a given shape.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::codecs::png::PngDecoder;
use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, ImageDecoder, RgbImage};
use naschain_core::Shape;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::Error;

/// Limits of file and image size, to bound memory.
const MAX_BYTES: u64 = 1 << 28;
const MAX_PIXELS: usize = 1 << 26;
const MAX_SIDE: usize = 1 << 15;
/// Maximum compression ratio of deflate (<https://zlib.net/zlib_tech.html>).
const MAX_DEFLATE_RATIO: usize = 1032;
/// Bound for JPEG, where a block of 8×8 pixels takes at least one bit.
const MAX_PIXELS_PER_BYTE: usize = 512;
/// The second byte of the EOI marker that ends every JPEG (ITU-T T.81, B.1.1.3).
const END_OF_IMAGE: u8 = 0xd9;

/// Reads an image into `pixels`, plane by plane.
///
/// The largest centred part with the aspect ratio of `shape` is cropped and resized (linear
/// interpolation with antialiasing). An image that already has the shape is not resampled. Grey
/// images are converted to colour and colour images to grey as the number of channels requires;
/// transparency and orientation tags are ignored.
pub(super) fn read(path: &Path, shape: Shape, pixels: &mut [u8]) -> Result<(), Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    let mut file = file.take(MAX_BYTES + 1);
    file.read_to_end(&mut bytes).map_err(io)?;
    let image = decode(&bytes).map_err(|problem| Error::Malformed {
        path: path.to_owned(),
        problem,
    })?;
    fit(image, shape, pixels);
    Ok(())
}

fn decode(bytes: &[u8]) -> Result<DynamicImage, String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("the file is larger than {MAX_BYTES} bytes"));
    }
    // File extensions are wrong even in well-known data sets, so the first bytes decide.
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        decode_png(bytes)
    } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        decode_jpeg(bytes)
    } else {
        let first = &bytes[..bytes.len().min(8)];
        Err(format!(
            "it is neither PNG nor JPEG: it starts with {first:02x?}"
        ))
    }
}

fn decode_png(bytes: &[u8]) -> Result<DynamicImage, String> {
    let undecodable = |error| format!("the PNG cannot be decoded: {error}");
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE as u32);
    limits.max_image_height = Some(MAX_SIDE as u32);
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    let max = bytes.len() * MAX_DEFLATE_RATIO * 8 / bits_per_pixel(bytes);
    check_size(width as usize, height as usize, bytes.len(), max)?;
    DynamicImage::from_decoder(decoder).map_err(undecodable)
}

/// Bits per stored pixel, from the header, which is always the first chunk (PNG specification,
/// 11.2.1). The decoder reports the palette's colours instead of the stored indices.
fn bits_per_pixel(png: &[u8]) -> usize {
    let (depth, colours) = match png.get(24..26) {
        Some(&[depth, colours]) => (depth, colours),
        _ => return 1,
    };
    let channels = match colours {
        2 => 3,
        4 => 2,
        6 => 4,
        _ => 1,
    };
    usize::from(depth.max(1)) * channels
}

/// Uses the decoder of the image crate directly, in strict mode: through that crate a truncated
/// JPEG decodes without an error. Without SIMD, so that no bit depends on the processor.
fn decode_jpeg(bytes: &[u8]) -> Result<DynamicImage, String> {
    let undecodable = |error| format!("the JPEG cannot be decoded: {error}");
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_use_unsafe(false)
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(undecodable)?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let max = bytes.len() * MAX_PIXELS_PER_BYTE;
    check_size(width, height, bytes.len(), max)?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let colours = if grey {
        ColorSpace::Luma
    } else {
        ColorSpace::RGB
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    let pixels = decoder.decode().map_err(undecodable)?;
    // The decoder does not notice when the last few bytes are missing.
    if !has_end(bytes) {
        return Err("the JPEG cannot be decoded: it is truncated".to_owned());
    }
    let (width, height) = (width as u32, height as u32);
    let image = if grey {
        GrayImage::from_raw(width, height, pixels).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
    };
    image.ok_or_else(|| "the JPEG has fewer pixels than its header says".to_owned())
}

/// Whether a JPEG has its EOI marker. Segments are skipped by their lengths, because one may
/// contain a thumbnail with its own marker.
fn has_end(jpeg: &[u8]) -> bool {
    // Excludes stuffed bytes of compressed data, fill bytes and markers without a length (ITU-T
    // T.81, B.1.1).
    let is_segment =
        |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 1 | 0xd0..=0xd8 | 0xff);
    let mut rest = jpeg;
    while let Some(place) = rest.windows(2).position(is_segment) {
        if rest[place + 1] == END_OF_IMAGE {
            return true;
        }
        let Some(&[high, low]) = rest.get(place + 2..place + 4) else {
            return false;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        rest = rest.get(place + 2 + length..).unwrap_or(&[]);
    }
    false
}

/// Checks an image's size before memory is allocated for its pixels. A file of `bytes` bytes can
/// hold `max` pixels.
fn check_size(width: usize, height: usize, bytes: usize, max: usize) -> Result<(), String> {
    let pixels = width * height;
    if !(1..=MAX_PIXELS).contains(&pixels) {
        return Err(format!(
            "the image is {width}x{height}; it must have 1 to {MAX_PIXELS} pixels"
        ));
    }
    if pixels <= max {
        Ok(())
    } else {
        Err(format!(
            "the image is {width}x{height}; a file of {bytes} bytes is too small for that many pixels"
        ))
    }
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
        for name in ["picture.png", "picture.jpg", "progressive.jpg", "grey.jpg"] {
            let whole = std::fs::read(fixture(name)).unwrap();
            assert!(decode(&whole).is_ok());
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
        let error = decode(b"GIF89a").unwrap_err();
        assert!(error.contains("neither PNG nor JPEG"), "{error}");
    }
}
