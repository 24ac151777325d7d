// Choosing, writing and reading a payload's parameters; the reference is featcodec/array_coders/floats_params.py.
#include "floats_params.h"

#include "rans_model.h"

namespace featcodec::floats {
namespace {

constexpr int kTopBits = 8;
constexpr i32 kNone = 1 << 20;

// The largest exponent that more than one in 1,024 of some 16,384 finite values reach.
template <class T>
int choose_top(const T *values, Format format, std::size_t count) {
    std::vector<u32> of(std::size_t{1} << format.exponent);
    const std::size_t step = count / 16384 + 1;
    for (std::size_t i = 0; i < count; i += step) ++of[(values[i] >> format.mantissa) & ((1u << format.exponent) - 1)];
    std::size_t above = 0;
    for (int exponent = format.most(); exponent > 1; --exponent) {
        above += of[static_cast<std::size_t>(exponent)];
        if (above > count / step >> 10) return exponent;
    }
    return 1;
}

// The exponent of the lowest bit set in any value of either sign that is not escaped. Without branches, for vector instructions:
// the position of a single bit is the exponent of that bit as a float.
template <class T>
std::array<i32, 2> lowest_bits(const T *values, Format format, int top, std::size_t count) {
    i32 positive = kNone, negative = kNone;
    const u32 field = (1u << format.exponent) - 1, mantissas = (1u << format.mantissa) - 1;
    const int sign = format.width() - 1, limit = std::min(top + kAbove, format.most());
    for (std::size_t i = 0; i < count; ++i) {
        const u32 bits = values[i], written = bits >> format.mantissa & field;
        const u32 full = (bits & mantissas) | (written ? mantissas + 1 : 0);
        const auto lowest = static_cast<float>(static_cast<i32>(full & (0 - full)));
        const i32 position = static_cast<i32>(std::bit_cast<u32>(lowest) >> 23) - 127;
        const i32 size = static_cast<i32>(written + !written);
        const i32 found = size > limit || size < top - kBelow || full == 0 ? kNone : size - 1 + position;
        const bool minus = bits >> sign & 1;
        positive = std::min(positive, minus ? kNone : found);
        negative = std::min(negative, minus ? found : kNone);
    }
    return {positive, negative};
}

// The level of a value, 0 where it must be escaped.
i32 rough_level(u32 bits, Format format, int top) {
    const Parts parts = split(bits, format);
    if (parts.exponent > std::min(top + kAbove, format.most())) return 0;
    const int up = parts.exponent - top + kLead - format.mantissa;
    const auto size = static_cast<i32>(up >= 0 ? parts.full << up : up > -32 ? parts.full >> -up : 0);
    return parts.negative ? ~size : size;
}

// The sum of products of 12-bit numbers.
i64 dot(const std::int16_t *a, const std::int16_t *b, std::size_t count) {
    i64 sum = 0;
    for (std::size_t first = 0; first < count; first += 256) {
        i32 block = 0;
        for (std::size_t i = first; i < std::min(count, first + 256); ++i) block += i32{a[i]} * b[i];
        sum += block;
    }
    return sum;
}

// Some 4,096 values of a channel, whole rows: levels, then levels of 12 bits about their mean.
struct Sample {
    std::vector<i32> levels;
    std::vector<std::int16_t> rough;
};

// The predictor of least squared error on a sample. Integers, so that the reference chooses the same.
template <class T>
std::uint8_t choose_predictor(const T *values, Format format, int top, const Shape &shape, Sample &sample) {
    const std::size_t width = shape.width;
    if (shape.height < 2 || width < 2) return shape.height > 1 ? 9 : 8;
    // All rows, each the upper one of the next pair; or separate pairs of rows.
    const std::size_t step = shape.height * width / 4096 + 1, apart = step == 1 ? width : 2 * width;
    sample.levels.resize((shape.height / step + 1) * apart);
    i32 *level = sample.levels.data();
    for (std::size_t y = step == 1 ? 0 : 1; y < shape.height; y += step) {
        const T *from = values + y * width - (apart - width);
        for (std::size_t i = 0; i < apart; ++i) *level++ = rough_level(from[i], format, top);
    }
    sample.levels.resize(static_cast<std::size_t>(level - sample.levels.data()));
    const std::size_t count = sample.levels.size();
    i64 sum = 0;
    for (auto level : sample.levels) sum += level;
    const auto mean = static_cast<i32>(floor_div(sum, static_cast<i64>(count)));
    i32 widest = 0;
    for (auto &level : sample.levels) level -= mean, widest |= std::abs(level);
    const int shift = std::max(0, static_cast<int>(std::bit_width(static_cast<u32>(widest))) - 11);
    sample.rough.resize(count);
    for (std::size_t i = 0; i < count; ++i) sample.rough[i] = static_cast<std::int16_t>(sample.levels[i] >> shift);
    i64 products[4][4] = {};
    for (std::size_t row = 0; row + width < count; row += apart) {
        const std::int16_t *above = sample.rough.data() + row, *here = above + width;
        const std::int16_t *taps[4] = {here, above + 1, above, here + 1};  // west, north, north-west, the value
        for (std::size_t i = 0; i < 4; ++i)
            for (std::size_t j = i; j < 4; ++j) products[i][j] += dot(taps[i], taps[j], width - 1);
    }
    i64 least = INT64_MAX;
    std::uint8_t best = 0;
    for (std::size_t p = 0; p < kPredictors; ++p) {
        const i64 w[4] = {kWeights[p][0], kWeights[p][1], kWeights[p][2], -8};
        i64 error = 0;
        for (std::size_t i = 0; i < 4; ++i)
            for (std::size_t j = i; j < 4; ++j) error += (i == j ? 1 : 2) * w[i] * w[j] * products[i][j];
        if (error < least) least = error, best = static_cast<std::uint8_t>(p);
    }
    return best;
}

}  // namespace

template <class T>
Params choose(const T *values, Format format, const Shape &shape) {
    Params params;
    const std::size_t count = shape.count(), area = shape.height * shape.width;
    params.top = choose_top(values, format, count);
    std::size_t zeros = 0, same = 0;
    for (std::size_t first = 0; first < count; first += 4096) {  // narrow sums within a block, for vector instructions
        u32 zero = 0, equal = 0;
        const std::size_t last = std::min(count, first + 4096);
        for (std::size_t i = first; i < last; ++i) zero += values[i] == 0;
        for (std::size_t i = std::max<std::size_t>(first, 1); i < last; ++i) equal += (values[i] == values[i - 1]) & (values[i] != 0);
        zeros += zero;
        same += equal;
    }
    params.zeros = zeros * 256 >= count;
    params.same = same * 64 >= count;
    params.shape = params.zeros ? 3 : 1;
    params.scale = params.zeros ? 20 : 19;
    params.weight = area <= 256 ? 5 : area <= 1024 ? 4 : 3;
    std::array<i64, 2> before{};
    Sample sample;
    for (std::size_t c = 0; c < shape.channels; ++c, values += area) {
        const auto low = lowest_bits(values, format, params.top, area);
        for (std::size_t s = 0; s < 2; ++s) {
            if (low[s] != kNone) before[s] = low[s];
            params.grid[s].push_back(before[s]);
        }
        params.predictor.push_back(choose_predictor(values, format, params.top, shape, sample));
    }
    return params;
}

template Params choose(const u16 *, Format, const Shape &);
template Params choose(const u32 *, Format, const Shape &);

void write_params(const Params &params, rans::BitWriter &out) {
    out.put(static_cast<u64>(params.top), kTopBits);
    out.put(params.zeros, 1);
    out.put(params.same, 1);
    out.put(static_cast<u64>(params.shape), 2);
    out.put(static_cast<u64>(params.scale), 6);
    out.put(static_cast<u64>(params.weight - kLeastWeight), 2);
    rans::put_list(out, params.grid[0]);
    rans::put_list(out, params.grid[1]);
    for (auto p : params.predictor) out.put(p, 4);
}

Params read_params(rans::BitReader &in, Format format, std::size_t channels) {
    Params params;
    params.top = static_cast<int>(in.get(kTopBits));
    params.zeros = in.get(1) != 0;
    params.same = in.get(1) != 0;
    params.shape = static_cast<int>(in.get(2));
    params.scale = static_cast<int>(in.get(6));
    params.weight = static_cast<int>(in.get(2)) + kLeastWeight;
    if (params.top < 1 || params.top > format.most() || params.scale + kTables > rans::kScales)
        throw rans::Corrupt("a parameter is out of range");
    for (auto &grid : params.grid) grid = rans::get_list(in, channels, 0, format.most() + format.mantissa);
    for (std::size_t c = 0; c < channels; ++c) params.predictor.push_back(static_cast<std::uint8_t>(in.get(4)));
    return params;
}

}  // namespace featcodec::floats
