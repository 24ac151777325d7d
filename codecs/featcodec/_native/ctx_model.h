// The model of the coder `ctx`: prediction, scale and contexts of every symbol, the same for both directions.
// docs/ctx.md describes it; the reference is featcodec/array_coders/ctx_model.py.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "ctx_tables.h"

namespace featcodec::ctx {

inline constexpr int kTapBits = 11;    // taps lie within +-2^11
inline constexpr int kBlock = 256;     // pixels between two solutions within a row
inline constexpr int kSmall = 1024;    // maps up to this size use innovations as reference taps
inline constexpr int kWindow = 128;    // how far back a reference may lie
inline constexpr int kMaxTaps = 19;
inline constexpr int kMaxRefs = 7;

struct Shape {
    std::size_t channels, height, width;
    i32 levels;
    [[nodiscard]] std::size_t area() const { return height * width; }
    [[nodiscard]] bool small() const { return area() <= kSmall; }
    [[nodiscard]] int max_refs() const { return area() < 16 ? 0 : small() ? kMaxRefs : 3; }
    [[nodiscard]] int shift() const { return kTapBits - width_of(static_cast<u64>(levels - 1)); }
};

struct Choices {
    bool zeros = false;
    std::array<u8, 32> shapes{};        // per set of 16 octaves: shape + 4 (scale offset + 4), or 255 where unused
    std::vector<u8> count;              // references of each channel
    std::vector<u8> distance;           // kMaxRefs a channel
};

// What one symbol is coded with.
struct Slot {
    i32 mean;     // 1/16 tap units
    u8 scale;     // eighths of an octave
    u8 group;     // of `Choices::shapes`
    bool above;   // known not to be 0
};

// Cumulative frequencies of one symbol's distribution.
class Distribution {
  public:
    Distribution(const Slot &slot, u8 choice, i32 levels, int shift)
        : cdf_(tables().cdf[choice & 3u]), mean_(slot.mean), low_(slot.above ? 1 : 0), high_(levels), shift_(shift) {
        scale_ = static_cast<std::size_t>(std::clamp(int{slot.scale} + (choice >> 2) - 4, 0, kScales - 1));
        inv_ = tables().inv[scale_];
        base_ = slot.above ? at(1) : 0;
        const i64 rest = kTotal - base_;
        spread_ = rest > 0 ? ((kTotal - (high_ - low_)) << kProbBits) / rest : 0;
    }
    [[nodiscard]] i32 low() const { return low_; }
    [[nodiscard]] i32 high() const { return high_; }
    [[nodiscard]] i32 below(i32 x) const {
        if (x <= low_) return 0;
        if (x >= high_) return static_cast<i32>(kTotal);
        return static_cast<i32>(((at(x) - base_) * spread_) >> kProbBits) + (x - low_);
    }
    // The symbol whose interval holds `slot`: a guess, then steps, then bisection.
    [[nodiscard]] i32 find(i32 slot, u8 choice, i32 &start, i32 &end) const {
        const i64 target = base_ + ((static_cast<i64>(slot) * (kTotal - base_)) >> kProbBits);
        const i64 z = tables().inverse[choice & 3u][static_cast<std::size_t>(target >> (kProbBits - 10))];
        const i64 value = mean_ + ((z * tables().width[scale_] * 3) >> 20);
        const int up = shift_ + 4;
        i64 guess = up >= 0 ? (value + ((i64{1} << up) >> 1)) >> up : value << -up;
        i32 x = static_cast<i32>(std::clamp<i64>(guess, low_, high_ - 1));
        start = below(x);
        end = below(x + 1);
        for (int tries = 0; tries < 3; ++tries) {
            if (start > slot) {
                end = start;
                start = below(--x);
            } else if (end <= slot) {
                start = end;
                end = below(++x + 1);
            } else {
                return x;
            }
        }
        i32 lo = low_, hi = high_;
        while (hi - lo > 1) {
            const i32 middle = lo + (hi - lo) / 2;
            (below(middle) <= slot ? lo : hi) = middle;
        }
        start = below(lo);
        end = below(lo + 1);
        return lo;
    }

  private:
    [[nodiscard]] i64 at(i32 x) const {  // 2^20 F(x - 1/2)
        const i64 twice = 2 * static_cast<i64>(x) - 1;
        const int up = shift_ + 3;
        const i64 edge = up >= 0 ? twice << up : twice >> -up;
        const i64 z = std::clamp<i64>(((edge - mean_) * inv_) >> 16, -256 * kHalf, 256 * kHalf - 1) + 256 * kHalf;
        const std::size_t i = static_cast<std::size_t>(z >> 8);
        const i64 low = cdf_[i];
        return low + (((cdf_[i + 1] - low) * (z & 255)) >> 8);
    }
    const std::array<i32, 2 * kHalf + 1> &cdf_;
    i64 mean_, inv_ = 0, base_ = 0, spread_ = 0;
    std::size_t scale_ = 0;
    i32 low_, high_;
    int shift_;
};

struct Bit {
    i32 p = 32768;  // of a zero, 16 bits
    i32 n = 2;
    void update(bool zero) {
        p += static_cast<i32>((static_cast<i64>((zero ? 65535 : 0) - p) * tables().rate[static_cast<std::size_t>(n)]) >> 16);
        n += n < 90;
    }
};

struct Mean {
    i32 value = 0;  // mean absolute error in 1/256 tap units
    i32 n = 6;
    void update(i32 error) {
        value += static_cast<i32>((static_cast<i64>((error << 8) - value) * tables().rate[static_cast<std::size_t>(n)]) >> 16);
        n += n < 200;
    }
};

// Weighted least squares with a ridge toward earlier channels' weights, all in integers.
class Solver {
  public:
    void start(int taps);
    void add(const std::array<const std::int16_t *, kMaxTaps> &taps, const std::int16_t *target, std::size_t count);
    void solve();
    void finish();
    std::array<std::int16_t, kMaxTaps> weight{};  // Q13

  private:
    int taps_ = 0;
    i64 count_ = 0;
    std::array<std::array<i64, kMaxTaps>, kMaxTaps> a_{};
    std::array<i64, kMaxTaps> b_{};
    std::array<i32, kMaxTaps> prior_{4096, 4096, -2048, 1024};
};

// `Sink` has `bool zero(i32 p)` and `i32 symbol(const Slot &)`, and reads or writes the symbol at `position`.
template <class Sink>
bool run(const Shape &shape, const Choices &choices, u16 *values, Sink &sink);

// Chooses references (encoder only).
void choose_references(const Shape &shape, const u16 *values, Choices &choices);

}  // namespace featcodec::ctx
