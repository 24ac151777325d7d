// What the coder `ctx` adapts from symbol to symbol. docs/ctx.md describes it.
#pragma once

#include <algorithm>

#include "ctx_tables.h"

namespace featcodec::ctx {

// One step of a mean of `n` values toward another.
inline i32 moved(i32 value, i32 target, i32 n) {
    const i64 rate = kTables.rate[static_cast<std::size_t>(n)];
    return value + static_cast<i32>(((target - value) * rate) >> 16);
}

struct Bit {
    u16 p = 32768;  // of a 1
    u16 n = 2;
    void update(bool one) {
        const i32 away = (one ? 65535 : 0) - p;  // from count 2 on, its product with the rate fits 32 bits
        p = static_cast<u16>(p + ((away * kTables.rate[n]) >> 16));
        n = static_cast<u16>(n + (n < 90));
    }
    [[nodiscard]] std::int16_t stretched() const { return kTables.stretch[static_cast<std::size_t>(p >> 4)]; }
};

struct Mean {
    i32 value = 0;  // mean absolute error in 1/256 tap units
    i32 n = 6;
    void update(i32 error, i32 limit) {
        value = moved(value, error << 8, n);
        n += n < limit;
    }
};

struct Bias {
    i32 value = 0;  // 1/4096 tap
    i32 n = 10;
    void update(i32 error) {
        value = moved(value, error << 8, n);
        n += n < 200;
    }
};

inline i32 squashed(i32 i) { return kTables.squash[static_cast<std::size_t>(std::clamp(i, -4096, 4096) + 4096)]; }

}  // namespace featcodec::ctx
