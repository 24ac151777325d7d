// The model of the coder `ctx`: prediction, scale and contexts of every symbol, the same for both directions.
// docs/ctx.md describes it; the reference is featcodec/array_coders/ctx_model.py.
#pragma once

#include <cstddef>
#include <vector>

#include "ctx_adaptive.h"
#include "ctx_distribution.h"

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

// Where the models of modes 3 and 4 differ from that of mode 2.
struct Rules {
    bool mixed = false;    // biases, three mixed zero contexts, the error of WW in the scale
    bool large = false;    // also flags for the likeliest value; channels share less of what they learn
    i64 ridge = 10, reference_ridge = 10;  // pixels that the prior weights are worth
    i32 scale_limit = 200;
    bool seldom = false;  // weights are solved only after a quarter more pixels
    Rules(const Shape &s, int mode) {
        if (mode == 2) return;
        mixed = true;
        large = !s.small();
        ridge = large ? 10 : 150;
        reference_ridge = large ? 20 : 25;
        scale_limit = 100;
        if (mode == 3) return;
        seldom = true;
    }
};

using TapRows = std::array<const std::int16_t *, kMaxTaps>;

// Weighted least squares with a ridge toward earlier channels' weights, all in integers.
class Solver {
  public:
    explicit Solver(const Rules &rules)
        : ridge_(rules.ridge), reference_ridge_(rules.reference_ridge), seldom_(rules.seldom) {}
    void start(int taps);
    void add(const TapRows &taps, const std::int16_t *target, std::size_t count);
    void refresh();  // solves where enough was added since the last time
    void finish();
    std::array<std::int16_t, kMaxTaps> weight{};  // Q13

  private:
    void flush();
    void solve();
    i64 ridge_, reference_ridge_;
    bool seldom_;
    int taps_ = 0;
    i64 count_ = 0, solved_ = 0;  // pixels added, and of those the ones in the weights
    std::array<std::array<i64, kMaxTaps>, kMaxTaps> a_{};
    std::array<i64, kMaxTaps> b_{};
    // Products not yet in `a_` and `b_`, eight sums for each of their numbers, of as many pixels as 32 bits can hold:
    // two products of 2^22 for every sixteen.
    static constexpr std::size_t kMostHeld = 240 * 16;
    std::size_t held_ = 0;
    alignas(32) std::array<i32, 8 * kMaxTaps * (kMaxTaps + 3) / 2> lanes_{};
    std::array<i32, kMaxTaps> prior_{4096, 4096, -2048, 1024};
};

// base = sum of weight * tap over all taps but the first.
void combine(const TapRows &taps, const std::int16_t *weight, int count, i32 *base, std::size_t pixels);

// Sum of products of taps.
i64 dot(const std::int16_t *x, const std::int16_t *y, std::size_t count);

// Chooses references (encoder only).
void choose_references(const Shape &shape, const u16 *values, Choices &choices);

}  // namespace featcodec::ctx
