//! Vectors of f32: the only module that names instructions, and the one place that looks at the
//! processor. The convolutions' tiles beside it have unsafe code too, to read and write numbers
//! within bounds that were checked before.
//!
//! All arithmetic of the kernels is written once, over [`Vector`]. A kernel is entered through
//! [`Isa::run`] alone, which names a type of vectors only on a processor that has its
//! instructions; that is what the safety comments below refer to. A lane never meets another
//! lane, so the width of a vector is part of no result.

#![allow(unsafe_code)] // vector instructions and target features cannot be had without

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::fmt;
use std::str::FromStr;

use crate::Error;

/// Some f32 side by side.
pub(crate) trait Vector: Copy {
    const LANES: usize;
    /// Vectors that fit into the processor's registers.
    const REGISTERS: usize;

    /// The same number in every lane.
    fn splat(value: f32) -> Self;
    /// The first numbers of `from`, which must have `LANES` or more.
    fn load(from: &[f32]) -> Self;
    /// Writes to the first numbers of `to`, which must have `LANES` or more.
    fn store(self, to: &mut [f32]);
    /// # Safety
    /// `LANES` numbers must be readable at `from`.
    unsafe fn read(from: *const f32) -> Self;
    /// # Safety
    /// `LANES` numbers must be writable at `to`.
    unsafe fn write(self, to: *mut f32);
    /// `self · b + c`, rounded once.
    fn fma(self, b: Self, c: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    /// `-self`: the sign bit is turned.
    fn neg(self) -> Self;
    /// In each lane `self` where `left > right`, `other` elsewhere.
    fn where_greater(self, left: Self, right: Self, other: Self) -> Self;
    /// Runs a kernel in a function of its own that is compiled for these vectors. Implementations
    /// are never inlined: the compiler forgets that wish for functions with target features, and
    /// one function of many tiles is compiled badly.
    fn enter<K: Kernel>(kernel: K);
}

/// A piece of work that is compiled once for each type of vectors.
pub(crate) trait Kernel {
    fn run<V: Vector>(self);
}

/// Which instructions of the processor are used; they decide the speed and no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512F, and AVX2 where channels do not fill its vectors.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// `f32::mul_add`, which is a slow call of a function where the compiler may not assume FMA.
    Portable,
}

impl Isa {
    /// All there are, the fastest first.
    pub const ALL: [Isa; 3] = [Isa::Avx512, Isa::Avx2, Isa::Portable];

    /// The best that this processor has.
    pub fn best() -> Isa {
        Isa::ALL
            .into_iter()
            .find(|isa| isa.is_available())
            .unwrap_or(Isa::Portable)
    }

    /// Whether this processor has them.
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

    /// Channels of a block where a map has `channels` of them: the widest vectors that they fill.
    pub(crate) fn lanes(self, channels: usize) -> usize {
        match self {
            Isa::Avx512 if channels.div_ceil(8).is_multiple_of(2) => 16,
            _ => 8,
        }
    }

    /// Runs `kernel` with vectors of `lanes`, 8 or 16.
    ///
    /// # Panics
    /// When the processor lacks the instructions, or `lanes` is no number of [`Isa::lanes`].
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

/// Eight numbers for any processor.
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
        // SAFETY: the caller promises eight numbers; an array of f32 has the alignment of f32.
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

/// Eight numbers in a register of AVX.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

// SAFETY, for every block below: values of this type exist only inside kernels that `Isa::run`
// entered, so the processor has AVX2 and FMA; slices are checked, and callers of `read` and
// `write` promise their pointers.
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

/// Sixteen numbers in a register of AVX-512.
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
