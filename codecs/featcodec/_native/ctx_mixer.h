// Logistic mixing of three probabilities in the coder `ctx`, with learned weights. docs/ctx.md describes it.
#pragma once

#include "ctx_adaptive.h"

#ifdef __SSE2__  // every x86-64 has it
#include <emmintrin.h>
#endif

namespace featcodec::ctx {

// With weights of 32 bits, Q16: of mode 3.
class WideMixer {
  public:
    using Inputs = std::array<i32, 3>;  // stretched
    static Inputs inputs(const std::array<Bit *, 3> &bits) {
        return {bits[0]->stretched(), bits[1]->stretched(), bits[2]->stretched()};
    }
    [[nodiscard]] i32 mix(const Inputs &in) const {
        return squashed((weight_[0] * in[0] + weight_[1] * in[1] + weight_[2] * in[2]) >> 16);
    }
    void update(const Inputs &in, i32 p, bool one) {
        const i32 error = (one ? 65535 : 0) - p;
        for (std::size_t i = 0; i < 3; ++i)
            weight_[i] = std::clamp(weight_[i] + ((in[i] * error + 32768) >> 16), -kMost, kMost);
    }

  private:
    static constexpr i32 kMost = 131072;  // so that a mixture fits 32 bits
    Inputs weight_{27307, 27307, 27307};
};

// With weights of 16 bits, Q14: of mode 4. Vectors give the same in a quarter of the instructions.
class Mixer {
  public:
#ifdef __SSE2__
    using Inputs = __m128i;
    static Inputs inputs(const std::array<Bit *, 3> &bits) {
        return _mm_setr_epi16(bits[0]->stretched(), bits[1]->stretched(), bits[2]->stretched(), 0, 0, 0, 0, 0);
    }
    [[nodiscard]] i32 mix(const Inputs &in) const {
        const __m128i pairs = _mm_madd_epi16(in, weights());
        return squashed(_mm_cvtsi128_si32(_mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, 1))) >> 14);
    }
    void update(const Inputs &in, i32 p, bool one) {
        const auto error = static_cast<std::int16_t>(((one ? 65535 : 0) - p) >> 1);
        const __m128i moved = _mm_mulhi_epi16(in, _mm_set1_epi16(error));
        const __m128i step = _mm_srai_epi16(_mm_add_epi16(moved, _mm_set1_epi16(1)), 1);
        _mm_storel_epi64(reinterpret_cast<__m128i *>(weight_.data()), _mm_adds_epi16(weights(), step));
    }
#else
    using Inputs = std::array<i32, 3>;
    static Inputs inputs(const std::array<Bit *, 3> &bits) {
        return {bits[0]->stretched(), bits[1]->stretched(), bits[2]->stretched()};
    }
    [[nodiscard]] i32 mix(const Inputs &in) const {
        return squashed((weight_[0] * in[0] + weight_[1] * in[1] + weight_[2] * in[2]) >> 14);
    }
    void update(const Inputs &in, i32 p, bool one) {
        const i32 error = ((one ? 65535 : 0) - p) >> 1;
        for (std::size_t i = 0; i < 3; ++i) {
            const i32 moved = weight_[i] + ((((in[i] * error) >> 16) + 1) >> 1);
            weight_[i] = static_cast<std::int16_t>(std::clamp(moved, -32768, 32767));
        }
    }
#endif

  private:
#ifdef __SSE2__
    [[nodiscard]] __m128i weights() const {
        return _mm_loadl_epi64(reinterpret_cast<const __m128i *>(weight_.data()));
    }
#endif
    alignas(8) std::array<std::int16_t, 4> weight_{6827, 6827, 6827, 0};
};

}  // namespace featcodec::ctx
