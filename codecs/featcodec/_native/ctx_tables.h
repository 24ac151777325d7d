// Integer tables of the coder `ctx`: distribution shapes, scales, adaptation rates. docs/ctx.md defines them.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace featcodec::ctx {

using i32 = std::int32_t;
using i64 = std::int64_t;
using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

inline constexpr int kProbBits = 20;                // a distribution's total is 2^20
inline constexpr i64 kTotal = i64{1} << kProbBits;
inline constexpr int kHalf = 512;                   // table steps on either side of the mean
inline constexpr int kScales = 160;                 // eighths of an octave
inline constexpr int kShapes = 4;
inline constexpr int kInverse = 1024;               // entries of the inverse tables, which only speed decoding up

struct Tables {
    std::array<std::array<i32, 2 * kHalf + 1>, kShapes> cdf;
    std::array<std::array<i32, kInverse + 1>, kShapes> inverse;  // position (in 1/256 steps) of a cumulative value
    std::array<i64, kScales> inv;                              // steps per 1/16 unit, Q24
    std::array<i32, kScales> width;                            // the scale itself, in 1/512 units
    std::array<i32, 256> rate;                                 // 65536 / (n + 1.5)
    std::array<std::int16_t, 4096> stretch;                    // 256 log2(p / (1 - p)), p in 1/4096
    std::array<u16, 8193> squash;                              // its inverse, 16 bits, from -4096 to 4096
    std::array<u16, 2048> middle;                              // of absolute errors: the middle of the quarter octave
    std::array<i32, 64> first;                                 // a quarter octave's first mean absolute error
};

extern const Tables kTables;

inline int width_of(u64 v) { return static_cast<int>(std::bit_width(v)); }

// Quarter octaves of v >= 0: 0, 1, 2, 3, then two bits after the leading one.
inline int quarter_octave(u32 v) {
    if (v < 4) return static_cast<int>(v);
    const int lead = width_of(v) - 1;
    return 4 * (lead - 1) + static_cast<int>((v >> (lead - 2)) & 3u);
}

// Eighths of an octave of v; below 8 as if it were 8.
inline int eighth_octave(u32 v) {
    if (v < 8) return 0;
    const int lead = width_of(v) - 1;
    return 8 * (lead - 3) + static_cast<int>((v >> (lead - 3)) & 7u);
}

// 256 log2(v), v >= 1, within a few thousandths of a bit.
inline i32 log2_q8(u32 v) {
    const int lead = width_of(v) - 1;
    const i32 t = static_cast<i32>(((static_cast<u64>(v) << 8) >> lead) & 255u);
    return 256 * lead + t + ((t * (256 - t) * 88) >> 16);
}

}  // namespace featcodec::ctx
