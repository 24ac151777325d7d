// The coder `ctx`: header and rANS around the model. The reference is featcodec/array_coders/ctx_reference.py.
#include "ctx.h"

#include <nanobind/ndarray.h>

#include <cstring>

#include "ctx_collector.h"
#include "ctx_run.h"

namespace nb = nanobind;

namespace featcodec {
namespace ctx {
namespace {

constexpr int kOldest = 2, kMode = 4;  // modes of the model; encoders write the newest

struct BitWriter {
    std::vector<u8> bytes;
    int used = 0;
    void put(u32 value, int bits) {
        for (int i = 0; i < bits; ++i, ++used) {
            if (used % 8 == 0) bytes.push_back(0);
            bytes.back() = static_cast<u8>(bytes.back() | ((value >> i & 1u) << (used % 8)));
        }
    }
};

struct BitReader {
    const u8 *data;
    std::size_t size, used = 0;
    bool good = true;
    u32 get(int bits) {
        u32 value = 0;
        for (int i = 0; i < bits; ++i, ++used) {
            if (used / 8 >= size) {
                good = false;
                return 0;
            }
            value |= (data[used / 8] >> (used % 8) & 1u) << i;
        }
        return value;
    }
};

int distance_bits(std::size_t c) { return width_of(std::min<std::size_t>(c, kWindow) - 1); }
int count_bits(const Shape &s) { return s.max_refs() == 3 ? 2 : 3; }

void write_choices(const Shape &s, const Choices &choices, BitWriter &out) {
    out.put(choices.zeros, 1);
    for (int g = 0; g < (choices.zeros ? 32 : 16); ++g) {
        const u8 choice = choices.shapes[static_cast<std::size_t>(g)];
        out.put(choice != 255, 1);
        if (choice != 255) out.put(choice, 5);
    }
    if (s.max_refs() == 0 || s.channels < 2) return;
    const bool any = std::any_of(choices.count.begin(), choices.count.end(), [](u8 n) { return n > 0; });
    out.put(any, 1);
    if (!any) return;
    for (std::size_t c = 1; c < s.channels; ++c) {
        out.put(choices.count[c], count_bits(s));
        for (std::size_t r = 0; r < choices.count[c]; ++r)
            out.put(choices.distance[c * kMaxRefs + r] - 1u, distance_bits(c));
    }
}

bool read_choices(const Shape &s, BitReader &in, Choices &choices) {
    choices.zeros = in.get(1) != 0;
    choices.shapes.fill(16);
    for (std::size_t g = 0; g < (choices.zeros ? 32u : 16u); ++g)
        if (in.get(1)) choices.shapes[g] = static_cast<u8>(in.get(5));
    choices.count.assign(s.channels, 0);
    if (s.max_refs() == 0 || s.channels < 2 || !in.get(1)) return in.good;
    choices.distance.assign(s.channels * kMaxRefs, 0);
    for (std::size_t c = 1; c < s.channels && in.good; ++c) {
        choices.count[c] = static_cast<u8>(in.get(count_bits(s)));
        for (std::size_t r = 0; r < choices.count[c]; ++r) {
            const u32 distance = in.get(distance_bits(c)) + 1;
            if (distance > std::min<std::size_t>(c, kWindow)) return false;
            choices.distance[c * kMaxRefs + r] = static_cast<u8>(distance);
        }
    }
    return in.good;
}

// For every group the shape, then the scale offset, that code a sample of its symbols in the fewest bits.
void choose_shapes(const Shape &s, std::span<const Record> records, Choices &choices) {
    constexpr std::size_t most = 256;
    std::array<std::size_t, 32> total{}, seen{};
    for (const Record &one : records)
        ++total[one.symbol.group];
    std::array<std::vector<const Record *>, 32> samples;
    for (const Record &one : records)
        if (seen[one.symbol.group]++ % (total[one.symbol.group] / most + 1) == 0)
            samples[one.symbol.group].push_back(&one);
    choices.shapes.fill(255);
    for (std::size_t g = 0; g < 32; ++g) {
        if (total[g] == 0) continue;
        const auto bits = [&](u8 choice) {
            i64 sum = 0;
            for (const Record *one : samples[g]) {
                const Distribution d(one->slot(), choice, s.levels, s.shift());
                const i32 value = one->symbol.value;
                sum -= log2_q8(static_cast<u32>(d.below(value + 1) - d.below(value)));
            }
            return sum;
        };
        u8 best = 16;
        i64 least = bits(best);
        const auto attempt = [&](u8 choice) {
            if (const i64 cost = bits(choice); cost < least) {
                least = cost;
                best = choice;
            }
        };
        for (u8 shape = 1; shape < 4; ++shape) attempt(static_cast<u8>(16 + shape));
        const u8 shape = best & 3u;
        for (u8 offset = 0; offset < 8; ++offset)
            if (offset != 4) attempt(static_cast<u8>(4 * offset + shape));
        choices.shapes[g] = best;
    }
}

std::vector<u8> encode_all(const Shape &s, const u16 *values) {
    Choices choices;
    const std::size_t count = s.channels * s.area();
    const auto zeros = static_cast<std::size_t>(std::count(values, values + count, u16{0}));
    choices.zeros = 8 * zeros >= count;
    choose_references(s, values, choices);
    std::vector<u16> copy(values, values + count);
    const Rules rules(s, kMode);
    // A 0 with a flag of its own needs nothing else; other values that and a symbol, on large maps two flags more.
    const std::size_t flagged = choices.zeros ? zeros : 0, items = (choices.zeros ? 2 : 1) + (rules.large ? 2 : 0);
    Collector collected(flagged + items * (count - flagged), count - flagged);
    Pass<Collector, Mixer>(s, choices, rules, copy.data(), collected).run();
    choose_shapes(s, collected.symbols(), choices);
    for (Record &one : collected.symbols()) {
        const Distribution d(one.slot(), choices.shapes[one.symbol.group], s.levels, s.shift());
        const i32 start = d.below(one.symbol.value), stop = d.below(one.symbol.value + 1);
        one.interval = {static_cast<u32>(start), static_cast<u32>(stop - start)};
    }
    BitWriter out;
    write_choices(s, choices, out);
    collected.code(out.bytes);
    return out.bytes;
}

struct Decoder {
    const Shape &shape;
    const Choices &choices;
    const u8 *at, *end;
    u64 state = 0;
    bool whole = true;
    [[nodiscard]] bool good() const { return whole; }
    void take(u32 start, u32 size) {
        state = size * (state >> kProbBits) + (state & (kTotal - 1)) - start;
        if (state < kState) {
            if (end - at < 4) {
                whole = false;
                state |= kState;
                return;
            }
            state = state << 32 | (u32{at[0]} | u32{at[1]} << 8 | u32{at[2]} << 16 | u32{at[3]} << 24);
            at += 4;
        }
    }
    bool flag(i32 p16, bool) {
        const u32 p = static_cast<u32>(p16) << 4;
        const bool one = (state & (kTotal - 1)) < p;
        take(one ? 0 : p, one ? p : static_cast<u32>(kTotal) - p);
        return one;
    }
    i32 symbol(const Slot &slot, u16) {
        const u8 choice = choices.shapes[slot.group];
        const Distribution d(slot, choice, shape.levels, shape.shift());
        i32 start = 0, stop = 0;
        const i32 x = d.find(static_cast<i32>(state & (kTotal - 1)), choice, start, stop);
        take(static_cast<u32>(start), static_cast<u32>(stop - start));
        return x;
    }
};

bool decode_all(const Shape &s, const u8 *data, std::size_t size, u16 *values, int mode) {
    Choices choices;
    BitReader in{data, size};
    if (!read_choices(s, in, choices)) return false;
    const std::size_t head = (in.used + 7) / 8;
    if (size - head < 8) return false;
    Decoder decoder{s, choices, data + head + 8, data + size};
    for (int i = 7; i >= 0; --i) decoder.state = decoder.state << 8 | data[head + static_cast<std::size_t>(i)];
    if (decoder.state < kState || decoder.state >> 63) return false;
    const Rules rules(s, mode);
    const bool whole = mode < kMode ? Pass<Decoder, WideMixer>(s, choices, rules, values, decoder).run()
                                    : Pass<Decoder, Mixer>(s, choices, rules, values, decoder).run();
    return whole && decoder.state == kState && decoder.at == decoder.end;
}

using Values = nb::ndarray<const u16, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using ValuesOut = nb::ndarray<u16, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<const u8, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class A>
Shape shape_of(const A &values, int levels) {
    if (levels < 2 || levels > 65536) throw nb::value_error("levels must be 2 to 65536");
    if (values.size() == 0) throw nb::value_error("no values");
    if (values.shape(2) > 65536) throw nb::value_error("a row is at most 65536 wide");
    return {values.shape(0), values.shape(1), values.shape(2), levels};
}

nb::bytes encode(Values values, int levels) {
    const Shape s = shape_of(values, levels);
    const u16 *x = values.data();
    std::vector<u8> out;
    bool above = false;
    {
        nb::gil_scoped_release unlocked;
        above = std::any_of(x, x + values.size(), [levels](u16 v) { return v >= levels; });
        if (!above) out = encode_all(s, x);
    }
    if (above) throw nb::value_error("a value is not below levels");
    return nb::bytes(reinterpret_cast<const char *>(out.data()), out.size());
}

bool decode(Bytes data, int levels, ValuesOut values, int mode) {
    const Shape s = shape_of(values, levels);
    if (mode < kOldest || mode > kMode) throw nb::value_error("the modes of the model are 2 to 4");
    nb::gil_scoped_release unlocked;
    return decode_all(s, data.data(), data.size(), values.data(), mode);
}

}  // namespace
}  // namespace ctx

void bind_ctx(nb::module_ &m) {
    m.def("ctx_encode", &ctx::encode, nb::arg("values"), nb::arg("levels"));
    m.def("ctx_decode", &ctx::decode, nb::arg("data"), nb::arg("levels"), nb::arg("values"), nb::arg("mode"));
}

}  // namespace featcodec
