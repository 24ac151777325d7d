// The pass over all symbols, included by both directions.
#pragma once

#include <cstdlib>

#include "ctx_flags.h"
#include "ctx_model.h"

namespace featcodec::ctx {

using Row = std::vector<std::int16_t>;

// `Sink` has `bool flag(i32 p, bool value)`, `i32 symbol(const Slot &, u16 value)` and `bool good()`;
// an encoder's returns the value that it is given.
template <class Sink, class Mixer>
class Pass {
  public:
    Pass(const Shape &s, const Choices &choices, const Rules &rules, u16 *values, Sink &sink)
        : s_(s), choices_(choices), rules_(rules), values_(values), sink_(sink), solver_(rules), flags_(s, rules),
          window_(std::min<std::size_t>(s.channels, kWindow + 1)), shift_(s.shift()) {
        for (auto &set : scales_)
            for (std::size_t b = 0; b < 64; ++b) set[b].value = kTables.first[b];
        if (window_ > 1) {
            error_.resize(window_ * s.area());
            if (s.small()) innovation_.resize(window_ * s.area());
        }
        mean_.assign(window_, 0);
        spread_.assign(window_, 1);
        // Sums of products take sixteen pixels at a time; what lies beyond the row stays 0.
        const std::size_t padded = (s.width + 15) / 16 * 16;
        for (auto &row : taps_) row.resize(padded);
        target_.resize(padded);
        base_.resize(s.width);
        context_.resize(s.width);
        above_.resize(s.width + 2);
        here_.resize(s.width + 2);
    }

    // False where the stream ends too early.
    bool run() {
        for (std::size_t c = 0; c < s_.channels; ++c) {
            start(c);
            for (std::size_t y = 0; y < s_.height; ++y) {
                if (choices_.zeros) flags_.row(values_, refs_, channel_, y);
                for (std::size_t first = 0; first < s_.width; first += kBlock)
                    if (!block(y, first, std::min(s_.width, first + kBlock))) return false;
                here_[0] = here_[1];
                here_[s_.width + 1] = here_[s_.width];
                std::swap(above_, here_);
            }
            finish();
        }
        return true;
    }

  private:
    [[nodiscard]] i32 tap(u16 x) const { return shift_ >= 0 ? i32{x} << shift_ : i32{x} >> -shift_; }
    [[nodiscard]] std::size_t ring(std::size_t c) const { return (c % window_) * s_.area(); }

    void start(std::size_t c) {
        channel_ = c;
        refs_.clear();
        for (std::size_t r = 0; r < choices_.count[c]; ++r) refs_.push_back(c - choices_.distance[c * kMaxRefs + r]);
        count_ = 4 + (s_.small() ? 1 : 5) * static_cast<int>(refs_.size());
        solver_.start(count_);
        sum_ = seen_ = errors_ = 0;
        std::fill(above_.begin(), above_.end(), static_cast<i32>(global_error_));
        if (rules_.large || c == 0) biases_.fill({});
        if (rules_.large) flags_.forget();
    }

    void finish() {
        solver_.finish();
        mean_[channel_ % window_] = static_cast<i32>(sum_ / seen_);
        spread_[channel_ % window_] = static_cast<i32>(errors_ / seen_) + 1;
        global_mean_ += (sum_ / seen_ - global_mean_) >> 2;
        global_error_ = (3 * global_error_ + errors_ / seen_ + 2) >> 2;
    }

    bool block(std::size_t y, std::size_t first, std::size_t last) {
        centre_ = static_cast<i32>((sum_ + 4 * global_mean_) / (seen_ + 4));
        const i32 typical = static_cast<i32>((errors_ + 16 * global_error_) / (seen_ + 16));
        spatial_taps(y, first, last);
        const i32 shares = (rules_.mixed ? 1 : 2) + (refs_.empty() ? 2 : 0);
        for (std::size_t x = first; x < last; ++x)
            context_[x] = 2 * above_[x + 1] + above_[x] + above_[x + 2] + shares * typical;
        for (std::size_t r = 0; r < refs_.size(); ++r) {
            reference_taps(r, y, first, last);
            if (r < 2) reference_errors(refs_[r], typical, y, first, last);
        }
        TapRows from{};
        for (std::size_t i = 0; i < static_cast<std::size_t>(count_); ++i) from[i] = taps_[i].data() + first;
        combine(from, solver_.weight.data(), count_, base_.data() + first, last - first);
        if (choices_.zeros)
            pixels<true>(y, first, last);
        else
            pixels<false>(y, first, last);
        if (!sink_.good()) return false;
        remember(y, first, last);
        solver_.add(from, target_.data() + first, last - first);
        solver_.refresh();
        return true;
    }

    void spatial_taps(std::size_t y, std::size_t first, std::size_t last) {
        const u16 *north = y ? values_ + channel_ * s_.area() + (y - 1) * s_.width : nullptr;
        for (std::size_t x = first; x < last; ++x) {
            const i32 up = north ? tap(north[x]) - centre_ : 0;
            taps_[1][x] = static_cast<std::int16_t>(up);
            taps_[2][x] = static_cast<std::int16_t>(north && x ? tap(north[x - 1]) - centre_ : up);
            taps_[3][x] = static_cast<std::int16_t>(north && x + 1 < s_.width ? tap(north[x + 1]) - centre_ : up);
        }
    }

    void reference_taps(std::size_t r, std::size_t y, std::size_t first, std::size_t last) {
        if (s_.small()) {
            const std::int16_t *from = innovation_.data() + ring(refs_[r]) + y * s_.width;
            std::copy(from + first, from + last, taps_[4 + r].data() + first);
            return;
        }
        const std::size_t width = s_.width;
        const u16 *at = values_ + refs_[r] * s_.area() + y * width;
        const u16 *up = y ? at - width : at, *down = y + 1 < s_.height ? at + width : at;
        const i32 m = mean_[refs_[r] % window_];
        const auto fill = [&](std::size_t i, const u16 *row) {
            std::int16_t *out = taps_[4 + 5 * r + i].data();
            for (std::size_t x = first; x < last; ++x) out[x] = static_cast<std::int16_t>(tap(row[x]) - m);
            return out;
        };
        const std::int16_t *middle = fill(0, at);
        fill(2, up);
        fill(4, down);
        std::int16_t *west = taps_[5 + 5 * r].data(), *east = taps_[7 + 5 * r].data();
        std::copy(middle + first, middle + last - 1, west + first + 1);
        west[first] = static_cast<std::int16_t>(tap(at[first ? first - 1 : 0]) - m);
        std::copy(middle + first + 1, middle + last, east + first);
        east[last - 1] = static_cast<std::int16_t>(tap(at[last < width ? last : last - 1]) - m);
    }

    // A reference's errors tell how hard this place is.
    void reference_errors(std::size_t ref, i32 typical, std::size_t y, std::size_t first, std::size_t last) {
        const u32 ratio = (static_cast<u32>(typical) << 8) / static_cast<u32>(spread_[ref % window_]);
        const u16 *size = error_.data() + ring(ref) + y * s_.width;
        const int by = refs_.size() == 1 ? 9 : 10;
        i32 *context = context_.data();
        // Errors are at most 1920 here and `typical` is below 2048, so that the product fits 32 bits.
        const auto add = [=](std::size_t x, std::size_t left, std::size_t right) {
            const u32 local = 2u * size[x] + size[left] + size[right];
            context[x] += static_cast<i32>(std::min((local * ratio) >> by, 8192u));
        };
        const std::size_t from = std::max<std::size_t>(first, 1), to = std::min(last, s_.width - 1);
        if (first == 0) add(0, 0, s_.width > 1 ? 1 : 0);
        for (std::size_t x = from; x < to; ++x) add(x, x - 1, x + 1);
        if (last == s_.width && last > 1) add(last - 1, last - 2, last - 1);
    }

    // All that needs the pixel to the left: one symbol after another.
    template <bool zeros>
    void pixels(std::size_t y, std::size_t first, std::size_t last) {
        const i32 top = 1 << kTapBits, centre = centre_, west_weight = solver_.weight[0];
        u16 *row = values_ + channel_ * s_.area() + y * s_.width;
        std::int16_t *const wests = taps_[0].data();
        const std::int16_t *norths = taps_[1].data(), *nw = taps_[2].data(), *ne = taps_[3].data();
        const bool mixed = rules_.mixed, large = rules_.large;
        const u16 last_value = static_cast<u16>(s_.levels - 1);
        i32 error = first ? here_[first] : above_[1], before = first > 1 ? here_[first - 1] : error;
        for (std::size_t x = first; x < last; ++x) {
            const i32 west = x ? tap(row[x - 1]) - centre : norths[x];
            wests[x] = static_cast<std::int16_t>(west);
            const i32 predicted = centre * 16 + ((base_[x] + west_weight * west + 256) >> 9);
            Slot slot{std::clamp(predicted, -16 * top, 32 * top), 0, last_value, 0, 0};
            const u32 q = static_cast<u32>(context_[x] + 2 * error + (mixed ? before : 0));
            const auto bucket = static_cast<std::size_t>(std::min(63, quarter_octave(q)));
            Bias *bias = nullptr;
            if (mixed) {
                const i32 m = (slot.mean >> 4) - centre;
                const int sides = (west > m) + 2 * (norths[x] > m) + 4 * (nw[x] > m) + 8 * (ne[x] > m);
                bias = &biases_[static_cast<std::size_t>(sides) + 16 * (bucket / 4)];
                slot.mean = std::clamp(slot.mean + (bias->value >> 8), -16 * top, 32 * top);
            }
            i32 value = -1;
            if (zeros) {
                if (flags_.zero(sink_, row, x, slot.mean, bucket)) value = 0;
                slot.low = 1;
            }
            Mean &scale = scales_[zeros ? 1 : 0][bucket];
            if (value < 0) {
                slot.scale = static_cast<u8>(eighth_octave(static_cast<u32>(scale.value)));
                slot.group = static_cast<u8>((zeros ? 16 : 0) + bucket / 4);
                if (large) flags_.likeliest(sink_, row, x, y > 0, slot);
                value = slot.low == slot.last ? slot.low : sink_.symbol(slot, row[x]);
            }
            row[x] = static_cast<u16>(value);
            const i32 now = tap(row[x]), e = std::clamp(now - ((slot.mean + 8) >> 4), 1 - top, top - 1);
            target_[x] = static_cast<std::int16_t>(e);
            if (bias) bias->update(std::clamp(now * 16 - slot.mean, -16 * top, 16 * top));
            before = x ? error : std::abs(e);
            error = std::abs(e);
            here_[x + 1] = error;
            if (!zeros || value > 0) scale.update(error, rules_.scale_limit);
        }
    }

    // Keeps a block's errors for later rows and channels. `target_` holds them, then what the weights had to give.
    void remember(std::size_t y, std::size_t first, std::size_t last) {
        const u16 *row = values_ + channel_ * s_.area() + y * s_.width;
        const std::size_t at = ring(channel_) + y * s_.width;
        i32 sum = 0, errors = 0;
        for (std::size_t x = first; x < last; ++x) errors += here_[x + 1];
        if (!error_.empty())
            for (std::size_t x = first; x < last; ++x)
                error_[at + x] = kTables.middle[static_cast<std::size_t>(here_[x + 1])];
        if (!innovation_.empty())
            std::copy(target_.data() + first, target_.data() + last, innovation_.data() + at + first);
        for (std::size_t x = first; x < last; ++x) {
            sum += tap(row[x]);
            target_[x] = static_cast<std::int16_t>(tap(row[x]) - centre_);
        }
        sum_ += sum;
        errors_ += errors;
        seen_ += static_cast<i64>(last - first);
    }

    const Shape &s_;
    const Choices &choices_;
    const Rules &rules_;
    u16 *values_;
    Sink &sink_;
    Solver solver_;
    Flags<Mixer> flags_;
    std::size_t window_;
    int shift_;
    std::array<std::array<Mean, 64>, 2> scales_;
    std::array<Bias, 256> biases_;
    std::vector<u16> error_;            // |e|, to a quarter octave, the last `window_` channels
    Row innovation_;                    // e, likewise
    std::vector<i32> mean_, spread_;    // of each of those channels
    std::array<Row, kMaxTaps> taps_;
    Row target_;
    std::vector<i32> base_, context_, above_, here_;
    i64 global_mean_ = (1 << kTapBits) / 2, global_error_ = 64;
    // Of the channel and block in progress:
    std::vector<std::size_t> refs_;
    std::size_t channel_ = 0;
    int count_ = 0;
    i64 sum_ = 0, seen_ = 0, errors_ = 0;
    i32 centre_ = 0;
};

}  // namespace featcodec::ctx
