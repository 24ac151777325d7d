#include "ctx_tables.h"

#include <algorithm>

namespace featcodec::ctx {
namespace {

// round(2^32 * 2^(-2^-i)) for i = 1..16.
constexpr std::array<u64, 16> kRoots = {
    3037000500, 3611622603, 3938502376, 4112874773, 4202935003, 4248701965, 4271771996, 4283353945,
    4289156690, 4292061010, 4293513907, 4294240540, 4294603903, 4294785595, 4294876445, 4294921870};

// 2^32 * 2^(-t / 2^16)
u64 exp2_minus(u64 t) {
    if (t >= (u64{40} << 16)) return 0;
    u64 value = u64{1} << 32;
    for (int i = 1; i <= 16; ++i)
        if (t >> (16 - i) & 1u) value = (value * kRoots[static_cast<std::size_t>(i - 1)]) >> 32;
    return value >> (t >> 16);
}

// 2^20 times a logistic distribution's lower tail, e = exp(-distance) in Q32.
u64 tail(u64 e) { return (e << kProbBits) / ((u64{1} << 32) + e); }

u64 lower_tail(int shape, u64 k) {
    // The distance from the mean is k * 12 / 512 mean absolute deviations.
    switch (shape) {
        case 0: return tail(exp2_minus(k * 3072));                                            // logistic
        case 1: return exp2_minus(k * 2216) >> 13;                                            // Laplace
        case 2: return tail(exp2_minus(k * 2825 + ((k * k * k * 2861) >> 16)));                // nearly Gaussian
        default: return (3 * tail(exp2_minus(k * 5586)) + tail(exp2_minus(k * 1307))) >> 2;  // two logistics
    }
}

Tables make() {
    Tables t{};
    for (int shape = 0; shape < kShapes; ++shape) {
        auto &cdf = t.cdf[static_cast<std::size_t>(shape)];
        for (int k = 0; k <= kHalf; ++k) {
            const i32 low = static_cast<i32>(lower_tail(shape, static_cast<u64>(k)));
            cdf[static_cast<std::size_t>(kHalf - k)] = low;
            cdf[static_cast<std::size_t>(kHalf + k)] = static_cast<i32>(kTotal) - low;
        }
        int at = 0;
        for (int i = 0; i <= kInverse; ++i) {
            const i32 want = i << (kProbBits - 10);
            while (at < 2 * kHalf - 1 && cdf[static_cast<std::size_t>(at + 1)] <= want) ++at;
            const i32 low = cdf[static_cast<std::size_t>(at)], high = cdf[static_cast<std::size_t>(at + 1)];
            const i32 part = high > low && want > low ? static_cast<i32>((i64{256} * (want - low)) / (high - low)) : 0;
            t.inverse[static_cast<std::size_t>(shape)][static_cast<std::size_t>(i)] =
                256 * (at - kHalf) + (part > 256 ? 256 : part);
        }
    }
    for (int i = 0; i < kScales; ++i) {
        const i64 twice = i64{17 + 2 * (i & 7)} << (i >> 3);
        t.width[static_cast<std::size_t>(i)] = static_cast<i32>(twice);
        t.inv[static_cast<std::size_t>(i)] = ((i64{1} << 37) / 3 + (twice >> 1)) / twice / 2;
    }
    for (int n = 0; n < 256; ++n) t.rate[static_cast<std::size_t>(n)] = 131072 / (2 * n + 3);
    for (u32 p = 0; p < 4096; ++p) t.stretch[p] = static_cast<std::int16_t>(log2_q8(2 * p + 1) - log2_q8(8191 - 2 * p));
    for (u64 i = 0; i <= 4096; ++i) {
        const u64 e = exp2_minus(i << 8);
        const i32 low = std::max(16, static_cast<i32>((e << 16) / ((u64{1} << 32) + e)));
        t.squash[4096 - i] = static_cast<u16>(low);
        t.squash[4096 + i] = static_cast<u16>(65536 - low);
    }
    for (u32 v = 0; v < 2048; ++v) {
        const auto b = static_cast<u32>(quarter_octave(v));
        t.middle[v] = static_cast<u16>(b < 4 ? b : ((9u + 2 * (b & 3u)) << (b / 4 - 1)) >> 1);
    }
    for (u32 b = 0; b < 64; ++b) {
        const u32 low = b < 4 ? b : ((4u + (b & 3u)) << (b / 4 - 1));
        t.first[b] = static_cast<i32>(std::min(low * 256 / 10 + 16, 1u << 19));
    }
    return t;
}

}  // namespace

const Tables kTables = make();

}  // namespace featcodec::ctx
