// Least squares by LDL^T in 64-bit integers.
#include "ctx_model.h"

namespace featcodec::ctx {
namespace {

i64 rounded(i64 v, int shift) { return shift > 0 ? (v + (i64{1} << (shift - 1))) >> shift : v; }
i64 bounded(i64 v, int bits) { return std::clamp(v, -(i64{1} << bits), i64{1} << bits); }

// The two loops below take a third of the time; integers give the same sums however wide the vectors are.
#if defined(__GNUC__) && defined(__x86_64__)
#define FEATCODEC_INLINE __attribute__((always_inline)) inline
#define FEATCODEC_AVX2 __attribute__((target("avx2")))
bool wide() {
    static const bool found = __builtin_cpu_supports("avx2");
    return found;
}
#else
#define FEATCODEC_INLINE inline
#define FEATCODEC_AVX2
bool wide() { return false; }
#endif

struct Sums {
    const TapRows &taps;
    const std::int16_t *target;
    std::size_t rows, count;
    std::array<std::array<i64, kMaxTaps>, kMaxTaps> &a;
    std::array<i64, kMaxTaps> &b;
};

FEATCODEC_INLINE i32 dot(const std::int16_t *x, const std::int16_t *y, std::size_t count) {
    i32 sum = 0;  // at most 2^22 * 256
    for (std::size_t i = 0; i < count; ++i) sum += i32{x[i]} * i32{y[i]};
    return sum;
}

FEATCODEC_INLINE void add_products(const Sums &s) {
    for (std::size_t i = 0; i < s.rows; ++i) {
        for (std::size_t j = 0; j <= i; ++j) s.a[i][j] += dot(s.taps[i], s.taps[j], s.count);
        s.b[i] += dot(s.taps[i], s.target, s.count);
    }
}

FEATCODEC_AVX2 void add_products_wide(const Sums &s) { add_products(s); }

FEATCODEC_INLINE void weigh(const TapRows &taps, const std::int16_t *weight, int count, i32 *base, std::size_t pixels) {
    for (std::size_t x = 0; x < pixels; ++x) base[x] = 0;
    for (std::size_t i = 1; i < static_cast<std::size_t>(count); ++i) {
        const std::int16_t w = weight[i], *t = taps[i];
        for (std::size_t x = 0; x < pixels; ++x) base[x] += i32{w} * i32{t[x]};
    }
}

FEATCODEC_AVX2 void weigh_wide(const TapRows &taps, const std::int16_t *weight, int count, i32 *base,
                               std::size_t pixels) {
    weigh(taps, weight, count, base, pixels);
}

}  // namespace

void Solver::start(int taps) {
    taps_ = taps;
    count_ = 0;
    a_ = {};
    b_ = {};
    for (int i = 0; i < kMaxTaps; ++i) {
        const auto at = static_cast<std::size_t>(i);
        weight[at] = static_cast<std::int16_t>(i < taps ? prior_[at] : 0);
    }
}

void Solver::add(const TapRows &taps, const std::int16_t *target, std::size_t count) {
    const Sums sums{taps, target, static_cast<std::size_t>(taps_), count, a_, b_};
    wide() ? add_products_wide(sums) : add_products(sums);
    count_ += static_cast<i64>(count);
}

void combine(const TapRows &taps, const std::int16_t *weight, int count, i32 *base, std::size_t pixels) {
    wide() ? weigh_wide(taps, weight, count, base, pixels) : weigh(taps, weight, count, base, pixels);
}

void Solver::solve() {
    const auto n = static_cast<std::size_t>(taps_);
    i64 largest = 1;
    for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, a_[i][i]);
    const int shift = std::max(0, width_of(static_cast<u64>(largest)) - 28);
    const i64 floor = rounded(largest, shift) / 16384 + 1;
    std::array<std::array<i64, kMaxTaps>, kMaxTaps> v, l;  // v = l d, Q20
    std::array<i64, kMaxTaps> d, y, inverse;
    std::array<int, kMaxTaps> size;
    for (std::size_t j = 0; j < n; ++j) {
        const i64 own = rounded(a_[j][j], shift);
        const i64 ridge = own * (j < 4 ? ridge_ : reference_ridge_) / count_ + floor;
        i64 right = rounded(b_[j], shift) + rounded(ridge * prior_[j], 13);
        for (std::size_t k = 0; k <= j; ++k) {
            i64 sum = k == j ? own + ridge : rounded(a_[j][k], shift);
            for (std::size_t m = 0; m < k; ++m) sum -= rounded(k == j ? l[j][m] * v[j][m] : v[j][m] * l[k][m], 20);
            sum = bounded(sum, 31);
            if (k == j) {
                d[j] = std::max(sum, floor);
            } else {
                v[j][k] = sum;
                l[j][k] = bounded((sum * inverse[k]) >> (10 + size[k]), 28);
                right -= rounded(l[j][k] * y[k], 20);
            }
        }
        y[j] = bounded(right, 31);
        size[j] = width_of(static_cast<u64>(d[j]));
        inverse[j] = (i64{1} << (30 + size[j])) / d[j];
    }
    std::array<i64, kMaxTaps> w{};  // Q13
    for (std::size_t j = n; j-- > 0;) {
        i64 sum = (y[j] * inverse[j]) >> (17 + size[j]);
        for (std::size_t k = j + 1; k < n; ++k) sum -= rounded(l[k][j] * w[k], 20);
        w[j] = bounded(sum, 15);
        weight[j] = static_cast<std::int16_t>(std::clamp<i64>(sum, -32767, 32767));
    }
}

void Solver::finish() {
    for (int i = 0; i < taps_; ++i) {
        const auto at = static_cast<std::size_t>(i);
        prior_[at] += (weight[at] - prior_[at] + 4) >> 3;
    }
}

}  // namespace featcodec::ctx
