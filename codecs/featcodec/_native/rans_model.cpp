#include "rans_model.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <numeric>

namespace featcodec::rans {
namespace {

constexpr std::uint64_t kOne = 1ull << 32;

std::uint64_t root(std::uint64_t square) {
    std::uint64_t low = 0, high = kOne;
    while (high - low > 1) {
        const std::uint64_t middle = (low + high) / 2;
        (middle * middle <= square ? low : high) = middle;
    }
    return low;
}

// exp(-1 / scale) * 2^32 for scale = 2^(index / 4) / 8: four constants and square roots.
const std::array<std::uint64_t, 52> &ratios() {
    static const std::array<std::uint64_t, 52> made = [] {
        std::array<std::uint64_t, 52> r{1440801, 5145013, 15004422, 36905875};
        for (std::size_t i = 4; i < r.size(); ++i) r[i] = root(r[i - 4] << 32);
        return r;
    }();
    return made;
}

std::vector<std::uint64_t> laplace(std::size_t index) {
    const std::uint64_t ratio = ratios()[index];
    std::vector<std::uint64_t> w(kReach + 1);
    w[0] = ((kOne - ratio) << 31) / (kOne + ratio) * 2;
    for (std::size_t n = 1; n < w.size(); ++n) w[n] = (w[n - 1] * ratio) >> 32;
    return w;
}

// Differences of the logistic distribution function 1 / (1 + ratio^x).
std::vector<std::uint64_t> logistic(std::size_t index) {
    const std::uint64_t ratio = ratios()[index];
    std::uint64_t power = ratios()[index + 4], before = (1ull << 62) / (kOne + power);
    std::vector<std::uint64_t> w(kReach + 1);
    w[0] = (2 * before - (1ull << 30)) * 4;
    for (std::size_t n = 1; n < w.size(); ++n) {
        power = (power * ratio) >> 32;
        const std::uint64_t next = (1ull << 62) / (kOne + power);
        w[n] = (next - before) * 4;
        before = next;
    }
    return w;
}

Member make(int shape, int scale) {
    const auto index = static_cast<std::size_t>(scale);
    std::vector<std::uint64_t> w = shape == 1 ? logistic(index) : laplace(index);
    if (shape >= 2) {
        const auto wide = laplace(index + (shape == 2 ? 8 : 4));
        for (std::size_t n = 0; n < w.size(); ++n) w[n] = (3 * w[n] + wide[n]) / 4;
    }
    std::uint32_t reach = 0;
    while (reach < kReach && w[reach + 1] >= kOne / (2 * kTotal)) ++reach;
    std::vector<std::uint64_t> weights(2 * reach + 2);
    std::uint64_t sum = 0;
    for (std::uint32_t n = 0; n <= reach; ++n) {
        weights[reach + n] = weights[reach - n] = w[n];
        sum += n ? 2 * w[n] : w[n];
    }
    weights[2 * reach + 1] = sum < kOne ? kOne - sum : 1;
    Member made{normalise(weights), reach, 0};
    for (std::uint32_t n = 1; n <= reach; ++n) made.mean += 2ll * n * made.frequencies[reach + n];
    return made;
}

std::int64_t cost_of(const std::uint64_t *counts, const std::vector<std::uint32_t> &frequencies) {
    const auto &cost = costs();
    std::int64_t sum = 0;
    for (std::size_t s = 0; s < frequencies.size(); ++s)
        sum += static_cast<std::int64_t>(counts[s]) * cost[frequencies[s]];
    return sum;
}

struct Explicit {
    std::vector<std::vector<std::uint32_t>> levels, frequencies;
    std::vector<std::uint32_t> map;
    std::int64_t bits = 0;
};

// Tables of the groups that have members, numbered anew in order.
void fit(const Counts &counts, Explicit &e) {
    const std::size_t width = counts.symbols + 1;
    std::vector<std::vector<std::uint64_t>> sums;
    std::vector<std::int64_t> number(*std::max_element(e.map.begin(), e.map.end()) + 1u, -1);
    for (auto group : e.map) number[group] = 0;
    std::int64_t used = 0;
    for (auto &n : number)
        if (n == 0) n = used++;
    sums.assign(static_cast<std::size_t>(used), std::vector<std::uint64_t>(width));
    for (std::size_t c = 0; c < counts.channels; ++c) {
        e.map[c] = static_cast<std::uint32_t>(number[e.map[c]]);
        for (std::size_t s = 0; s < width; ++s) sums[e.map[c]][s] += counts.of[c * width + s];
    }
    e.levels.clear();
    e.frequencies.clear();
    e.bits = 0;
    for (const auto &sum : sums) {
        e.levels.push_back(levels_of(sum));
        e.frequencies.push_back(frequencies_of(e.levels.back()));
        e.bits += cost_of(sum.data(), e.frequencies.back()) + (best_rice(e.levels.back()).second << kCostBits);
    }
    if (used > 1) e.bits += static_cast<std::int64_t>(counts.channels) * std::bit_width(sums.size() - 1) << kCostBits;
}

Explicit grouped(const Counts &counts, std::size_t groups) {
    const std::size_t width = counts.symbols + 1;
    Explicit e;
    e.map.assign(counts.channels, 0);
    if (groups > 1) {
        std::vector<std::uint64_t> key(counts.channels);
        std::vector<std::size_t> order(counts.channels);
        std::iota(order.begin(), order.end(), 0);
        for (std::size_t c = 0; c < counts.channels; ++c)
            for (std::size_t s = 0; s < width; ++s) key[c] += s * counts.of[c * width + s];
        std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return key[a] < key[b]; });
        for (std::size_t r = 0; r < order.size(); ++r) e.map[order[r]] = static_cast<std::uint32_t>(r * groups / order.size());
    }
    fit(counts, e);
    for (int round = 0; groups > 1 && round < 3; ++round) {
        for (std::size_t c = 0; c < counts.channels; ++c) {
            std::int64_t least = INT64_MAX;
            for (std::size_t g = 0; g < e.frequencies.size(); ++g) {
                const std::int64_t cost = cost_of(&counts.of[c * width], e.frequencies[g]);
                if (cost < least) least = cost, e.map[c] = static_cast<std::uint32_t>(g);
            }
        }
        fit(counts, e);
    }
    return e;
}

struct Parametric {
    int shape = 0;
    bool centred = false;
    std::vector<std::int64_t> scales, centres;
    std::int64_t bits = 0;
};

Parametric parametric(const Counts &counts, int shape, const std::vector<std::int64_t> &centres, bool centred) {
    const std::size_t width = counts.symbols + 1;
    const auto &cost = costs();
    Parametric p{shape, centred, {}, centres, 0};
    std::int64_t before = 0;
    for (std::size_t c = 0; c < counts.channels; ++c) {
        std::array<std::int64_t, kReach + 1> magnitudes{};
        std::int64_t beyond = 0, sum = 0, total = 0, top = 0;
        for (std::uint32_t s = 0; s < counts.symbols; ++s) {
            const auto n = static_cast<std::int64_t>(counts.of[c * width + s]);
            const std::int64_t magnitude = std::abs(counts.base + static_cast<std::int64_t>(s) - centres[c]);
            (magnitude <= kReach ? magnitudes[static_cast<std::size_t>(magnitude)] : beyond) += n;
            if (n) top = std::max(top, std::min<std::int64_t>(magnitude, kReach));
            sum += std::min<std::int64_t>(magnitude, kReach) * n;
            total += n;
        }
        int nearest = 0;
        while (nearest < kScales - 1 && member(shape, nearest).mean * total < sum << kBits) ++nearest;
        std::int64_t least = INT64_MAX, chosen = 0;
        for (int scale = 0; scale < kScales; ++scale) {
            if (scale != before && (scale < nearest - 3 || scale > nearest + 2)) continue;
            const Member &m = member(shape, scale);
            std::int64_t escaped = beyond, bits = 0;
            for (std::uint32_t n = 0; n <= top; ++n) {
                if (n <= m.reach)
                    bits += magnitudes[n] * cost[m.frequencies[m.reach + n]];
                else
                    escaped += magnitudes[n];
            }
            bits += escaped * (cost[m.frequencies.back()] + kEscapeCost) + (std::abs(scale - before) << kCostBits);
            if (bits < least) least = bits, chosen = scale;
        }
        p.bits += least - (std::abs(chosen - before) << kCostBits);
        p.scales.push_back(chosen);
        before = chosen;
    }
    p.bits += best_rice(p.scales).second << kCostBits;
    if (centred) p.bits += best_rice(p.centres).second << kCostBits;
    return p;
}

// The first symbol that half of the channel's values do not exceed, as a value.
std::vector<std::int64_t> medians(const Counts &counts) {
    const std::size_t width = counts.symbols + 1;
    std::vector<std::int64_t> made;
    for (std::size_t c = 0; c < counts.channels; ++c) {
        const std::uint64_t *row = &counts.of[c * width];
        const std::uint64_t total = std::accumulate(row, row + counts.symbols, std::uint64_t{0});
        std::uint64_t seen = row[0];
        std::uint32_t s = 0;
        while (2 * seen < total) seen += row[++s];
        made.push_back(counts.base + s);
    }
    return made;
}

Model from(const Parametric &p) {
    Model model;
    std::array<std::int64_t, kScales> number;
    number.fill(-1);
    for (std::size_t c = 0; c < p.scales.size(); ++c) {
        const auto scale = static_cast<std::size_t>(p.scales[c]);
        const Member &m = member(p.shape, static_cast<int>(scale));
        if (number[scale] < 0) {
            number[scale] = static_cast<std::int64_t>(model.tables.size());
            model.tables.push_back(m.frequencies);
        }
        model.channels.push_back({static_cast<std::uint32_t>(number[scale]), p.centres[c] - m.reach, 2 * m.reach + 1});
    }
    return model;
}

Model from(std::vector<std::vector<std::uint32_t>> frequencies, const std::vector<std::uint32_t> &map, int shift,
           std::int64_t base, std::uint32_t symbols) {
    Model model{shift, std::move(frequencies), {}};
    for (auto group : map) model.channels.push_back({group, base, symbols});
    return model;
}

}  // namespace

const Member &member(int shape, int scale) {
    static const std::vector<Member> family = [] {
        std::vector<Member> made;
        for (int h = 0; h < kShapes; ++h)
            for (int s = 0; s < kScales; ++s) made.push_back(make(h, s));
        return made;
    }();
    return family[static_cast<std::size_t>(shape * kScales + scale)];
}

Model choose(const Counts &counts, std::uint8_t &mode, BitWriter &header) {
    Explicit best = grouped(counts, 1);
    for (std::size_t groups = 2; groups <= std::min<std::size_t>(16, counts.channels); groups *= 2) {
        Explicit next = grouped(counts, groups);
        if (next.bits >= best.bits) break;
        best = std::move(next);
    }
    constexpr std::int64_t fixed = 30ll << kCostBits;  // roughly what an explicit header has besides its lists
    Parametric shortest;
    shortest.bits = INT64_MAX;
    if (counts.shift == 0 && counts.base > -kCentreLimit && counts.base < kCentreLimit - counts.symbols) {
        const std::vector<std::int64_t> zeros(counts.channels), middle = medians(counts);
        for (int shape = 0; shape < kShapes; ++shape) {
            for (int centred = 0; centred < (middle == zeros ? 1 : 2); ++centred) {
                Parametric p = parametric(counts, shape, centred ? middle : zeros, centred != 0);
                if (p.bits < shortest.bits) shortest = std::move(p);
            }
        }
    }
    if (shortest.bits < best.bits + fixed) {
        mode = 2;
        header.put(static_cast<std::uint64_t>(shortest.shape), 2);
        header.put(shortest.centred, 1);
        put_list(header, shortest.scales);
        if (shortest.centred) put_list(header, shortest.centres);
        return from(shortest);
    }
    mode = 1;
    const std::uint64_t folded = fold(counts.base);
    const int width = std::bit_width(folded);
    header.put(static_cast<std::uint64_t>(counts.shift), 6);
    header.put(static_cast<std::uint64_t>(width), 7);
    header.put(folded, width);
    header.put(counts.symbols - 1, 10);
    header.gamma(best.levels.size() - 1);
    for (const auto &levels : best.levels) put_list(header, levels);
    const int bits = std::bit_width(best.levels.size() - 1);
    for (auto group : best.map) header.put(group, bits);
    return from(std::move(best.frequencies), best.map, counts.shift, counts.base, counts.symbols);
}

Model read_explicit(BitReader &in, std::size_t channels) {
    const int shift = static_cast<int>(in.get(6));
    const int width = static_cast<int>(in.get(7));
    if (width > 64) throw Corrupt("a number is too large");
    const std::int64_t base = unfold(in.get(width));
    const auto symbols = static_cast<std::uint32_t>(in.get(10)) + 1;
    const std::uint64_t tables = in.gamma() + 1;
    if (tables > channels) throw Corrupt("more tables than channels");
    std::vector<std::vector<std::uint32_t>> frequencies;
    for (std::uint64_t t = 0; t < tables; ++t) {
        const auto list = get_list(in, symbols + 1, 0, kTopLevel);
        frequencies.push_back(frequencies_of({list.begin(), list.end()}));
    }
    std::vector<std::uint32_t> map;
    const int bits = std::bit_width(tables - 1);
    for (std::size_t c = 0; c < channels; ++c) {
        map.push_back(static_cast<std::uint32_t>(in.get(bits)));
        if (map.back() >= tables) throw Corrupt("a channel's table is missing");
    }
    return from(std::move(frequencies), map, shift, base, symbols);
}

Model read_parametric(BitReader &in, std::size_t channels) {
    Parametric p;
    p.shape = static_cast<int>(in.get(2));
    p.centred = in.get(1) != 0;
    p.scales = get_list(in, channels, 0, kScales - 1);
    p.centres = p.centred ? get_list(in, channels, -kCentreLimit, kCentreLimit) : std::vector<std::int64_t>(channels);
    return from(p);
}

}  // namespace featcodec::rans
