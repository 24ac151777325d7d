// What one symbol of the coder `ctx` is coded with. docs/ctx.md describes it.
#pragma once

#include <algorithm>

#include "ctx_tables.h"

namespace featcodec::ctx {

struct Slot {
    i32 mean;        // 1/16 tap units
    u16 low, last;   // the values that it can have
    u8 scale;        // eighths of an octave
    u8 group;        // of `Choices::shapes`
};

// Cumulative frequencies of one symbol's distribution.
class Distribution {
  public:
    Distribution(const Slot &slot, u8 choice, i32 levels, int shift)
        : cdf_(kTables.cdf[choice & 3u]), mean_(slot.mean), low_(slot.low), high_(slot.last + 1), shift_(shift) {
        scale_ = static_cast<std::size_t>(std::clamp(int{slot.scale} + (choice >> 2) - 4, 0, kScales - 1));
        inv_ = kTables.inv[scale_];
        base_ = low_ == 0 ? 0 : at(low_);
        rest_ = (high_ == levels ? kTotal : at(high_)) - base_;
        spread_ = rest_ > 0 ? ((kTotal - (high_ - low_)) << kProbBits) / rest_ : 0;
    }
    [[nodiscard]] i32 below(i32 x) const {
        if (x <= low_) return 0;
        if (x >= high_) return static_cast<i32>(kTotal);
        return static_cast<i32>(((at(x) - base_) * spread_) >> kProbBits) + (x - low_);
    }
    // The symbol whose interval holds `slot`: a guess, then steps, then bisection.
    [[nodiscard]] i32 find(i32 slot, u8 choice, i32 &start, i32 &end) const {
        const i64 target = base_ + ((static_cast<i64>(slot) * rest_) >> kProbBits);
        const i64 z = kTables.inverse[choice & 3u][static_cast<std::size_t>(target >> (kProbBits - 10))];
        const i64 value = mean_ + ((z * kTables.width[scale_] * 3) >> 20);
        const int up = shift_ + 4;
        const i64 guess = up >= 0 ? (value + ((i64{1} << up) >> 1)) >> up : value << -up;
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
    i64 mean_, inv_ = 0, base_ = 0, rest_ = 0, spread_ = 0;
    std::size_t scale_ = 0;
    i32 low_, high_;
    int shift_;
};

}  // namespace featcodec::ctx
