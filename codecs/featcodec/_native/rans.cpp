// The array coder `rans`: payloads from symbols and back. The reference is featcodec/array_coders/rans.py, the format
// docs/rans.md.
#include "rans.h"

#include <nanobind/ndarray.h>

#include <cstring>
#include <limits>

#include "rans_model.h"

namespace nb = nanobind;

namespace featcodec {
namespace {

using namespace rans;
using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using BytesOut = nb::ndarray<std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

struct Shape {
    std::size_t outer, channels, inner;
    std::size_t count() const { return outer * channels * inner; }
};

std::uint64_t fold_bits(std::uint64_t difference) { return fold(static_cast<std::int64_t>(difference)); }

// The fewest low bits that must go for low..high to fit a table.
int shift_for(std::int64_t low, std::int64_t high) {
    int shift = 0;
    while (static_cast<std::uint64_t>(high >> shift) - static_cast<std::uint64_t>(low >> shift) >= kWindow) ++shift;
    return shift;
}

template <class T>
Counts count(const T *values, const Shape &shape) {
    const std::size_t total = shape.count();
    const auto [least, most] = std::minmax_element(values, values + total);
    std::int64_t low = static_cast<std::int64_t>(*least), high = static_cast<std::int64_t>(*most);
    int shift = shift_for(low, high);
    if (shift > 0) {  // a few outliers must not cost every value its low bits
        const std::size_t aside = std::min((total >> 7) + 4, (total - 1) / 2);
        std::vector<T> sorted(values, values + total);
        const auto first = sorted.begin() + static_cast<std::ptrdiff_t>(aside);
        const auto last = sorted.end() - 1 - static_cast<std::ptrdiff_t>(aside);
        std::nth_element(sorted.begin(), first, sorted.end());
        const auto inner_low = static_cast<std::int64_t>(*first);
        std::nth_element(sorted.begin(), last, sorted.end());
        const auto inner_high = static_cast<std::int64_t>(*last);
        if (const int inner = shift_for(inner_low, inner_high); inner + 2 <= shift) {
            shift = inner;
            low = inner_low;
            high = inner_high;
        }
    }
    Counts counts{shift, low >> shift, 0, shape.channels, {}};
    counts.symbols = static_cast<std::uint32_t>((high >> shift) - counts.base) + 1;
    const std::size_t width = counts.symbols + 1;
    counts.of.assign(shape.channels * width, 0);
    for (std::size_t o = 0; o < shape.outer; ++o)
        for (std::size_t c = 0; c < shape.channels; ++c) {
            std::uint64_t *row = &counts.of[c * width];
            for (std::size_t i = 0; i < shape.inner; ++i) {
                const std::int64_t v = static_cast<std::int64_t>(*values++) >> counts.shift;
                const auto symbol = static_cast<std::uint64_t>(v) - static_cast<std::uint64_t>(counts.base);
                ++row[symbol < counts.symbols ? symbol : counts.symbols];
            }
        }
    return counts;
}

// The symbol of every value; what tables do not hold goes to `low` and `escapes`.
template <class T>
std::vector<std::uint16_t> split(const T *values, const Shape &shape, const Model &model, BitWriter &low,
                                 std::vector<std::uint8_t> &escapes) {
    std::vector<std::uint16_t> symbols(shape.count());
    std::uint16_t *out = symbols.data();
    for (std::size_t o = 0; o < shape.outer; ++o)
        for (std::size_t c = 0; c < shape.channels; ++c) {
            const Channel channel = model.channels[c];
            const auto base = static_cast<std::uint64_t>(channel.base);
            for (std::size_t i = 0; i < shape.inner; ++i) {
                const auto v = static_cast<std::int64_t>(*values++);
                const std::uint64_t symbol = static_cast<std::uint64_t>(v >> model.shift) - base;
                *out++ = static_cast<std::uint16_t>(std::min<std::uint64_t>(symbol, channel.symbols));
                if (symbol < channel.symbols) {
                    if (model.shift) low.put(static_cast<std::uint64_t>(v), model.shift);
                    continue;
                }
                std::uint64_t rest = fold_bits(static_cast<std::uint64_t>(v) - (base << model.shift));
                for (; rest >= 128; rest >>= 7) escapes.push_back(static_cast<std::uint8_t>(rest | 128));
                escapes.push_back(static_cast<std::uint8_t>(rest));
            }
        }
    return symbols;
}

template <int S>
void put_all(const std::vector<std::uint16_t> &symbols, const Shape &shape, const Model &model,
             const std::vector<Table> &tables, Encoder &encoder) {
    std::uint32_t x[S];
    std::copy_n(encoder.states().begin(), S, x);
    std::size_t at = symbols.size();
    for (std::size_t o = 0; o < shape.outer; ++o)
        for (std::size_t c = shape.channels; c-- > 0;) {
            const EncoderEntry *entries = tables[model.channels[c].table].entries.data();
            const std::size_t stop = at - shape.inner;
            while (at > stop && at % S) --at, encoder.put_state(x[at % S], entries[symbols[at]]);
            for (; at >= stop + S; at -= S)
                for (int s = S; s-- > 0;) encoder.put_state(x[s], entries[symbols[at - S + static_cast<std::size_t>(s)]]);
            while (at > stop) --at, encoder.put_state(x[at % S], entries[symbols[at]]);
        }
    std::copy_n(x, S, encoder.states().begin());
}

template <class T>
std::vector<std::uint8_t> encode_as(const T *values, const Shape &shape) {
    std::uint8_t mode = 0;
    BitWriter header, low;
    const Model model = choose(count(values, shape), mode, header);
    std::vector<std::uint8_t> escapes;
    const auto symbols = split(values, shape, model, low, escapes);
    std::vector<Table> tables;
    for (const auto &frequencies : model.tables) tables.emplace_back(frequencies, true);
    Encoder encoder(symbols.size(), streams_for(symbols.size()));
    if (encoder.streams() == 1) put_all<1>(symbols, shape, model, tables, encoder);
    if (encoder.streams() == 2) put_all<2>(symbols, shape, model, tables, encoder);
    if (encoder.streams() == 4) put_all<4>(symbols, shape, model, tables, encoder);
    header.gamma(encoder.words());
    std::vector<std::uint8_t> out{mode};
    for (auto byte : header.take()) out.push_back(byte);
    encoder.append_to(out);
    for (auto byte : low.take()) out.push_back(byte);
    out.insert(out.end(), escapes.begin(), escapes.end());
    const std::size_t raw = symbols.size() * sizeof(T);
    if (out.size() > raw) {
        out.assign(1, 0);
        const auto *bytes = reinterpret_cast<const std::uint8_t *>(values);
        out.insert(out.end(), bytes, bytes + raw);
    }
    return out;
}

template <int S>
void get_all(const Shape &shape, const Model &model, const std::vector<Table> &tables, Decoder &decoder,
             std::uint16_t *symbols) {
    std::uint32_t x[S];
    std::copy_n(decoder.states().begin(), S, x);
    std::size_t at = 0;
    for (std::size_t o = 0; o < shape.outer; ++o)
        for (std::size_t c = 0; c < shape.channels; ++c) {
            const Table &table = tables[model.channels[c].table];
            const std::size_t stop = at + shape.inner;
            const auto one = [&](std::size_t stream) {
                symbols[at] = static_cast<std::uint16_t>(decoder.get_state(x[stream], table));
                ++at;
            };
            while (at < stop && at % S) one(at % S);
            while (at + S <= stop)
                for (std::size_t s = 0; s < S; ++s) one(s);
            while (at < stop) one(at % S);
        }
    std::copy_n(x, S, decoder.states().begin());
}

std::uint64_t next_escape(const std::uint8_t *&at, const std::uint8_t *end) {
    std::uint64_t value = 0;
    for (int bits = 0; bits < 70; bits += 7) {
        if (at == end) throw Corrupt("the payload is cut short");
        const std::uint8_t byte = *at++;
        value |= static_cast<std::uint64_t>(byte & 127) << bits;
        if (byte < 128) return value;
    }
    throw Corrupt("a number is too large");
}

template <class T>
void decode_as(const std::uint8_t *data, std::size_t size, T *values, const Shape &shape) {
    const std::size_t total = shape.count();
    if (size == 0) throw Corrupt("the payload is cut short");
    const std::uint8_t mode = *data++;
    --size;
    if (mode == 0) {
        if (size != total * sizeof(T)) throw Corrupt("raw symbols of another size than the tensor's");
        std::memcpy(values, data, size);
        return;
    }
    if (mode > 2) throw Corrupt("an unknown mode");
    BitReader in(data, size);
    const Model model = mode == 1 ? read_explicit(in, shape.channels) : read_parametric(in, shape.channels);
    const std::uint64_t words = in.gamma();
    const std::size_t header = in.bytes();
    const int streams = streams_for(total);
    const std::size_t left = size - header, states = static_cast<std::size_t>(streams) * 4;
    if (left < states || words > (left - states) / 2) throw Corrupt("the payload is cut short");
    std::vector<Table> tables;
    for (const auto &frequencies : model.tables) tables.emplace_back(frequencies, false);
    Decoder decoder(data + header, words, streams);
    std::vector<std::uint16_t> symbols(total);
    if (streams == 1) get_all<1>(shape, model, tables, decoder, symbols.data());
    if (streams == 2) get_all<2>(shape, model, tables, decoder, symbols.data());
    if (streams == 4) get_all<4>(shape, model, tables, decoder, symbols.data());
    decoder.finish();

    const std::uint8_t *rest = data + header + states + 2 * words, *end = data + size;
    BitReader low(rest, static_cast<std::size_t>(end - rest));
    if (model.shift) {
        std::uint64_t coded = 0;
        for (auto symbol : symbols) coded += symbol < model.channels[0].symbols;
        const std::uint64_t bytes = (coded * static_cast<std::uint64_t>(model.shift) + 7) / 8;
        if (bytes > static_cast<std::uint64_t>(end - rest)) throw Corrupt("the payload is cut short");
        rest += bytes;
    }
    const std::uint16_t *symbol = symbols.data();
    for (std::size_t o = 0; o < shape.outer; ++o)
        for (std::size_t c = 0; c < shape.channels; ++c) {
            const Channel channel = model.channels[c];
            const auto base = static_cast<std::uint64_t>(channel.base);
            for (std::size_t i = 0; i < shape.inner; ++i, ++symbol, ++values) {
                std::uint64_t value = (base + *symbol) << model.shift;
                if (*symbol >= channel.symbols)
                    value = (base << model.shift) + static_cast<std::uint64_t>(unfold(next_escape(rest, end)));
                else if (model.shift)
                    value |= low.get(model.shift);
                *values = static_cast<T>(value);
            }
        }
    low.bytes();
    if (rest != end) throw Corrupt("the payload has bytes left over");
}

template <class Call>
void with_type(int bytes, bool is_signed, Call call) {
    if (bytes == 1) return is_signed ? call(std::int8_t{}) : call(std::uint8_t{});
    if (bytes == 2) return is_signed ? call(std::int16_t{}) : call(std::uint16_t{});
    if (bytes == 4) return is_signed ? call(std::int32_t{}) : call(std::uint32_t{});
    if (bytes == 8) return call(std::int64_t{});  // uint64 wraps, here and in the reference
    throw nb::value_error("symbols have 1, 2, 4 or 8 bytes");
}

void check(std::size_t size, int bytes, const Shape &shape) {
    if (shape.outer == 0 || shape.channels == 0 || shape.inner == 0 || size / static_cast<std::size_t>(bytes) % shape.outer ||
        size / static_cast<std::size_t>(bytes) / shape.outer % shape.channels || bytes <= 0 ||
        size != static_cast<std::size_t>(bytes) * shape.count())
        throw nb::value_error("the symbols' size and shape differ");
}

nb::bytes encode(Bytes symbols, int bytes, bool is_signed, std::size_t outer, std::size_t channels, std::size_t inner) {
    const Shape shape{outer, channels, inner};
    if (bytes < 1 || bytes > 8) throw nb::value_error("symbols have 1, 2, 4 or 8 bytes");
    check(symbols.size(), bytes, shape);
    std::vector<std::uint8_t> out;
    {
        nb::gil_scoped_release unlocked;
        with_type(bytes, is_signed, [&](auto type) {
            out = encode_as(reinterpret_cast<const decltype(type) *>(symbols.data()), shape);
        });
    }
    return nb::bytes(out.data(), out.size());
}

void decode(Bytes data, int bytes, bool is_signed, std::size_t outer, std::size_t channels, std::size_t inner,
            BytesOut symbols) {
    const Shape shape{outer, channels, inner};
    if (bytes < 1 || bytes > 8) throw nb::value_error("symbols have 1, 2, 4 or 8 bytes");
    check(symbols.size(), bytes, shape);
    nb::gil_scoped_release unlocked;
    with_type(bytes, is_signed, [&](auto type) {
        decode_as(data.data(), data.size(), reinterpret_cast<decltype(type) *>(symbols.data()), shape);
    });
}

}  // namespace

void bind_rans(nb::module_ &m) {
    m.def("rans_encode", &encode, nb::arg("symbols"), nb::arg("bytes"), nb::arg("is_signed"), nb::arg("outer"),
          nb::arg("channels"), nb::arg("inner"));
    m.def("rans_decode", &decode, nb::arg("data"), nb::arg("bytes"), nb::arg("is_signed"), nb::arg("outer"),
          nb::arg("channels"), nb::arg("inner"), nb::arg("symbols"));
}

}  // namespace featcodec
