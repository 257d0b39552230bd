//! Writes the output of a tile of a convolution: the sums of `P` pixels of `R` images, at most 15
//! pixels of 8 images. Unrolled by hand for the reason given in `conv3_tile`.

#![allow(unsafe_code)] // tiles are written unchecked, within bounds that the convolutions verified

use super::simd::Vector;

/// Writes all sums to the output, or adds them to it. `out` points to the tile's first pixel;
/// `image_step` is the distance between two images.
///
/// # Safety
/// The tile's `P` pixels must be readable and writable in each of the `R` images.
#[inline(always)]
pub(super) unsafe fn write_images<V: Vector, const R: usize, const P: usize>(
    sums: &[[V; P]; R],
    out: *mut f32,
    image_step: usize,
    add: bool,
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        write_image::<V, R, P, 0>(sums, out, image_step, add);
        write_image::<V, R, P, 1>(sums, out, image_step, add);
        write_image::<V, R, P, 2>(sums, out, image_step, add);
        write_image::<V, R, P, 3>(sums, out, image_step, add);
        write_image::<V, R, P, 4>(sums, out, image_step, add);
        write_image::<V, R, P, 5>(sums, out, image_step, add);
        write_image::<V, R, P, 6>(sums, out, image_step, add);
        write_image::<V, R, P, 7>(sums, out, image_step, add);
    }
}

/// The same for image `I`.
///
/// # Safety
/// As for [`write_images`].
#[inline(always)]
unsafe fn write_image<V: Vector, const R: usize, const P: usize, const I: usize>(
    sums: &[[V; P]; R],
    out: *mut f32,
    image_step: usize,
    add: bool,
) {
    if I >= R {
        return;
    }
    let out = out.wrapping_add(I * image_step);
    let sums = &sums[I];
    // SAFETY: guaranteed by the caller.
    unsafe {
        write_pixel::<V, P, 0>(sums, out, add);
        write_pixel::<V, P, 1>(sums, out, add);
        write_pixel::<V, P, 2>(sums, out, add);
        write_pixel::<V, P, 3>(sums, out, add);
        write_pixel::<V, P, 4>(sums, out, add);
        write_pixel::<V, P, 5>(sums, out, add);
        write_pixel::<V, P, 6>(sums, out, add);
        write_pixel::<V, P, 7>(sums, out, add);
        write_pixel::<V, P, 8>(sums, out, add);
        write_pixel::<V, P, 9>(sums, out, add);
        write_pixel::<V, P, 10>(sums, out, add);
        write_pixel::<V, P, 11>(sums, out, add);
        write_pixel::<V, P, 12>(sums, out, add);
        write_pixel::<V, P, 13>(sums, out, add);
        write_pixel::<V, P, 14>(sums, out, add);
    }
}

/// The same for pixel `C`.
///
/// # Safety
/// As for [`write_images`].
#[inline(always)]
unsafe fn write_pixel<V: Vector, const P: usize, const C: usize>(
    sums: &[V; P],
    out: *mut f32,
    add: bool,
) {
    if C >= P {
        return;
    }
    let out = out.wrapping_add(C * V::LANES);
    // SAFETY: guaranteed by the caller.
    unsafe {
        if add {
            V::read(out).add(sums[C]).write(out)
        } else {
            sums[C].write(out)
        }
    }
}
