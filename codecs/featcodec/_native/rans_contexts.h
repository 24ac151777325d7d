// A coefficient's table from the magnitudes of rows coded before it. The reference is featcodec/profile_contexts.py.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace featcodec::rans {

constexpr int kMostMagnitude = 127;
constexpr std::uint32_t kMostSum = 8191;

// What was coded so far: clamped magnitudes of every coefficient, and each row's clamped sum.
struct Magnitudes {
    std::vector<std::uint8_t> of;
    std::vector<std::uint16_t> sums;
    std::size_t components;

    Magnitudes(std::size_t rows, std::size_t components)
        : of(rows * components), sums(rows), components(components) {}
    // One row's symbols.
    void note(std::size_t row, const std::int16_t *symbols);

    // The same symbol by symbol, of a row that is noted for the first time: those that are 0 need not be added.
    class Row {
       public:
        Row(std::uint8_t *of, std::uint16_t &sum) : of_(of), sum_(sum) {}
        void add(std::size_t c, std::int16_t symbol) {
            const int magnitude = std::min(symbol < 0 ? -symbol : symbol, kMostMagnitude);
            of_[c] = static_cast<std::uint8_t>(magnitude);
            total_ += static_cast<std::uint32_t>(magnitude);
        }
        void end() { sum_ = static_cast<std::uint16_t>(std::min(total_, kMostSum)); }

       private:
        std::uint8_t *of_;
        std::uint16_t &sum_;
        std::uint32_t total_ = 0;
    };
    Row row(std::size_t row) { return {&of[row * components], sums[row]}; }
};

class Contexts {
   public:
    struct Given {
        std::size_t patterns, rows, terms, components, blocks;
        const std::int32_t *pattern;      // (blocks)
        const std::int32_t *back;         // (patterns, rows, terms): rows back, 0: takes no part
        const std::uint8_t *weights;      // (terms, 2)
        const std::int32_t *bias;         // (patterns, rows, components)
        const std::uint8_t *quiet;        // (patterns, rows, components): tables where all that is referred to is 0
        const std::int32_t *logarithms;   // (32 * 64): beta * log16 by bit length - 1 and the six bits that follow
        std::uint32_t alpha, top;
    };
    // Copies what is given; raises std::invalid_argument where an index would lead outside.
    explicit Contexts(const Given &given);

    // The tables of row `row` of block `block`, from the rows before it. Uses `sums` (components) as working space.
    // The result is valid until the next call with the same `tables`.
    const std::uint8_t *tables(std::size_t block, std::size_t row, const Magnitudes &before, std::uint32_t *sums,
                               std::uint8_t *tables) const;

   private:
    std::size_t rows_, terms_, components_;
    std::vector<std::int32_t> pattern_, back_, bias_, logarithms_;
    std::vector<std::uint8_t> weights_, quiet_;
    std::uint32_t alpha_, most_;  // most_: what the components' own terms add at most
    std::int32_t top_;
};

}  // namespace featcodec::rans
