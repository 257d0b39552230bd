//! Vectors of f32: the only module with target-specific instructions and CPU feature detection. The
//! other unsafe code of the kernels, in the tiles of convolutions, reads and writes within bounds
//! that were checked before.
//!
//! All arithmetic of the kernels is written once, generic over [`Vector`]. Kernels are entered only
//! through [`Isa::run`], which uses a vector type only on a processor with its instructions; the
//! safety comments below rely on this. Lanes are never combined with each other, so the vector
//! width affects no result.

#![allow(unsafe_code)] // vector instructions and target features need it

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::fmt;
use std::str::FromStr;

use crate::Error;

/// A vector of f32.
pub(crate) trait Vector: Copy {
    const LANES: usize;
    /// Number of vector registers of the processor.
    const REGISTERS: usize;

    /// The same value in every lane.
    fn splat(value: f32) -> Self;
    /// Loads the first `LANES` values of `from`; panics if it is shorter.
    fn load(from: &[f32]) -> Self;
    /// Writes to the first `LANES` values of `to`; panics if it is shorter.
    fn store(self, to: &mut [f32]);
    /// # Safety
    /// `LANES` values must be readable at `from`.
    unsafe fn read(from: *const f32) -> Self;
    /// # Safety
    /// `LANES` values must be writable at `to`.
    unsafe fn write(self, to: *mut f32);
    /// `self · b + c`, rounded once.
    fn fma(self, b: Self, c: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    /// `-self`: flips the sign bit.
    fn neg(self) -> Self;
    /// Selects per lane: `self` where `left > right`, otherwise `other`.
    fn where_greater(self, left: Self, right: Self, other: Self) -> Self;
    /// Runs a kernel in a separate function compiled for this vector type. Implementations are
    /// never inlined: inlining attributes do not work together with target features, and one
    /// function with many tiles gets bad machine code.
    fn enter<K: Kernel>(kernel: K);
}

/// A computation that is compiled once for each vector type.
pub(crate) trait Kernel {
    fn run<V: Vector>(self);
}

/// The CPU instruction set that the kernels use. It affects the speed, not the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512F, and AVX2 for maps whose channels do not fill its vectors.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// `f32::mul_add`, which is a slow function call if the compiler may not assume FMA.
    Portable,
}

impl Isa {
    /// All instruction sets, the fastest first.
    pub const ALL: [Isa; 3] = [Isa::Avx512, Isa::Avx2, Isa::Portable];

    /// The fastest instruction set that this processor has.
    pub fn best() -> Isa {
        Isa::ALL
            .into_iter()
            .find(|isa| isa.is_available())
            .unwrap_or(Isa::Portable)
    }

    /// Whether this processor has the instructions.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Isa::Avx2.is_available() && is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx512 | Isa::Avx2 => false,
            Isa::Portable => true,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Isa::Avx512 => "avx512",
            Isa::Avx2 => "avx2",
            Isa::Portable => "portable",
        }
    }

    /// Lanes for a map of `channels` channels: the widest vectors that the channels fill.
    pub(crate) fn lanes(self, channels: usize) -> usize {
        match self {
            Isa::Avx512 if channels.div_ceil(8).is_multiple_of(2) => 16,
            _ => 8,
        }
    }

    /// Runs `kernel` with vectors of `lanes` lanes, 8 or 16.
    ///
    /// # Panics
    /// If the processor lacks the instructions, or `lanes` is not a result of [`Isa::lanes`].
    pub(crate) fn run<K: Kernel>(self, lanes: usize, kernel: K) {
        assert!(self.is_available(), "{self:?} is not available here");
        match (self, lanes) {
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, 16) => Avx512::enter(kernel),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512 | Isa::Avx2, 8) => Avx2::enter(kernel),
            (Isa::Portable, 8) => Portable::enter(kernel),
            _ => panic!("{self:?} has no vectors of {lanes} lanes"),
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Isa {
    type Err = Error;

    fn from_str(text: &str) -> Result<Isa, Error> {
        let found = Isa::ALL.into_iter().find(|isa| isa.name() == text);
        found.ok_or_else(|| Error::UnknownIsa {
            found: text.to_owned(),
        })
    }
}

/// Eight values, for any processor.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 8]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Portable(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Vector for Portable {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Portable([value; 8])
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        Portable(std::array::from_fn(|i| from[i]))
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[..8].copy_from_slice(&self.0);
    }
    #[inline(always)]
    unsafe fn read(from: *const f32) -> Self {
        // SAFETY: the caller guarantees eight values; an array of f32 has the alignment of f32.
        Portable(unsafe { *from.cast() })
    }
    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: as in `read`.
        unsafe { *to.cast() = self.0 }
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i].mul_add(b.0[i], c.0[i])))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Portable(self.0.map(f32::sqrt))
    }
    #[inline(always)]
    fn neg(self) -> Self {
        Portable(self.0.map(|a| -a))
    }
    #[inline(always)]
    fn where_greater(self, left: Self, right: Self, other: Self) -> Self {
        Portable(std::array::from_fn(|i| {
            if left.0[i] > right.0[i] {
                self.0[i]
            } else {
                other.0[i]
            }
        }))
    }
    #[inline(never)]
    fn enter<K: Kernel>(kernel: K) {
        kernel.run::<Portable>();
    }
}

/// Eight values in an AVX register.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

// SAFETY, for every block below: values of this type exist only inside kernels that `Isa::run`
// entered, so the processor has AVX2 and FMA; slices are bounds-checked, and callers of `read` and
// `write` guarantee valid pointers.
#[cfg(target_arch = "x86_64")]
impl Vector for Avx2 {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Avx2(unsafe { _mm256_set1_ps(value) })
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..8];
        Avx2(unsafe { _mm256_loadu_ps(from.as_ptr()) })
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        let to = &mut to[..8];
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    unsafe fn read(from: *const f32) -> Self {
        Avx2(unsafe { _mm256_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        Avx2(unsafe { _mm256_fmadd_ps(self.0, b.0, c.0) })
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Avx2(unsafe { _mm256_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Avx2(unsafe { _mm256_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Avx2(unsafe { _mm256_mul_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        Avx2(unsafe { _mm256_div_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Avx2(unsafe { _mm256_sqrt_ps(self.0) })
    }
    #[inline(always)]
    fn neg(self) -> Self {
        Avx2(unsafe { _mm256_xor_ps(self.0, _mm256_set1_ps(-0.0)) })
    }
    #[inline(always)]
    fn where_greater(self, left: Self, right: Self, other: Self) -> Self {
        Avx2(unsafe {
            let mask = _mm256_cmp_ps::<_CMP_GT_OQ>(left.0, right.0);
            _mm256_blendv_ps(other.0, self.0, mask)
        })
    }
    #[inline(never)]
    fn enter<K: Kernel>(kernel: K) {
        unsafe { in_avx2(kernel) }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn in_avx2<K: Kernel>(kernel: K) {
    kernel.run::<Avx2>();
}

/// Sixteen values in an AVX-512 register.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

// SAFETY, for every block below: as for `Avx2`, with AVX-512F.
#[cfg(target_arch = "x86_64")]
impl Vector for Avx512 {
    const LANES: usize = 16;
    const REGISTERS: usize = 32;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Avx512(unsafe { _mm512_set1_ps(value) })
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..16];
        Avx512(unsafe { _mm512_loadu_ps(from.as_ptr()) })
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        let to = &mut to[..16];
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    unsafe fn read(from: *const f32) -> Self {
        Avx512(unsafe { _mm512_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        Avx512(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Avx512(unsafe { _mm512_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Avx512(unsafe { _mm512_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Avx512(unsafe { _mm512_mul_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        Avx512(unsafe { _mm512_div_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Avx512(unsafe { _mm512_sqrt_ps(self.0) })
    }
    #[inline(always)]
    fn neg(self) -> Self {
        Avx512(unsafe {
            let signs = _mm512_set1_epi32(i32::MIN);
            _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(self.0), signs))
        })
    }
    #[inline(always)]
    fn where_greater(self, left: Self, right: Self, other: Self) -> Self {
        Avx512(unsafe {
            let mask = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(left.0, right.0);
            _mm512_mask_blend_ps(mask, other.0, self.0)
        })
    }
    #[inline(never)]
    fn enter<K: Kernel>(kernel: K) {
        unsafe { in_avx512(kernel) }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f")]
fn in_avx512<K: Kernel>(kernel: K) {
    kernel.run::<Avx512>();
}
