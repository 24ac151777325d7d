// Least squares by LDL^T in 64-bit integers.
#include "ctx_model.h"

#if defined(__GNUC__) && defined(__x86_64__) && defined(__SSE2__)
#include <immintrin.h>
#define FEATCODEC_WIDE
#endif

namespace featcodec::ctx {
namespace {

i64 rounded(i64 v, int shift) { return shift > 0 ? (v + (i64{1} << (shift - 1))) >> shift : v; }
i64 bounded(i64 v, int bits) { return std::clamp(v, -(i64{1} << bits), i64{1} << bits); }

// Integers give the same sums however wide the vectors are.
#ifdef FEATCODEC_WIDE
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

FEATCODEC_INLINE i64 products(const std::int16_t *x, const std::int16_t *y, std::size_t count) {
    i64 sum = 0;
    for (std::size_t first = 0; first < count; first += kBlock) {
        const std::size_t last = std::min<std::size_t>(count, first + kBlock);
        i32 part = 0;  // at most 2^22 * 256
        for (std::size_t i = first; i < last; ++i) part += i32{x[i]} * i32{y[i]};
        sum += part;
    }
    return sum;
}

FEATCODEC_AVX2 i64 products_wide(const std::int16_t *x, const std::int16_t *y, std::size_t count) {
    return products(x, y, count);
}

#ifdef FEATCODEC_WIDE
// Adds products of `N` pairs of rows, sixteen pixels at a time, to eight sums each.
template <int N>
FEATCODEC_AVX2 inline void add_lanes(const std::int16_t *one, const std::int16_t *const *other, std::size_t count,
                                     i32 *lanes) {
    __m256i sum[N];
    for (int k = 0; k < N; ++k) sum[k] = _mm256_load_si256(reinterpret_cast<const __m256i *>(lanes + 8 * k));
    for (std::size_t x = 0; x < count; x += 16) {
        const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(one + x));
        for (int k = 0; k < N; ++k) {
            const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(other[k] + x));
            sum[k] = _mm256_add_epi32(sum[k], _mm256_madd_epi16(a, b));
        }
    }
    for (int k = 0; k < N; ++k) _mm256_store_si256(reinterpret_cast<__m256i *>(lanes + 8 * k), sum[k]);
}

FEATCODEC_AVX2 void add_wide(const TapRows &taps, const std::int16_t *target, std::size_t rows, std::size_t count,
                             i32 *lanes) {
    for (std::size_t i = 0; i <= rows; ++i) {
        const std::int16_t *one = i < rows ? taps[i] : target;
        const std::size_t others = i < rows ? i + 1 : rows;
        std::size_t j = 0;
        for (; j + 4 <= others; j += 4, lanes += 32) add_lanes<4>(one, taps.data() + j, count, lanes);
        for (; j < others; ++j, lanes += 8) add_lanes<1>(one, taps.data() + j, count, lanes);
    }
}
#endif

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

i64 dot(const std::int16_t *x, const std::int16_t *y, std::size_t count) {
    return wide() ? products_wide(x, y, count) : products(x, y, count);
}

void Solver::start(int taps) {
    taps_ = taps;
    count_ = 0;
    a_ = {};
    b_ = {};
    lanes_.fill(0);
    held_ = 0;
    solved_ = 0;
    for (int i = 0; i < kMaxTaps; ++i) {
        const auto at = static_cast<std::size_t>(i);
        weight[at] = static_cast<std::int16_t>(i < taps ? prior_[at] : 0);
    }
}

void Solver::add(const TapRows &taps, const std::int16_t *target, std::size_t count) {
    const auto rows = static_cast<std::size_t>(taps_);
    count_ += static_cast<i64>(count);
#ifdef FEATCODEC_WIDE
    if (wide()) {
        if (held_ + count > kMostHeld) flush();
        held_ += (count + 15) / 16 * 16;
        add_wide(taps, target, rows, count, lanes_.data());
        return;
    }
#endif
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j <= i; ++j) a_[i][j] += dot(taps[i], taps[j], count);
        b_[i] += dot(taps[i], target, count);
    }
}

// Moves what the lanes hold to the sums.
void Solver::flush() {
    if (held_ == 0) return;
    held_ = 0;
    const i32 *from = lanes_.data();
    const auto sum = [&from] {
        i64 all = 0;
        for (int k = 0; k < 8; ++k) all += *from++;
        return all;
    };
    const auto rows = static_cast<std::size_t>(taps_);
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j <= i; ++j) a_[i][j] += sum();
    for (std::size_t i = 0; i < rows; ++i) b_[i] += sum();
    lanes_.fill(0);
}

void combine(const TapRows &taps, const std::int16_t *weight, int count, i32 *base, std::size_t pixels) {
    wide() ? weigh_wide(taps, weight, count, base, pixels) : weigh(taps, weight, count, base, pixels);
}

void Solver::refresh() {
    if (!seldom_ || count_ >= solved_ + solved_ / 4) solve();
}

void Solver::solve() {
    solved_ = count_;
    flush();
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
    if (solved_ < count_) solve();
    for (int i = 0; i < taps_; ++i) {
        const auto at = static_cast<std::size_t>(i);
        prior_[at] += (weight[at] - prior_[at] + 4) >> 3;
    }
}

}  // namespace featcodec::ctx
