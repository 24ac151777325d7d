// The encoder's choice of reference channels: orthogonal matching pursuit on high-passed channels.
// Doubles decide only what the header then states; the order of operations is that of the Python reference.
#include "ctx_model.h"

namespace featcodec::ctx {
namespace {

// Sums of products of high-passed channels, [channel][distance].
std::vector<i64> products(const Shape &s, const u16 *values) {
    const std::size_t area = s.area(), width = s.width, window = kWindow + 1;
    const int shift = s.shift();
    std::vector<std::int16_t> high(s.channels * area);
    for (std::size_t i = 0; i < high.size(); ++i) {
        const std::size_t in = i % area, x = in % width;
        const auto tap = [&](std::size_t at) { return shift >= 0 ? i32{values[at]} << shift : i32{values[at]} >> -shift; };
        const i32 north = in >= width ? tap(i - width) : x ? tap(i - 1) : tap(i);
        const i32 west = x ? tap(i - 1) : north;
        high[i] = static_cast<std::int16_t>((2 * tap(i) - west - north) >> 1);
    }
    std::vector<i64> sums(s.channels * window, 0);
    for (std::size_t c = 0; c < s.channels; ++c)
        for (std::size_t d = 0; d <= std::min<std::size_t>(c, kWindow); ++d) {
            const std::int16_t *one = high.data() + c * area, *two = one - d * area;
            sums[c * window + d] = dot(one, two, area);
        }
    return sums;
}

}  // namespace

void choose_references(const Shape &s, const u16 *values, Choices &choices) {
    choices.count.assign(s.channels, 0);
    const int most = s.max_refs();
    if (most == 0 || s.channels < 2) return;
    choices.distance.assign(s.channels * kMaxRefs, 0);
    const std::size_t window = kWindow + 1;
    const std::vector<i64> sums = products(s, values);
    const auto product = [&](std::size_t i, std::size_t j) {
        return static_cast<double>(i >= j ? sums[i * window + (i - j)] : sums[j * window + (j - i)]);
    };
    std::vector<double> r(window), v(window), own(window);
    std::array<double, kMaxRefs> norm{};
    std::vector<std::vector<double>> u(kMaxRefs, std::vector<double>(window));
    for (std::size_t c = 1; c < s.channels; ++c) {
        const std::size_t candidates = std::min<std::size_t>(c, kWindow);
        for (std::size_t d = 1; d <= candidates; ++d) {
            r[d] = product(c, c - d);
            own[d] = v[d] = product(c - d, c - d);
        }
        double left = product(c, c);
        const double bits = (s.small() ? 6.0 : 16.0) + width_of(candidates);
        for (int k = 0; k < most; ++k) {
            std::size_t best = 0;
            double gain = 0;
            for (std::size_t d = 1; d <= candidates; ++d) {
                if (v[d] <= 0.001 * own[d]) continue;
                const double g = r[d] * r[d] / v[d];
                if (g > gain) {
                    gain = g;
                    best = d;
                }
            }
            if (best == 0 || gain * static_cast<double>(s.area()) <= left * (bits * 1.4)) break;
            choices.distance[c * kMaxRefs + choices.count[c]++] = static_cast<u8>(best);
            left = left - gain;
            auto &row = u[static_cast<std::size_t>(k)];
            const double rb = r[best], vb = v[best];
            for (std::size_t d = 1; d <= candidates; ++d) {
                double x = product(c - best, c - d);
                for (int m = 0; m < k; ++m) {
                    const auto &old = u[static_cast<std::size_t>(m)];
                    x = x - old[d] * old[best] / norm[static_cast<std::size_t>(m)];
                }
                row[d] = x;
            }
            for (std::size_t d = 1; d <= candidates; ++d) {
                r[d] = r[d] - row[d] * rb / vb;
                v[d] = v[d] - row[d] * row[d] / vb;
            }
            norm[static_cast<std::size_t>(k)] = vb;
            v[best] = 0;
        }
    }
}

}  // namespace featcodec::ctx
