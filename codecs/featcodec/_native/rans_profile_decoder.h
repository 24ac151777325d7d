// Decoding a profile's symbols one after the other: what becomes of them is the caller's to say, inlined into the loop.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bits.h"
#include "rans_profile.h"

namespace featcodec::rans {

inline constexpr std::size_t kMany = 65536;  // values from which four states take turns
inline constexpr std::size_t kMostStates = 4;

inline std::size_t states_for(std::size_t count) { return count < kMany ? 1 : kMostStates; }
inline std::uint32_t start_for(std::size_t count) { return count < kMany ? 0 : kLow; }

class Popping {
   public:
    Popping(const std::uint8_t *data, std::size_t size, std::size_t count) : start_(start_for(count)) {
        const std::size_t states = states_for(count);
        const std::size_t width = states > 1 ? 4 : size <= 4 ? size : 3 + (size + 1) % 2, head = states * width;
        if (size < head || (size - head) % 2) throw Corrupt("the payload is cut short or has bytes left over");
        for (std::size_t s = 0; s < states; ++s)
            for (std::size_t b = 0; b < width; ++b) x[s] |= static_cast<std::uint32_t>(*data++) << (8 * b);
        words_.resize((size - head) / 2);
        for (auto &word : words_) word = static_cast<std::uint16_t>(data[0] | data[1] << 8), data += 2;
        next_ = words_.data();
        end_ = next_ + words_.size();
    }

    std::uint32_t refilled(std::uint32_t state) {
        if (state < kLow && next_ != end_) [[unlikely]]
            return state << 16 | *next_++;
        return state;
    }

    std::uint32_t bits(std::uint32_t &state, int count) {
        const std::uint32_t value = state & ((1u << count) - 1);
        state = refilled(state >> count);
        return value;
    }

    // Raises unless all is used and every state is where the encoder began.
    void finish(std::size_t states) const {
        if (next_ != end_ || std::any_of(x, x + states, [&](std::uint32_t state) { return state != start_; }))
            throw Corrupt("the payload's states do not end where they began");
    }

    std::uint32_t x[kMostStates] = {};

   private:
    std::vector<std::uint16_t> words_;
    const std::uint16_t *next_, *end_;
    std::uint32_t start_;
};

inline std::uint32_t pop_escape(Popping &in, std::uint32_t &x) {
    const int below = static_cast<int>(in.bits(x, 4));
    return in.bits(x, std::max(below, 1)) + (below ? 1u << below : 0);
}

// Any symbol but 0, whose slots are already excluded.
inline std::uint32_t find_other(const ProfileTables::Lookup &table, std::uint32_t slot) {
    const std::uint16_t *starts = table.starts;
    if (slot < starts[5]) return 1u + (slot >= starts[2]) + (slot >= starts[3]) + (slot >= starts[4]);
    std::uint32_t symbol = table.first[slot >> kProfileBucketShift];
    while (starts[symbol + 1] <= slot) ++symbol;  // ends: the last start is kTotal
    return symbol;
}

// The tables of one row after the other, in either direction.
class RowTables {
   public:
    RowTables(const ProfileCoder &coder, const Magnitudes &before)
        : coder_(coder), before_(before), sums_(coder.contexts ? coder.components : 0), tables_(sums_.size()) {}

    const std::uint8_t *operator()(std::size_t block, std::size_t row) {
        if (!coder_.contexts) return &coder_.chosen[row * coder_.components];
        return coder_.contexts->tables(block, row, before_, sums_.data(), tables_.data());
    }

   private:
    const ProfileCoder &coder_;
    const Magnitudes &before_;
    std::vector<std::uint32_t> sums_;
    std::vector<std::uint8_t> tables_;
};

// Calls `put` with place and value of what is not 0 only.
template <std::size_t S, class Put>
void pop_row(Popping &in, const ProfileTables &tables, const std::uint8_t *chosen, std::size_t components,
             std::size_t first, Put put) {
    std::uint32_t only = in.x[0];
    for (std::size_t c = 0; c < components; ++c) {
        std::uint32_t &x = S == 1 ? only : in.x[(first + c) % S];
        const ProfileTables::Lookup table = tables.lookup(chosen[c]);
        const std::uint32_t slot = x & (kTotal - 1), zero = table.starts[1];
        if (slot < zero) {
            x = in.refilled(zero * (x >> kBits) + slot);
            continue;
        }
        std::uint32_t symbol = find_other(table, slot);
        const std::uint32_t start = table.starts[symbol];
        x = in.refilled((table.starts[symbol + 1] - start) * (x >> kBits) + slot - start);
        if (symbol == tables.escape()) [[unlikely]]
            symbol = pop_escape(in, x);
        put(c, static_cast<std::int16_t>(unfold(symbol)));
    }
    if (S == 1) in.x[0] = only;
}

// Rows in coding order: `put` gets the place among all values and the value of what is not 0.
template <class Put>
void pop_all(const ProfileCoder &coder, const std::uint8_t *data, std::size_t size, Put put) {
    Popping in(data, size, coder.count());
    const std::size_t components = coder.components, streams = states_for(coder.count());
    Magnitudes magnitudes(coder.contexts ? coder.blocks * coder.rows : 0, components);
    RowTables tables_of(coder, magnitudes);
    const auto pop = [&](const std::uint8_t *chosen, std::size_t first, auto found) {
        if (streams == 1)
            pop_row<1>(in, *coder.tables, chosen, components, first, found);
        else
            pop_row<kMostStates>(in, *coder.tables, chosen, components, first, found);
    };
    for (std::size_t block = 0; block < coder.blocks; ++block)
        for (std::size_t j = 0; j < coder.rows; ++j) {
            const std::size_t row = block * coder.rows + j, first = row * components;
            const std::uint8_t *chosen = tables_of(block, j);
            if (!coder.contexts) {
                pop(chosen, first, [&](std::size_t c, std::int16_t value) { put(first + c, value); });
                continue;
            }
            Magnitudes::Row note = magnitudes.row(row);
            pop(chosen, first, [&](std::size_t c, std::int16_t value) {
                note.add(c, value);
                put(first + c, value);
            });
            note.end();
        }
    in.finish(streams);
}

}  // namespace featcodec::rans
