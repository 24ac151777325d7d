// Flags of the coder `ctx` that come before a symbol: whether it is 0, and whether it is the likeliest value.
#pragma once

#include <cstdlib>

#include "ctx_mixer.h"
#include "ctx_model.h"

namespace featcodec::ctx {

template <class Mixer>
class Flags {
  public:
    Flags(const Shape &s, const Rules &rules)
        : s_(s), mixed_(rules.mixed), step_(s.shift()), near_row_(s.width), third_row_(s.width),
          north_(s.width + 2), other_(s.width + 1) {
        if (rules.large && step_ >= 0) step_scale_ = eighth_octave(256u << step_);
    }

    // A new channel, of a large map.
    void forget() {
        third_.fill({});
        level_.fill({});
        side_level_.fill({});
    }

    // Zero contexts of a row, as far as they need no left neighbour.
    void row(const u16 *values, const std::vector<std::size_t> &refs, std::size_t channel, std::size_t y) {
        const std::size_t width = s_.width;
        // Whether each pixel is 0; those beyond the map count as not 0.
        const auto zeros = [width](const u16 *from, u8 *to) {
            for (std::size_t x = 0; x < width; ++x) to[x] = from[x] == 0;
        };
        u8 *near = near_row_.data(), *third = third_row_.data(), *n = north_.data() + 1, *other = other_.data();
        if (y == 0) {
            std::fill(near_row_.begin(), near_row_.end(), u8{0});
            std::fill(third_row_.begin(), third_row_.end(), u8{0});
        } else {
            const u16 *north = values + channel * s_.area() + (y - 1) * width;
            zeros(north, n);
            zeros(y > 1 ? north - width : north, other);
            const u8 *west = n - 1, *east = n + 1;
            for (std::size_t x = 0; x < width; ++x) {
                near[x] = static_cast<u8>(2 * n[x] + 4 * (west[x] + east[x]));
                third[x] = static_cast<u8>(2 * n[x] + 4 * east[x] + 16 * other[x]);
            }
        }
        if (refs.empty()) {
            for (std::size_t x = 0; x < width; ++x) third[x] = static_cast<u8>(third[x] + 32 * 7);
            return;
        }
        const u16 *first = values + refs[0] * s_.area() + y * width;
        zeros(first, other);
        other[width] = other[width - 1];
        const u16 *down = y + 1 < s_.height ? first + width : first;
        const u8 *east = other + 1;
        for (std::size_t x = 0; x < width; ++x)
            third[x] = static_cast<u8>(third[x] + 32 * (other[x] + 2 * east[x] + 4 * (down[x] == 0)));
        if (refs.size() == 1) {
            for (std::size_t x = 0; x < width; ++x) near[x] = static_cast<u8>(near[x] + 12 * (1 + other[x]));
            return;
        }
        const u16 *second = values + refs[1] * s_.area() + y * width;
        for (std::size_t x = 0; x < width; ++x)
            near[x] = static_cast<u8>(near[x] + 12 * (3 + 2 * other[x] + (second[x] == 0)));
    }

    // Codes whether the symbol at `x` is 0.
    template <class Sink>
    bool zero(Sink &sink, const u16 *row, std::size_t x, i32 mean, std::size_t bucket) {
        const int n = near_row_[x] >> 1 & 1, w = x ? row[x - 1] == 0 : n, ww = x > 1 ? row[x - 2] == 0 : w;
        const int size = quarter_octave(static_cast<u32>(std::abs(mean)));
        const int ratio = std::clamp(size - static_cast<int>(bucket) + 8, 0, 23);
        const int sign = mean >= 0 ? 8 + ratio : 7 - std::min(7, ratio / 3);
        Bit &a = near_[static_cast<std::size_t>(near_row_[x] + w)];
        Bit &b = far_[32 * (bucket / 8) + static_cast<std::size_t>(sign)];
        if (mixed_) {
            Bit &c = third_[static_cast<std::size_t>(third_row_[x] + w + 8 * ww)];
            return code(sink, zero_mixer_, {&a, &b, &c}, row[x] == 0);
        }
        const bool zero = sink.flag(squashed(5 * (a.stretched() + b.stretched()) >> 3), row[x] == 0);
        a.update(zero);
        b.update(zero);
        return zero;
    }

    // Where one value is likely, codes whether the symbol is that, else on which side it lies.
    template <class Sink>
    void likeliest(Sink &sink, const u16 *row, std::size_t x, bool inner, Slot &slot) {
        const int relative = step_scale_ - int{slot.scale} + 8;
        if (relative < 0 || slot.low == slot.last) return;
        const i32 g = std::clamp((slot.mean + (8 << step_)) >> (step_ + 4), i32{slot.low}, i32{slot.last});
        const u16 *north = row - s_.width;
        const i32 n = inner ? north[x] : g, w = x ? row[x - 1] : n, nw = inner && x ? north[x - 1] : n;
        const i32 ne = inner && x + 1 < s_.width ? north[x + 1] : n;
        const auto side = [g](i32 v, i32 most) { return std::clamp(v - g, -most, most) + most; };
        const i32 off = (slot.mean - (g << (step_ + 4))) >> step_, away = std::abs(off);
        const i32 place = std::min(23, relative / 4) * 12 + (away <= 8 ? away : away < 16 ? 9 : away < 32 ? 10 : 11);
        const auto around = static_cast<std::size_t>((side(w, 2) * 5 + side(n, 2)) * 9 + side(nw, 1) * 3 + side(ne, 1));
        const auto level = static_cast<std::size_t>(std::min(g, 31) * 9 + side(n, 1) * 3 + side(w, 1));
        Mixer &mixer = mixers_[static_cast<std::size_t>((w == g) + (n == g) + (nw == g) + (ne == g))];
        Bit &near_mean = place_[static_cast<std::size_t>(place)];
        if (code(sink, mixer, {&near_mean, &around_[around], &level_[level]}, row[x] == g)) {
            slot.low = slot.last = static_cast<u16>(g);
            return;
        }
        bool up = g == slot.low;
        if (!up && g != slot.last) {
            const auto where = static_cast<std::size_t>(std::min(23, relative / 4) * 17 + std::clamp(off, -8, 8) + 8);
            up = code(sink, side_mixer_, {&side_place_[where], &side_around_[around], &side_level_[level]}, row[x] > g);
        }
        if (up)
            slot.low = static_cast<u16>(g + 1);
        else
            slot.last = static_cast<u16>(g - 1);
    }

  private:
    template <class Sink>
    static bool code(Sink &sink, Mixer &mixer, const std::array<Bit *, 3> &bits, bool value) {
        const auto in = Mixer::inputs(bits);
        const i32 p = mixer.mix(in);
        const bool one = sink.flag(p, value);
        mixer.update(in, p, one);
        for (Bit *bit : bits) bit->update(one);
        return one;
    }

    const Shape &s_;
    bool mixed_;
    int step_, step_scale_ = -1000;  // a step between values is 2^step_ taps; its scale index
    std::vector<u8> near_row_, third_row_, north_, other_;
    std::array<Bit, 84> near_;
    std::array<Bit, 256> far_, third_;
    Mixer zero_mixer_;
    std::array<Bit, 288> place_, level_;
    std::array<Bit, 225> around_;
    std::array<Bit, 408> side_place_;
    std::array<Bit, 225> side_around_;
    std::array<Bit, 288> side_level_;
    Mixer side_mixer_;
    std::array<Mixer, 5> mixers_;
};

}  // namespace featcodec::ctx
