#include "rans_profile.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "bits.h"
#include "rans_profile_decoder.h"

namespace featcodec::rans {
namespace {

constexpr std::size_t kMostWords = 3;  // that one value takes: an escape, its length, its bits

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

// Sign into the lowest bit: the order of a table's symbols.
std::uint32_t folded(std::int32_t value) { return static_cast<std::uint32_t>(value < 0 ? -2 * value - 1 : 2 * value); }

void push_escape(Pushing &out, std::uint32_t &x, std::uint32_t symbol) {
    const int below = std::max(static_cast<int>(std::bit_width(symbol)) - 1, 0);
    out.bits(x, below ? symbol - (1u << below) : symbol, std::max(below, 1));
    out.bits(x, static_cast<std::uint32_t>(below), 4);
}

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
    std::fill_n(symbols, count(), std::int16_t{0});
    pop_all(*this, data, size, [symbols](std::size_t at, std::int16_t value) { symbols[at] = value; });
}

}  // namespace featcodec::rans
