#include "rans_profile.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "bits.h"

namespace featcodec::rans {
namespace {

constexpr std::size_t kMany = 65536;  // values from which four states take turns
constexpr std::size_t kMostStates = 4;
constexpr std::size_t kMostWords = 3;  // that one value takes: an escape, its length, its bits

std::size_t states_for(std::size_t count) { return count < kMany ? 1 : kMostStates; }
std::uint32_t start_for(std::size_t count) { return count < kMany ? 0 : kLow; }

// Writes words back to front. The states are members of arrays that the caller keeps in registers.
class Pushing {
   public:
    explicit Pushing(std::size_t words)
        : words_(std::make_unique_for_overwrite<std::uint16_t[]>(words)), end_(&words_[words]), at_(end_) {}

    void symbol(std::uint32_t &x, const EncoderEntry &entry) {
        room(x, (x >> (32 - kBits)) >= entry.frequency);
        const auto quotient = static_cast<std::uint32_t>((x * entry.reciprocal) >> 46);
        x += entry.start + quotient * (kTotal - entry.frequency);
    }

    void bits(std::uint32_t &x, std::uint32_t value, int count) {
        room(x, (x >> (32 - count)) != 0);
        x = x << count | value;
    }

    std::vector<std::uint8_t> take(std::uint8_t mode, const std::uint32_t *states, std::size_t count) const {
        std::vector<std::uint8_t> out{mode};
        out.reserve(1 + 4 * count + 2 * static_cast<std::size_t>(end_ - at_));
        for (std::size_t s = 0; s < count; ++s)
            for (std::uint32_t x = states[s], n = 0; count > 1 ? n < 4 : x != 0; x >>= 8, ++n)
                out.push_back(static_cast<std::uint8_t>(x));
        for (const std::uint16_t *word = at_; word != end_; ++word) {
            out.push_back(static_cast<std::uint8_t>(*word));
            out.push_back(static_cast<std::uint8_t>(*word >> 8));
        }
        return out;
    }

   private:
    // A branch: about every sixteenth bit takes it, so it is mostly foreseen.
    void room(std::uint32_t &x, bool full) {
        if (!full) return;
        *--at_ = static_cast<std::uint16_t>(x);
        x >>= 16;
    }

    std::unique_ptr<std::uint16_t[]> words_;
    std::uint16_t *end_, *at_;
};

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

// Sign into the lowest bit: the order of a table's symbols.
std::uint32_t folded(std::int32_t value) { return static_cast<std::uint32_t>(value < 0 ? -2 * value - 1 : 2 * value); }

void push_escape(Pushing &out, std::uint32_t &x, std::uint32_t symbol) {
    const int below = std::max(static_cast<int>(std::bit_width(symbol)) - 1, 0);
    out.bits(x, below ? symbol - (1u << below) : symbol, std::max(below, 1));
    out.bits(x, static_cast<std::uint32_t>(below), 4);
}

std::uint32_t pop_escape(Popping &in, std::uint32_t &x) {
    const int below = static_cast<int>(in.bits(x, 4));
    return in.bits(x, std::max(below, 1)) + (below ? 1u << below : 0);
}

// Any symbol but 0, whose slots are already excluded.
std::uint32_t find_other(const ProfileTables::Lookup &table, std::uint32_t slot) {
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

template <std::size_t S>
void push_row(Pushing &out, std::uint32_t *states, const ProfileTables &tables, const std::uint8_t *chosen,
              const std::int16_t *symbols, std::size_t components, std::size_t first) {
    std::uint32_t only = states[0];  // in a register where there is but one
    for (std::size_t c = components; c-- > 0;) {
        std::uint32_t &x = S == 1 ? only : states[(first + c) % S];
        const EncoderEntry *entries = tables.entries(chosen[c]);
        std::uint32_t symbol = folded(symbols[c]);
        if (symbol >= tables.escape() || entries[symbol].frequency == 0) [[unlikely]] {
            push_escape(out, x, symbol);
            symbol = tables.escape();
        }
        out.symbol(x, entries[symbol]);
    }
    if (S == 1) states[0] = only;
}

// Writes what is not 0 only.
template <std::size_t S>
void pop_row(Popping &in, const ProfileTables &tables, const std::uint8_t *chosen, std::int16_t *symbols,
             std::size_t components, std::size_t first) {
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
        symbols[c] = static_cast<std::int16_t>(unfold(symbol));
    }
    if (S == 1) in.x[0] = only;
}

}  // namespace

ProfileTables::ProfileTables(const std::uint16_t *counts, std::size_t tables, std::size_t symbols)
    : tables_(tables), symbols_(symbols), starts_(symbols + 6), stride_(starts_ + (kTotal >> kProfileBucketShift)),
      lookups_(tables * stride_, static_cast<std::uint16_t>(kTotal)) {
    entries_.reserve(tables * symbols);
    for (std::size_t t = 0; t < tables; ++t, counts += symbols) {
        const Table encoder({counts, counts + symbols}, true);
        if (counts[symbols - 1] == 0) throw Corrupt("a table without an escape");
        entries_.insert(entries_.end(), encoder.entries.begin(), encoder.entries.end());
        std::uint16_t *starts = &lookups_[t * stride_], *first = starts + starts_;
        std::copy(encoder.starts.begin(), encoder.starts.end(), starts);
        std::uint16_t symbol = 0;
        for (std::uint32_t bucket = 0; bucket < kTotal >> kProfileBucketShift; ++bucket) {
            while (starts[symbol + 1u] <= bucket << kProfileBucketShift) ++symbol;
            first[bucket] = symbol;
        }
    }
}

std::vector<std::uint8_t> ProfileCoder::encode(const std::int16_t *symbols) const {
    Magnitudes magnitudes(contexts ? blocks * rows : 0, components);
    for (std::size_t row = 0; row < magnitudes.sums.size(); ++row) magnitudes.note(row, symbols + row * components);
    RowTables tables_of(*this, magnitudes);
    Pushing out(kMostWords * count());
    const std::size_t streams = states_for(count());
    std::uint32_t states[kMostStates];
    std::fill_n(states, kMostStates, start_for(count()));
    for (std::size_t block = blocks; block-- > 0;)
        for (std::size_t j = rows; j-- > 0;) {
            const std::size_t first = (block * rows + j) * components;
            const std::uint8_t *chosen_here = tables_of(block, j);
            if (streams == 1)
                push_row<1>(out, states, *tables, chosen_here, symbols + first, components, first);
            else
                push_row<kMostStates>(out, states, *tables, chosen_here, symbols + first, components, first);
        }
    auto coded = out.take(contexts ? 4 : 3, states, streams);
    if (coded.size() > 2 * count()) {
        coded.assign(1, 0);
        const auto *bytes = reinterpret_cast<const std::uint8_t *>(symbols);
        coded.insert(coded.end(), bytes, bytes + 2 * count());
    }
    return coded;
}

void ProfileCoder::decode(const std::uint8_t *data, std::size_t size, std::int16_t *symbols) const {
    Popping in(data, size, count());
    Magnitudes magnitudes(contexts ? blocks * rows : 0, components);
    RowTables tables_of(*this, magnitudes);
    const std::size_t streams = states_for(count());
    std::fill_n(symbols, count(), std::int16_t{0});
    for (std::size_t block = 0; block < blocks; ++block)
        for (std::size_t j = 0; j < rows; ++j) {
            const std::size_t row = block * rows + j, first = row * components;
            const std::uint8_t *chosen_here = tables_of(block, j);
            if (streams == 1)
                pop_row<1>(in, *tables, chosen_here, symbols + first, components, first);
            else
                pop_row<kMostStates>(in, *tables, chosen_here, symbols + first, components, first);
            if (contexts) magnitudes.note(row, symbols + first);
        }
    in.finish(streams);
}

}  // namespace featcodec::rans
