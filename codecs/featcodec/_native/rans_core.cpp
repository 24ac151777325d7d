// Tables from weights, and what symbols cost; the reference is featcodec/array_coders/rans_core.py.
#include "rans_core.h"

#include <bit>
#include <numeric>

namespace featcodec::rans {

const std::vector<std::int32_t> &costs() {
    static const std::vector<std::int32_t> table = [] {
        std::vector<std::int32_t> made(kTotal + 1);
        made[0] = kAbsent;
        for (std::uint32_t f = 1; f <= kTotal; ++f) {
            const int whole = std::bit_width(f) - 1;
            std::uint64_t mantissa = static_cast<std::uint64_t>(f) << (31 - whole);  // [2^31, 2^32): f / 2^whole
            std::int32_t log2 = whole << kCostBits;
            for (int bit = kCostBits - 1; bit >= 0; --bit) {  // squaring doubles the logarithm
                mantissa = (mantissa * mantissa) >> 31;
                if (mantissa >> 32) {
                    mantissa >>= 1;
                    log2 += 1 << bit;
                }
            }
            made[f] = (kBits << kCostBits) - log2;
        }
        return made;
    }();
    return table;
}

std::vector<std::uint32_t> normalise(const std::vector<std::uint64_t> &weights) {
    const std::uint64_t sum = std::accumulate(weights.begin(), weights.end(), std::uint64_t{0});
    if (sum == 0 || weights.size() > 4096) throw Corrupt("a table without symbols, or with too many");
    std::vector<std::uint32_t> made(weights.size());
    std::int64_t left = kTotal;
    for (std::size_t s = 0; s < weights.size(); ++s) {
        if (weights[s] == 0) continue;
        made[s] = std::max<std::uint32_t>(1, static_cast<std::uint32_t>((weights[s] * kTotal + sum / 2) / sum));
        left -= made[s];
    }
    // The largest takes the difference; where that would halve it, half of it does and the next largest goes on.
    while (left != 0) {
        auto largest = std::max_element(made.begin(), made.end());
        const std::int64_t change = std::max<std::int64_t>(left, -static_cast<std::int64_t>(*largest / 2));
        *largest = static_cast<std::uint32_t>(*largest + change);
        left -= change;
    }
    return made;
}

std::uint32_t level_of(std::uint64_t count) {
    if (count < 4) return static_cast<std::uint32_t>(count);
    const auto octave = static_cast<std::uint32_t>(std::bit_width(count)) - 3;
    const std::uint64_t rounded = octave ? (count + (1ull << (octave - 1))) >> octave : count;
    return std::min(kTopLevel, 4 * octave + static_cast<std::uint32_t>(rounded));
}

std::uint64_t weight_of(std::uint32_t level) {
    return level < 4 ? level : static_cast<std::uint64_t>(4 + level % 4) << (level / 4 - 1);
}

std::vector<std::uint32_t> levels_of(const std::vector<std::uint64_t> &counts) {
    std::vector<std::uint32_t> levels(counts.size());
    std::transform(counts.begin(), counts.end(), levels.begin(), level_of);
    return levels;
}

std::vector<std::uint32_t> frequencies_of(const std::vector<std::uint32_t> &levels) {
    std::vector<std::uint64_t> weights(levels.size());
    std::transform(levels.begin(), levels.end(), weights.begin(), weight_of);
    return normalise(weights);
}

}  // namespace featcodec::rans
