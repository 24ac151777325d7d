#include "rans_contexts.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace featcodec::rans {
namespace {

constexpr int kFraction = 6;
constexpr std::uint32_t kExactFloat = 1u << 24;

// The index of a number's logarithm: bit length - 1, then the six bits after the leading one.
std::size_t index_of(std::uint32_t number) {
    const int whole = std::bit_width(number) - 1;
    const std::uint64_t bits = (static_cast<std::uint64_t>(number) << kFraction) >> whole;
    return static_cast<std::size_t>(whole) * 64 + (bits - 64);
}

// The same for numbers below 2^24, which a float holds exactly: exponent and six bits lie side by side in it.
std::size_t index_of_small(std::uint32_t number) {
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<std::int32_t>(number)));
    return (bits >> (23 - kFraction)) - (127u << kFraction);
}

void require(bool holds) {
    if (!holds) throw std::invalid_argument("contexts that lead outside their tensor");
}

}  // namespace

void Magnitudes::note(std::size_t row, const std::int16_t *symbols) {
    Row noted = this->row(row);
    for (std::size_t c = 0; c < components; ++c) noted.add(c, symbols[c]);
    noted.end();
}

Contexts::Contexts(const Given &given)
    : rows_(given.rows), terms_(given.terms), components_(given.components),
      pattern_(given.pattern, given.pattern + given.blocks),
      back_(given.back, given.back + given.patterns * given.rows * given.terms),
      bias_(given.bias, given.bias + given.patterns * given.rows * given.components),
      logarithms_(given.logarithms, given.logarithms + 32 * 64),
      weights_(given.weights, given.weights + 2 * given.terms),
      quiet_(given.quiet, given.quiet + given.patterns * given.rows * given.components),
      alpha_(given.alpha), most_(0), top_(static_cast<std::int32_t>(given.top)) {
    require(given.alpha >= 1 && given.terms <= 16 && given.top < 256);
    std::vector<bool> seen(given.patterns);
    for (std::size_t b = 0; b < given.blocks; ++b) {
        const auto p = static_cast<std::size_t>(pattern_[b]);
        require(p < given.patterns);
        if (seen[p]) continue;  // later blocks of a pattern have more rows before them
        seen[p] = true;
        for (std::size_t j = 0; j < rows_; ++j)
            for (std::size_t k = 0; k < terms_; ++k) {
                const std::int32_t back = back_[(p * rows_ + j) * terms_ + k];
                require(back >= 0 && static_cast<std::size_t>(back) <= b * rows_ + j);
            }
    }
    for (auto table : quiet_) require(table <= given.top);
    for (std::size_t k = 0; k < terms_; ++k) most_ += 64u * kMostMagnitude * weights_[2 * k];
}

const std::uint8_t *Contexts::tables(std::size_t block, std::size_t row, const Magnitudes &before, std::uint32_t *sums,
                                     std::uint8_t *tables) const {
    const std::size_t at = static_cast<std::size_t>(pattern_[block]) * rows_ + row, here = block * rows_ + row;
    const std::int32_t *back = &back_[at * terms_];
    std::uint32_t base = alpha_;
    int used = 0;
    for (std::size_t k = 0; k < terms_; ++k) {
        if (back[k] == 0) continue;
        const std::size_t referred = here - static_cast<std::size_t>(back[k]);
        if (before.sums[referred] == 0) continue;  // adds nothing
        base += 64u * weights_[2 * k + 1] * before.sums[referred];
        const std::uint8_t *magnitudes = &before.of[referred * components_];
        const std::uint16_t own = weights_[2 * k];
        // Products of 8-bit numbers fit 16 bits.
        if (used++ == 0)
            for (std::size_t c = 0; c < components_; ++c) sums[c] = static_cast<std::uint16_t>(own * magnitudes[c]);
        else
            for (std::size_t c = 0; c < components_; ++c) sums[c] += static_cast<std::uint16_t>(own * magnitudes[c]);
    }
    if (used == 0) return &quiet_[at * components_];
    const std::int32_t *bias = &bias_[at * components_];
    const auto put = [&](std::size_t c, std::size_t index) {
        tables[c] = static_cast<std::uint8_t>(std::clamp((logarithms_[index] + bias[c]) >> 10, 0, top_));
    };
    if (base + most_ < kExactFloat)
        for (std::size_t c = 0; c < components_; ++c) put(c, index_of_small(base + 64 * sums[c]));
    else
        for (std::size_t c = 0; c < components_; ++c) put(c, index_of(base + 64 * sums[c]));
    return tables;
}

}  // namespace featcodec::rans
