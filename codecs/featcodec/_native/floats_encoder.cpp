// Values to a payload; the reference is featcodec/array_coders/floats_reference.py.
#include <memory>

#include "floats_coder.h"
#include "floats_params.h"
#include "rans_model.h"

namespace featcodec::floats {
namespace {

using rans::EncoderEntry;

// What an event is: which of the entries below, and in the upper bits which state codes it.
constexpr u32 kOnes = 0, kNoughts = 256, kSymbols = 512, kTableSize = 512;
constexpr int kStateShift = 12;
constexpr u32 kSymbolState = 0, kLowState = 1, kFlagState = 2;

// The most that a block's raw bits may take: an exponent in unary and a mantissa for every value.
constexpr std::size_t kBlockBytes = kBlock * 40;

struct Tables {
    std::vector<EncoderEntry> entries{kSymbols + kTables * kTableSize};
    std::array<i32, kTables> reach{};

    explicit Tables(const Params &params) {
        for (u32 odds = 1; odds < 256; ++odds) {
            const u32 one = odds << (rans::kBits - 8);
            set(kOnes + odds, 0, one);
            set(kNoughts + odds, one, rans::kTotal - one);
        }
        for (u32 t = 0; t < kTables; ++t) {
            const rans::Member &m = rans::member(params.shape, params.scale + static_cast<int>(t));
            reach[t] = static_cast<i32>(m.reach);
            u32 start = 0, at = kSymbols + t * kTableSize;
            for (auto f : m.frequencies) set(at++, start, f), start += f;
        }
    }

    void set(u32 at, u32 start, u32 f) { entries[at] = {((1ull << 46) + f - 1) / f, start, f}; }
};

// Memory that is not cleared: most of it is never touched.
struct Room {
    std::size_t size;
    std::unique_ptr<std::uint8_t[]> bytes = std::make_unique_for_overwrite<std::uint8_t[]>(size);

    void grow(std::size_t filled) {
        Room larger{2 * size + kBlockBytes};
        std::copy_n(bytes.get(), filled, larger.bytes.get());
        *this = std::move(larger);
    }
};

// Its state fits registers as long as its address goes nowhere: memory that grows is outside.
template <class T>
struct Sink {
    const T *values;
    const Format format;
    const int top, limit;  // the exponents of levels' leading bits and of the largest value that has one
    const Params &params;
    const std::array<i32, kTables> reach;
    LowBits *low;
    Room *room;  // of the raw bits
    u16 *event;
    std::uint8_t *at;
    u64 held = 0;
    int used = 0;
    i32 grid[2]{};

    void channel(std::size_t c) {
        *low = {};
        for (std::size_t s = 0; s < 2; ++s) grid[s] = static_cast<i32>(params.grid[s][c]);
    }
    void block() {
        const std::size_t filled = size();
        if (room->size - filled >= kBlockBytes) return;
        room->grow(filled);
        at = room->bytes.get() + filled;
    }
    std::size_t size() const { return static_cast<std::size_t>(at - room->bytes.get()); }
    void put(u64 bits, int count) {  // the lowest first, at most 32
        held |= bits << used;
        used += count;
        if (used < 32) return;
        for (int b = 0; b < 4; ++b) at[b] = static_cast<std::uint8_t>(held >> 8 * b);
        at += 4;
        held >>= 32;
        used -= 32;
    }
    void finish() {
        block();
        for (; used > 0; used -= 8, held >>= 8) *at++ = static_cast<std::uint8_t>(held);
    }

    void put_bit(u32 state, Bit &bit, bool one) {
        *event++ = static_cast<u16>(state << kStateShift | ((one ? kOnes : kNoughts) + static_cast<u32>(bit.odds())));
        bit.update(one);
    }
    bool zero(std::size_t at, Bit &bit) {
        const bool is = values[at] == 0;
        put_bit(kFlagState, bit, is);
        return is;
    }
    bool same(std::size_t at, Bit &bit) {
        const bool is = values[at] == values[at - 1];
        put_bit(kFlagState, bit, is);
        return is;
    }

    // The lowest `bits` bits of a mantissa, less those that the grid says are 0.
    void tail(const Parts &parts, int bits) {
        const int skip = std::max(0, grid[parts.negative] - (parts.exponent - 1));
        if (bits <= skip) return;
        const u32 rest = (parts.full & ((1u << bits) - 1)) >> skip;
        put_bit(kLowState, low->of[parts.negative][std::clamp(top + kAbove - parts.exponent, 0, 31)], rest & 1);
        put(rest >> 1, bits - skip - 1);
    }

    i32 value(std::size_t at, i32 mean, int shift, i32 table) {
        const Parts parts = split(values[at], format);
        const bool sized = parts.exponent <= limit, tiny = parts.exponent < top - kBelow && parts.full != 0;
        const int up = parts.exponent - top + kLead - format.mantissa;
        const i32 size = !sized || up < -31 ? 0 : static_cast<i32>(up >= 0 ? parts.full << up : parts.full >> -up);
        const i32 level = parts.negative ? ~size : size;
        const i32 far = reach[static_cast<std::size_t>(table)];
        const i32 step = level >> shift, symbol = step - (mean >> shift) + far;
        const u32 first = kSymbols + static_cast<u32>(table) * kTableSize;
        if (!sized || tiny || symbol < 0 || symbol > 2 * far) {
            *event++ = static_cast<u16>(first + static_cast<u32>(2 * far + 1));
            put(values[at], format.width());
            return sized ? level : mean;
        }
        *event++ = static_cast<u16>(first + static_cast<u32>(symbol));
        if (size >> shift) {
            if (shift > up) tail(parts, shift - up);
        } else {
            near_zero(parts, top + shift - 1 - kLead);
        }
        return (step << shift) + (1 << shift >> 1);
    }

    // The exponent in unary, from `exponent` down, until it is the least or the grid allows zero alone.
    void near_zero(const Parts &parts, int exponent) {
        const int least = grid[parts.negative] - format.mantissa + 1;
        for (; exponent > 1; --exponent) {
            if (exponent < least) return;
            const bool here = parts.exponent == exponent;
            put(here, 1);
            if (here) return tail(parts, format.mantissa);
        }
        put(parts.full, format.mantissa + 1);
    }
};

}  // namespace

template <class T>
std::vector<std::uint8_t> encode(const T *values, Format format, const Shape &shape) {
    const Params params = choose(values, format, shape);
    const Tables tables(params);
    const std::size_t count = shape.count();
    auto events = std::make_unique_for_overwrite<u16[]>(count * (2u + params.zeros + params.same));
    Room raw{count * sizeof(T) + kBlockBytes};
    LowBits low;
    Sink<T> sink{values,         format, params.top, std::min(params.top + kAbove, format.most()), params,
                 tables.reach, &low,   &raw,       events.get(),                                  raw.bytes.get()};
    if (params.zeros || params.same)
        run<true>(params, shape, sink);
    else
        run<false>(params, shape, sink);
    sink.finish();

    // Words go where events were: there is at most one for each event, and that has been read before.
    const u16 *first = events.get();
    rans::Encoder encoder(std::move(events), static_cast<std::size_t>(sink.event - first), 3);
    for (const u16 *event = sink.event; event-- > first;)
        encoder.put_state(encoder.states()[*event >> kStateShift], tables.entries[*event & ((1u << kStateShift) - 1)]);

    rans::BitWriter header;
    header.put(kMode, 8);
    write_params(params, header);
    header.gamma(encoder.words());
    std::vector<std::uint8_t> out = header.take();
    out.reserve(out.size() + encoder.bytes() + sink.size());
    encoder.append_to(out);
    out.insert(out.end(), raw.bytes.get(), raw.bytes.get() + sink.size());
    return out;
}

template std::vector<std::uint8_t> encode(const u16 *, Format, const Shape &);
template std::vector<std::uint8_t> encode(const u32 *, Format, const Shape &);

}  // namespace featcodec::floats
