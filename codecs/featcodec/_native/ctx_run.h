// The pass over all symbols, included by both directions.
#pragma once

#include "ctx_model.h"

namespace featcodec::ctx {

using Row = std::vector<std::int16_t>;

template <class Sink>
bool run(const Shape &s, const Choices &choices, u16 *values, Sink &sink) {
    const std::size_t width = s.width, area = s.area(), window = std::min<std::size_t>(s.channels, kWindow + 1);
    const int shift = s.shift();
    const i32 top = 1 << kTapBits;
    const bool small = s.small();
    const auto tap = [shift](u16 x) { return shift >= 0 ? i32{x} << shift : i32{x} >> -shift; };
    const Tables &known = tables();
    Solver solver;
    std::array<Bit, 84> near;
    std::array<Bit, 256> far;
    std::array<std::array<Mean, 64>, 2> scales;
    for (auto &set : scales)
        for (u32 b = 0; b < 64; ++b) {
            const u32 q = b < 4 ? b : ((4u + (b & 3u)) << (b / 4 - 1));
            set[b].value = static_cast<i32>(std::min(q * 256 / 10 + 16, 1u << 19));
        }
    Row innovation(small && window > 1 ? window * area : 0);
    std::vector<u8> error(window > 1 ? window * area : 0);  // quarter octaves of |e|
    std::vector<i32> mean(window, 0), spread(window, 1);
    std::array<Row, kMaxTaps> taps;
    for (auto &row : taps) row.resize(width);
    Row target(width);
    std::vector<i32> base(width), context(width), above(width + 2, 0), here(width + 2, 0);
    std::array<i32, 64> middle;
    for (u32 b = 0; b < 64; ++b) middle[b] = static_cast<i32>(b < 4 ? b : ((9u + 2 * (b & 3u)) << (b / 4 - 1)) >> 1);
    i64 global_mean = top / 2, global_error = 64;
    const std::vector<u16> nothing(width, 0);
    for (std::size_t c = 0; c < s.channels; ++c) {
        u16 *map = values + c * area;
        const int refs = choices.count[c];
        const int per = small ? 1 : 5;
        const int count = 4 + per * refs;
        std::array<std::size_t, kMaxRefs> ref{};
        for (int r = 0; r < refs; ++r)
            ref[static_cast<std::size_t>(r)] = c - choices.distance[c * kMaxRefs + static_cast<std::size_t>(r)];
        const std::size_t own = (c % window) * area;
        solver.start(count);
        i64 sum = 0, seen = 0, errors = 0;
        std::fill(above.begin(), above.end(), static_cast<i32>(global_error));
        for (std::size_t y = 0; y < s.height; ++y) {
            u16 *row = map + y * width;
            const u16 *north = y ? row - width : nullptr;
            for (std::size_t first = 0; first < width; first += kBlock) {
                const std::size_t last = std::min(width, first + kBlock), n = last - first;
                const i32 centre = static_cast<i32>((sum + 4 * global_mean) / (seen + 4));
                const i32 typical = static_cast<i32>((errors + 16 * global_error) / (seen + 16));
                for (std::size_t x = first; x < last; ++x) {
                    const i32 up = north ? tap(north[x]) - centre : 0;
                    taps[1][x] = static_cast<std::int16_t>(up);
                    taps[2][x] = static_cast<std::int16_t>(north && x ? tap(north[x - 1]) - centre : up);
                    taps[3][x] = static_cast<std::int16_t>(north && x + 1 < width ? tap(north[x + 1]) - centre : up);
                    context[x] = 2 * above[x + 1] + above[x] + above[x + 2] + 2 * typical;
                    if (refs == 0) context[x] += 2 * typical;
                }
                for (int r = 0; r < refs; ++r) {
                    const std::size_t from = ref[static_cast<std::size_t>(r)], ring = (from % window) * area;
                    const auto slot = static_cast<std::size_t>(4 + per * r);
                    if (small) {
                        std::copy_n(innovation.begin() + static_cast<std::ptrdiff_t>(ring + y * width + first), n,
                                    taps[slot].begin() + static_cast<std::ptrdiff_t>(first));
                    } else {
                        const u16 *at = values + from * area + y * width;
                        const u16 *up = y ? at - width : at, *down = y + 1 < s.height ? at + width : at;
                        const i32 m = mean[from % window];
                        for (std::size_t x = first; x < last; ++x) {
                            taps[slot][x] = static_cast<std::int16_t>(tap(at[x]) - m);
                            taps[slot + 1][x] = static_cast<std::int16_t>(tap(at[x ? x - 1 : 0]) - m);
                            taps[slot + 2][x] = static_cast<std::int16_t>(tap(up[x]) - m);
                            taps[slot + 3][x] = static_cast<std::int16_t>(tap(at[x + 1 < width ? x + 1 : x]) - m);
                            taps[slot + 4][x] = static_cast<std::int16_t>(tap(down[x]) - m);
                        }
                    }
                    if (r > 1) continue;
                    const i64 ratio = (i64{typical} << 8) / spread[from % window];
                    const u8 *e = error.data() + ring + y * width;
                    for (std::size_t x = first; x < last; ++x) {
                        const i32 local = 2 * middle[e[x]] + middle[e[x ? x - 1 : 0]] + middle[e[x + 1 < width ? x + 1 : x]];
                        const i64 scaled = (local * ratio) >> (refs == 1 ? 9 : 10);
                        context[x] += static_cast<i32>(std::min<i64>(scaled, 8192));
                    }
                }
                for (std::size_t x = first; x < last; ++x) base[x] = 0;
                for (std::size_t i = 1; i < static_cast<std::size_t>(count); ++i) {
                    const std::int16_t w = solver.weight[i];
                    const std::int16_t *t = taps[i].data();
                    for (std::size_t x = first; x < last; ++x) base[x] += i32{w} * i32{t[x]};
                }
                const i32 west_weight = solver.weight[0];
                for (std::size_t x = first; x < last; ++x) {
                    const i32 west = x ? tap(row[x - 1]) - centre : taps[1][x];
                    taps[0][x] = static_cast<std::int16_t>(west);
                    const i32 predicted = centre * 16 + ((base[x] + west_weight * west + 256) >> 9);
                    Slot slot{std::clamp(predicted, -16 * top, 32 * top), 0, 0, false};
                    const i32 west_error = here[x];
                    const u32 q = static_cast<u32>(context[x] + 2 * (x ? west_error : above[1]));
                    const auto bucket = static_cast<std::size_t>(std::min(63, quarter_octave(q)));
                    i32 value = -1;
                    if (choices.zeros) {
                        const bool nz = north && north[x] == 0, wz = x ? row[x - 1] == 0 : nz;
                        int at = wz + 2 * nz;
                        at += 4 * ((north && x && north[x - 1] == 0) + (north && x + 1 < width && north[x + 1] == 0));
                        int kind = 0;
                        if (refs > 0) kind = 1 + (values[ref[0] * area + y * width + x] == 0);
                        if (refs > 1) kind = 1 + 2 * kind + (values[ref[1] * area + y * width + x] == 0);
                        Bit &a = near[static_cast<std::size_t>(at + 12 * kind)];
                        const i32 m = std::max(slot.mean, -slot.mean);
                        const int ratio = std::clamp(quarter_octave(static_cast<u32>(m)) - int(bucket) + 8, 0, 23);
                        const int sign = slot.mean >= 0 ? 8 + ratio : 7 - std::min(7, ratio / 3);
                        Bit &b = far[static_cast<std::size_t>(32 * (bucket / 8) + static_cast<std::size_t>(sign))];
                        const i32 mixed = 5 * (known.stretch[static_cast<std::size_t>(a.p >> 4)] +
                                               known.stretch[static_cast<std::size_t>(b.p >> 4)]) >> 3;
                        const i32 p = known.squash[static_cast<std::size_t>(std::clamp(mixed, -4096, 4096) + 4096)];
                        const bool zero = sink.zero(p, row[x]);
                        a.update(zero);
                        b.update(zero);
                        if (zero) value = 0;
                        slot.above = true;
                    }
                    Mean &scale = scales[slot.above ? 1 : 0][bucket];
                    if (value < 0) {
                        slot.scale = static_cast<u8>(eighth_octave(static_cast<u32>(scale.value)));
                        slot.group = static_cast<u8>((slot.above ? 16 : 0) + bucket / 4);
                        value = sink.symbol(slot, row[x]);
                    }
                    row[x] = static_cast<u16>(value);
                    const i32 e = std::clamp(tap(row[x]) - ((slot.mean + 8) >> 4), 1 - top, top - 1);
                    const i32 size = e < 0 ? -e : e;
                    here[x + 1] = size;
                    if (!slot.above || value > 0) scale.update(size);
                    errors += size;
                    sum += tap(row[x]);
                    target[x] = static_cast<std::int16_t>(tap(row[x]) - centre);
                    if (!error.empty()) error[own + y * width + x] = static_cast<u8>(quarter_octave(static_cast<u32>(size)));
                    if (!innovation.empty()) innovation[own + y * width + x] = static_cast<std::int16_t>(e);
                }
                if (!sink.good()) return false;
                seen += static_cast<i64>(n);
                std::array<const std::int16_t *, kMaxTaps> from{};
                for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) from[i] = taps[i].data() + first;
                solver.add(from, target.data() + first, n);
                solver.solve();
            }
            here[0] = here[1];
            here[width + 1] = here[width];
            std::swap(above, here);
        }
        solver.finish();
        mean[c % window] = static_cast<i32>(sum / seen);
        spread[c % window] = static_cast<i32>(errors / seen) + 1;
        global_mean += (sum / seen - global_mean) >> 2;
        global_error = (3 * global_error + errors / seen + 2) >> 2;
    }
    return true;
}

}  // namespace featcodec::ctx
