//! Decodes the bytes of a PNG, JPEG, WebP, GIF or BMP file.

use std::fmt::Display;
use std::io::Cursor;

use super::foreign::looks_like;
use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, Limits, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Limits of file and image size, to bound memory.
pub(super) const MAX_BYTES: u64 = 1 << 28;
const MAX_PIXELS: usize = 1 << 26;
const MAX_SIDE: usize = 1 << 15;
/// Maximum compression ratio of deflate (<https://zlib.net/zlib_tech.html>).
const MAX_DEFLATE_RATIO: usize = 1032;
/// Bound for JPEG, where a block of 8×8 pixels takes at least one bit, and for WebP, GIF and BMP,
/// whose pictures take more unless nearly all of their pixels are equal.
const MAX_PIXELS_PER_BYTE: usize = 512;
/// Pictures of at most this size may have any compression ratio: WebP stores one of equal pixels in
/// a few bytes, whatever its size.
const FREE_PIXELS: usize = 1 << 16;
/// The second byte of the EOI marker that ends every JPEG (ITU-T T.81, B.1.1.3).
const END_OF_IMAGE: u8 = 0xd9;

/// Decodes a picture; of an animation, the first frame.
pub(super) fn decode(bytes: &[u8]) -> Result<DynamicImage, String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("the file is larger than {MAX_BYTES} bytes"));
    }
    // File extensions are wrong even in well-known data sets, so the first bytes decide.
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        decode_png(bytes)
    } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        decode_jpeg(bytes)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        // The decoder calls a truncated picture corrupt; the container says how long it is.
        let length = bytes[4..].first_chunk().copied().map(u32::from_le_bytes);
        if length.is_some_and(|length| bytes.len() < length as usize) {
            return Err(truncated("WebP"));
        }
        let decoder = WebPDecoder::new(Cursor::new(bytes));
        decode_bounded(bytes, "WebP", decoder)
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        let decoder = GifDecoder::new(Cursor::new(bytes));
        decode_bounded(bytes, "GIF", decoder)
    } else if bytes.starts_with(b"BM") {
        let decoder = BmpDecoder::new(Cursor::new(bytes));
        decode_bounded(bytes, "BMP", decoder)
    } else {
        Err(format!(
            "it is not a PNG, JPEG, WebP, GIF or BMP{}",
            looks_like(bytes)
        ))
    }
}

/// What decoders say of a file whose end is missing, in lower case.
const END_MISSING: [&str; 4] = [
    "not enough bytes",
    "failed to fill whole buffer",
    "unexpected end of file",
    "exhausted data",
];

fn undecodable(format: &str, error: impl Display) -> String {
    let error = error.to_string();
    let lower = error.to_lowercase();
    if END_MISSING.iter().any(|text| lower.contains(text)) {
        return truncated(format);
    }
    format!("the {format} cannot be decoded: {error}")
}

fn truncated(format: &str) -> String {
    format!("the {format} is truncated: the end of the file is missing")
}

/// Decodes a format whose compression ratio has no bound of its own.
fn decode_bounded(
    bytes: &[u8],
    format: &str,
    decoder: Result<impl ImageDecoder, ImageError>,
) -> Result<DynamicImage, String> {
    let undecodable = |error| undecodable(format, error);
    let mut decoder = decoder.map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    let max = (bytes.len() * MAX_PIXELS_PER_BYTE).max(FREE_PIXELS);
    check_size(width as usize, height as usize, bytes.len(), max)?;
    // Frames of a GIF may be larger than the picture, with four bytes per pixel.
    let mut limits = Limits::default();
    limits.max_alloc = Some(4 * max as u64);
    decoder.set_limits(limits).map_err(undecodable)?;
    DynamicImage::from_decoder(decoder).map_err(undecodable)
}

fn decode_png(bytes: &[u8]) -> Result<DynamicImage, String> {
    let undecodable = |error| undecodable("PNG", error);
    let mut limits = Limits::default();
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
    let undecodable = |error| undecodable("JPEG", error);
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
        return Err(truncated("JPEG"));
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
