// The CUDA features that the kernels use, for a host compiler. `driver.cpp` runs the result.
//
// Operations are rounded as by CUDA: `fma`, division and square root once each.
#pragma once

#include <cmath>
#include <tuple>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)

struct uint3 {
    unsigned x, y, z;
};

static inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }

static uint3 threadIdx, blockIdx, blockDim, gridDim;

// burn's kernels divide indices by multiplication.
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned long long)a * b >> 32; }

// The C library's abs takes integers.
using std::abs;

#ifdef UNFUSED
static inline float unfused(float a, float b, float c) {
    volatile float product = a * b;
    return product + c;
}
#define fma(a, b, c) unfused(a, b, c)
#else
// The C library's fma takes doubles, which would round twice.
#define fma(a, b, c) __builtin_fmaf(a, b, c)
#endif
#ifdef APPROXIMATE
static inline float with_error(float exact) {
    int bits = __builtin_bit_cast(int, exact);
    unsigned error = (unsigned)bits * 2654435761u >> 16;
    bool normal = std::isnormal(exact) && std::isnormal(exact * 0.5f) && std::isnormal(exact * 2);
    return normal ? __builtin_bit_cast(float, bits + (int)(error % 7) - 3) : exact;
}
static inline float sqrt(float value) { return with_error(std::sqrt(value)); }
static inline float approximate_quotient(float a, float b) { return with_error(a / b); }
template <class A, class B>
static inline std::common_type_t<A, B> approximate_quotient(A a, B b) {
    return a / b;
}
#else
using std::sqrt;
#endif

template <class A, class B>
static inline std::common_type_t<A, B> min(A a, B b) {
    return b < a ? b : a;
}

template <class A, class B>
static inline std::common_type_t<A, B> max(A a, B b) {
    return a < b ? b : a;
}

// Calls a kernel once per thread, with arguments passed as pointers.
template <class... A, std::size_t... I>
static void call_all(void (*kernel)(A...), void** args, std::index_sequence<I...>) {
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)
                for (threadIdx.z = 0; threadIdx.z < blockDim.z; threadIdx.z++)
                    for (threadIdx.y = 0; threadIdx.y < blockDim.y; threadIdx.y++)
                        for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++)
                            kernel(*static_cast<std::remove_cv_t<A>*>(args[I])...);
}

template <class... A>
static void call_all(void (*kernel)(A...), void** args) {
    call_all(kernel, args, std::index_sequence_for<A...>{});
}
