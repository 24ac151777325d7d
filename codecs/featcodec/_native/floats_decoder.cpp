// A payload to values; the reference is featcodec/array_coders/floats_reference.py.
#include "floats_coder.h"
#include "floats_params.h"
#include "rans_model.h"

namespace featcodec::floats {
namespace {

using rans::Corrupt;
constexpr int kBucketShift = 4;

// Symbols by slot: the bucket gives the first candidate.
struct Table {
    struct Entry {
        u16 start, frequency;
    };
    std::array<u16, (rans::kTotal >> kBucketShift)> first;
    std::array<Entry, 513> entries;
    i32 reach;

    void make(const rans::Member &member) {
        reach = static_cast<i32>(member.reach);
        u32 start = 0;
        std::size_t symbol = 0, slot = 0;
        for (auto f : member.frequencies) {
            entries[symbol] = {static_cast<u16>(start), static_cast<u16>(f)};
            start += f;
            for (; slot < first.size() && slot << kBucketShift < start; ++slot) first[slot] = static_cast<u16>(symbol);
            ++symbol;
        }
        entries[symbol] = {rans::kTotal, 0};
    }
};

// What lies after the end reads as 0; `over` says that it was read.
class RawBits {
   public:
    RawBits(const std::uint8_t *data, std::size_t size) : data_(data), size_(size) {}

    u32 get(int bits) {  // at most 32
        const std::size_t byte = at_ >> 3;
        u64 held = 0;
        if (byte + 8 <= size_)
            for (std::size_t b = 0; b < 8; ++b) held |= u64{data_[byte + b]} << 8 * b;
        else
            for (std::size_t b = 0; byte + b < size_; ++b) held |= u64{data_[byte + b]} << 8 * b;
        held >>= at_ & 7;
        at_ += static_cast<std::size_t>(bits);
        return static_cast<u32>(held & ((1ull << bits) - 1));
    }

    bool over() const { return at_ > 8 * size_; }
    // Every byte was begun, and the bits that fill the last are 0.
    bool ended() const { return (at_ + 7) / 8 == size_ && (at_ % 8 == 0 || data_[size_ - 1] >> at_ % 8 == 0); }

   private:
    const std::uint8_t *data_;
    std::size_t size_, at_ = 0;
};

template <class T>
struct Sink {
    T *values;
    const Format format;
    const int top, limit;  // the exponents of levels' leading bits and of the largest value that has one
    const Params &params;
    const Table *tables;
    LowBits *low;
    RawBits raw;
    const std::uint8_t *next, *end;
    u64 symbols, bits, flags;  // states; u64, so that stores of values cannot alias them
    i32 grid[2]{};
    bool bad = false;

    void channel(std::size_t c) {
        *low = {};
        for (std::size_t s = 0; s < 2; ++s) grid[s] = static_cast<i32>(params.grid[s][c]);
    }
    void block() {
        if (bad || raw.over()) throw Corrupt("the payload does not hold the values it should");
    }

    void refill(u64 &state) {
        if (state >= rans::kLow) return;
        if (next == end) {
            bad = true;
            return;
        }
        state = state << 16 | static_cast<u64>(next[0]) | static_cast<u64>(next[1]) << 8;
        next += 2;
    }
    bool get_bit(u64 &state, Bit &bit) {
        const auto ones = static_cast<u32>(bit.odds()) << (rans::kBits - 8);
        const u32 slot = state & (rans::kTotal - 1);
        const bool one = slot < ones;
        state = (one ? ones : rans::kTotal - ones) * (state >> rans::kBits) + (one ? slot : slot - ones);
        refill(state);
        bit.update(one);
        return one;
    }
    bool zero(std::size_t at, Bit &bit) {
        values[at] = 0;
        return get_bit(flags, bit);
    }
    bool same(std::size_t at, Bit &bit) {
        values[at] = values[at - 1];
        return get_bit(flags, bit);
    }

    u32 tail(bool negative, int exponent, int count) {
        const int skip = std::max(0, grid[negative] - (exponent - 1));
        if (count <= skip) return 0;
        const bool lowest = get_bit(bits, low->of[negative][std::clamp(top + kAbove - exponent, 0, 31)]);
        return (raw.get(count - skip - 1) << 1 | static_cast<u32>(lowest)) << skip;
    }

    i32 value(std::size_t at, i32 mean, int shift, i32 number) {
        const Table &table = tables[number];
        const u32 slot = symbols & (rans::kTotal - 1);
        u32 symbol = table.first[slot >> kBucketShift];
        while (table.entries[symbol + 1].start <= slot) ++symbol;
        symbols = table.entries[symbol].frequency * (symbols >> rans::kBits) + slot - table.entries[symbol].start;
        refill(symbols);
        const i32 offset = static_cast<i32>(symbol) - table.reach;
        if (offset > table.reach) return escaped(at, mean);
        const i32 step = (mean >> shift) + offset;
        const bool negative = step < 0;
        const auto size = static_cast<u32>(negative ? ~step : step);
        u32 full = 0;
        int exponent = 0;
        if (size) {
            exponent = std::max(1, top + static_cast<int>(std::bit_width(size)) - 1 + shift - kLead);
            if (exponent > limit) {
                bad = true;
                return 0;
            }
            const int down = shift - (exponent - top + kLead - format.mantissa);
            full = down > 0 ? size << down | tail(negative, exponent, down) : size >> -down;
        } else {
            exponent = top + shift - 1 - kLead;
            full = near_zero(negative, exponent);
        }
        put(at, negative, exponent, full);
        return static_cast<i32>(static_cast<u32>(step) << shift) + (1 << shift >> 1);
    }

    u32 near_zero(bool negative, int &exponent) {
        const int least = grid[negative] - format.mantissa + 1;
        for (; exponent > 1; --exponent) {
            if (exponent < least) return 0;
            if (raw.get(1)) return 1u << format.mantissa | tail(negative, exponent, format.mantissa);
        }
        exponent = 1;
        return raw.get(format.mantissa + 1);
    }

    i32 escaped(std::size_t at, i32 mean) {
        values[at] = static_cast<T>(raw.get(format.width()));
        const Parts parts = split(values[at], format);
        if (parts.exponent > limit) return mean;
        const int up = parts.exponent - top + kLead - format.mantissa;
        const i32 size = up < -31 ? 0 : static_cast<i32>(up >= 0 ? parts.full << up : parts.full >> -up);
        return parts.negative ? ~size : size;
    }

    void put(std::size_t at, bool negative, int exponent, u32 full) {
        const u32 written = full >> format.mantissa ? static_cast<u32>(exponent) : 0;
        values[at] = static_cast<T>(static_cast<u32>(negative) << (format.width() - 1) | written << format.mantissa |
                                    (full & ((1u << format.mantissa) - 1)));
    }
};

u32 read_state(const std::uint8_t *data) {
    const u32 state = data[0] | data[1] << 8 | data[2] << 16 | static_cast<u32>(data[3]) << 24;
    if (state < rans::kLow) throw Corrupt("a state is below its range");
    return state;
}

}  // namespace

template <class T>
void decode(const std::uint8_t *data, std::size_t size, T *values, Format format, const Shape &shape) {
    rans::BitReader in(data, size);
    const Params params = read_params(in, format, shape.channels);
    const u64 words = in.gamma();
    const std::size_t header = in.bytes();
    if (size - header < 12 || words > (size - header - 12) / 2) throw Corrupt("the payload is cut short");
    std::array<Table, kTables> tables;
    for (std::size_t t = 0; t < kTables; ++t) tables[t].make(rans::member(params.shape, params.scale + static_cast<int>(t)));
    const std::uint8_t *states = data + header, *first = states + 12, *rest = first + 2 * words;
    LowBits low;
    Sink<T> sink{values,
                 format,
                 params.top,
                 std::min(params.top + kAbove, format.most()),
                 params,
                 tables.data(),
                 &low,
                 RawBits(rest, static_cast<std::size_t>(data + size - rest)),
                 first,
                 rest,
                 read_state(states),
                 read_state(states + 4),
                 read_state(states + 8)};
    if (params.zeros || params.same)
        run<true>(params, shape, sink);
    else
        run<false>(params, shape, sink);
    if (sink.bad || sink.next != sink.end || sink.symbols != rans::kLow || sink.bits != rans::kLow || sink.flags != rans::kLow)
        throw Corrupt("the payload's states do not end where they began");
    if (!sink.raw.ended()) throw Corrupt("the payload has bytes left over");
}

template void decode(const std::uint8_t *, std::size_t, u16 *, Format, const Shape &);
template void decode(const std::uint8_t *, std::size_t, u32 *, Format, const Shape &);

}  // namespace featcodec::floats
