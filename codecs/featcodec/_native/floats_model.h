// What `floats` expects of every value: encoder and decoder run the same loop over different sinks. The reference is
// featcodec/array_coders/floats_model.py, the format docs/floats.md.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace featcodec::floats {

using i32 = std::int32_t;
using i64 = std::int64_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

// A float's bits: sign, exponent, mantissa, from the top.
struct Format {
    int exponent, mantissa;
    int width() const { return 1 + exponent + mantissa; }
    int most() const { return (1 << exponent) - 2; }  // the exponent of the largest finite value
};

// The value is +-full * 2^(exponent - 1) in units of the least denormal.
struct Parts {
    u32 full;
    int exponent;
    bool negative;
};

inline Parts split(u32 bits, Format format) {
    const u32 mantissa = bits & ((1u << format.mantissa) - 1);
    const u32 exponent = (bits >> format.mantissa) & ((1u << format.exponent) - 1);
    return {mantissa | static_cast<u32>(exponent != 0) << format.mantissa, static_cast<int>(std::max(exponent, 1u)),
            (bits >> (format.width() - 1) & 1) != 0};
}

constexpr int kLead = 22;               // levels: the leading bit of a value with exponent `top`
constexpr int kAbove = 2;               // octaves above `top` before a value must be escaped
constexpr int kBelow = 40;              // octaves below `top` where the encoder escapes what is not zero
constexpr i32 kMost = 1 << (kLead + 1 + kAbove);
constexpr i32 kMostError = 1 << 24;
constexpr std::size_t kBlock = 256;      // columns between updates of a channel's means
constexpr int kLeastWeight = 3, kMostWeight = 6;
constexpr int kPredictors = 16, kTables = 4;
// Eighths of the values to the west, north and north-west, less the channel's centre.
constexpr std::array<std::array<i32, 3>, kPredictors> kWeights{{{0, 0, 0}, {2, 2, 0}, {3, 3, 0}, {4, 4, 0},
                                                                {5, 2, 0}, {2, 5, 0}, {4, 2, 0}, {2, 4, 0},
                                                                {6, 0, 0}, {0, 6, 0}, {4, 4, -2}, {5, 5, -3},
                                                                {6, 6, -4}, {7, 7, -6}, {6, 3, -1}, {3, 6, -1}}};

struct Params {
    int top = 0;
    bool zeros = false, same = false;
    int shape = 0, scale = 0, weight = kLeastWeight;
    std::vector<i64> grid[2];         // of positive and negative values, a channel each
    std::vector<std::uint8_t> predictor;  // of each channel
};

// An adaptive probability of a one; u16 so that its stores cannot alias what the loop holds in registers.
struct Bit {
    u16 p = 1 << 15, seen = 0;

    int odds() const { return std::clamp(p >> 8, 1, 255); }  // of 256

    void update(bool one) {
        static constexpr auto kRate = [] {
            std::array<i32, 64> rate{};
            for (int n = 0; n < 64; ++n) rate[static_cast<std::size_t>(n)] = 65536 / (n + 3);
            return rate;
        }();
        p = static_cast<u16>(p + (((one ? 65535 : 0) - p) * i64{kRate[seen]} >> 16));
        seen = static_cast<u16>(seen + (seen < 63));
    }
};

struct LowBits {
    Bit of[2][32];
};

struct Shape {
    std::size_t channels, height, width;
    std::size_t count() const { return channels * height * width; }
};

inline i64 floor_div(i64 a, i64 b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

// Calls sink.channel(c), then for each value sink.zero(at, bit), sink.same(at, bit) where the flags are on, and
// sink.value(at, mean, shift, table), which gives the level; sink.block() before every kBlock columns or fewer. kFlags
// saves the time of flags.
template <bool kFlags, class Sink>
[[gnu::always_inline]] inline void run(const Params &params, const Shape &shape, Sink &sink) {
    const std::size_t width = shape.width;
    // Untouched until a row is coded: a payload that claims long rows and holds none costs nothing.
    const auto levels = std::make_unique_for_overwrite<i32[]>(width), errors = std::make_unique_for_overwrite<i32[]>(width);
    const auto flags = std::make_unique_for_overwrite<u16[]>(kFlags ? width : 1);  // 1 a zero, 2 the same as its west
    std::array<Bit, 96> zero_bits;
    std::array<Bit, 4> same_bits;
    const int weight = params.weight, typical_weight = (1 << weight) - 6;
    i32 usual = 0, usual_error = 64;  // means of earlier channels
    std::size_t at = 0;
    for (std::size_t c = 0; c < shape.channels; ++c) {
        const auto [west_weight, north_weight, corner_weight] = kWeights[params.predictor[c]];
        i64 sum = 0, error_sum = 0;
        i32 centre = 0, typical = 0;
        sink.channel(c);
        for (std::size_t y = 0; y < shape.height; ++y) {
            i32 west = 0, west_error = 0, corner = 0, corner_error = 0;
            u16 west_flag = 0, corner_flag = 0;
            for (std::size_t first = 0; first < width; first += kBlock) {
                sink.block();
                const auto seen = static_cast<i64>(y * width + first);
                centre = static_cast<i32>(floor_div(sum + 4 * i64{usual}, seen + 4));
                typical = static_cast<i32>((error_sum + 16 * i64{usual_error}) / (seen + 16));
                if (first == 0) {
                    west = corner = y ? levels[0] : centre;
                    west_error = corner_error = y ? errors[0] : typical;
                    if (kFlags) west_flag = corner_flag = y ? flags[0] : u16{0};
                }
                i64 block_sum = 0, block_error = 0;
                const std::size_t last = std::min(width, first + kBlock);
                for (std::size_t x = first; x < last; ++x, ++at) {
                    i32 north = west, north_error = west_error, east_error = west_error;
                    u16 north_flag = west_flag, east_flag = west_flag;
                    if (y) {
                        const std::size_t east = x + 1 < width ? x + 1 : x;
                        north = levels[x];
                        north_error = errors[x];
                        east_error = errors[east];
                        if (kFlags) north_flag = flags[x], east_flag = flags[east];
                    } else {
                        corner = west;
                        corner_error = west_error;
                        corner_flag = west_flag;
                    }
                    const i32 off = west_weight * (west - centre) + north_weight * (north - centre) + corner_weight * (corner - centre);
                    const i32 mean = std::clamp(centre + (off >> 3), -kMost, kMost);
                    const i32 near = 2 * (west_error + north_error) + corner_error + east_error;
                    const i32 spread = std::max(4, (near + typical * typical_weight) >> weight);
                    const int shift = std::bit_width(static_cast<u32>(spread)) - 3;
                    i32 level = 0;
                    u16 flag = 0;
                    if (kFlags && params.zeros) {
                        const u32 around = (west_flag & 1u) + 2 * (north_flag & 1u) + 4 * ((corner_flag & 1u) + (east_flag & 1u));
                        if (sink.zero(at, zero_bits[8 * around + static_cast<u32>(std::clamp(((mean >> shift) + 8) >> 2, 0, 7))])) flag = 1;
                    }
                    if (kFlags && params.same && x && !flag && !(west_flag & 1))
                        if (sink.same(at, same_bits[(west_flag >> 1) + (north_flag & 2u)])) flag = 2, level = west;
                    if (!flag) level = sink.value(at, mean, shift, (spread >> shift) & 3);
                    const i32 error = flag == 1 ? std::max(mean, 0) : std::abs(level - mean);
                    corner = north;
                    corner_error = north_error;
                    west = levels[x] = level;
                    west_error = errors[x] = std::min(error, kMostError);
                    block_sum += level;
                    block_error += west_error;
                    if (kFlags) {
                        corner_flag = north_flag;
                        west_flag = flags[x] = flag;
                    }
                }
                sum += block_sum;
                error_sum += block_error;
            }
        }
        const auto area = static_cast<i64>(shape.height * width);
        usual += (static_cast<i32>(floor_div(sum, area)) - usual) >> 2;
        usual_error = static_cast<i32>((3 * i64{usual_error} + error_sum / area + 2) >> 2);
    }
}

}  // namespace featcodec::floats
