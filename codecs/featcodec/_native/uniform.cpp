// Uniform quantisation of float32; the reference is featcodec/quantisers/uniform.py.
#include "uniform.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

namespace nb = nanobind;

namespace featcodec {
namespace {

using Floats = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using FloatsOut = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Symbols = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using SymbolsOut = nb::ndarray<std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Smallest and largest value; a NaN or an infinity anywhere makes the first NaN.
std::pair<double, double> extent(Floats values) {
    const float *x = values.data();
    const std::size_t count = values.size();
    float low = std::numeric_limits<float>::infinity(), high = -low, poison = 0.0f;
    {
        nb::gil_scoped_release unlocked;
        for (std::size_t i = 0; i < count; ++i) {
            low = x[i] < low ? x[i] : low;
            high = x[i] > high ? x[i] : high;
            poison += x[i] * 0.0f;  // 0 for finite values, NaN for all others
        }
    }
    return {static_cast<double>(low) + poison, static_cast<double>(high)};
}

// symbols[i] = round_half_even(clamp((x[i] - low) * scale, 0, top)), in double.
void quantise(Floats values, double low, double scale, double top, SymbolsOut symbols) {
    if (values.size() != symbols.size()) throw nb::value_error("values and symbols differ in size");
    const float *x = values.data();
    std::uint8_t *out = symbols.data();
    const std::size_t count = values.size();
    // Adding and subtracting 1.5 * 2^52 rounds to even, as rint does, and vectorises everywhere.
    constexpr double round = 6755399441055744.0;
    nb::gil_scoped_release unlocked;
    for (std::size_t i = 0; i < count; ++i) {
        const double ratio = ((static_cast<double>(x[i]) - low) * scale + round) - round;
        const double floored = ratio > 0.0 ? ratio : 0.0;
        out[i] = static_cast<std::uint8_t>(static_cast<int>(floored < top ? floored : top));
    }
}

// values[i] = table[symbols[i]] for a table with all 256 entries.
void look_up(Symbols symbols, Floats table, FloatsOut values) {
    if (values.size() != symbols.size()) throw nb::value_error("values and symbols differ in size");
    if (table.size() != 256) throw nb::value_error("the table needs 256 entries");
    const std::uint8_t *in = symbols.data();
    const float *entry = table.data();
    float *out = values.data();
    const std::size_t count = symbols.size();
    nb::gil_scoped_release unlocked;
    for (std::size_t i = 0; i < count; ++i) out[i] = entry[in[i]];
}

}  // namespace

void bind_uniform(nb::module_ &m) {
    m.def("extent", &extent, nb::arg("values"));
    m.def("quantise", &quantise, nb::arg("values"), nb::arg("low"), nb::arg("scale"), nb::arg("top"),
          nb::arg("symbols"));
    m.def("look_up", &look_up, nb::arg("symbols"), nb::arg("table"), nb::arg("values"));
}

}  // namespace featcodec
