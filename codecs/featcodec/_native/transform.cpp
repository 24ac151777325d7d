// What Python sees of the calibrated coder, and the reconstruction of coefficients; the references are
// featcodec/array_coders/rans_profile.py and featcodec/quantisers/transform.py.
#include "transform.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#include "rans_profile_decoder.h"

namespace nb = nanobind;

namespace featcodec {
namespace {

using rans::Contexts;
using rans::ProfileCoder;
using rans::ProfileTables;

// What symbols stand for: values[chosen[place]][|symbol|] with the symbol's sign, or |symbol| times step beyond `width`.
struct Points {
    const std::uint8_t *chosen;  // (rows, components): which row of `values`
    const float *values;         // (tables, width)
    std::size_t width;
    float step;

    float of(std::int16_t symbol, std::size_t place) const {
        const int magnitude = symbol < 0 ? -symbol : symbol;
        const float value = static_cast<std::size_t>(magnitude) < width
                                ? values[chosen[place] * width + static_cast<std::size_t>(magnitude)]
                                : static_cast<float>(magnitude) * step;
        return symbol < 0 ? -value : value;
    }
};

template <class T, int N>
using Given = nb::ndarray<const T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <class T, int N>
using Out = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

std::shared_ptr<ProfileTables> make_tables(Given<std::uint16_t, 2> counts) {
    if (counts.shape(0) < 1 || counts.shape(0) > 256 || counts.shape(1) < 2 || counts.shape(1) > 4096)
        throw nb::value_error("1 to 256 tables of 2 to 4096 counts");
    return std::make_shared<ProfileTables>(counts.data(), counts.shape(0), counts.shape(1));
}

std::shared_ptr<ProfileCoder> make_coder(std::shared_ptr<ProfileTables> tables, std::size_t blocks,
                                         Given<std::uint8_t, 2> chosen) {
    const std::uint8_t *first = chosen.data(), *last = first + chosen.size();
    if (!chosen.size() || *std::max_element(first, last) >= tables->tables() || blocks < 1 || blocks > 1ull << 32)
        throw nb::value_error("a table that does not exist, or no symbols");
    auto coder = std::make_shared<ProfileCoder>();
    coder->tables = std::move(tables);
    coder->blocks = blocks;
    coder->rows = chosen.shape(0);
    coder->components = chosen.shape(1);
    coder->chosen.assign(first, last);
    return coder;
}

void set_contexts(ProfileCoder &coder, Given<std::int32_t, 1> pattern, Given<std::int32_t, 3> back,
                  Given<std::uint8_t, 2> weights, Given<std::int32_t, 3> bias, Given<std::uint8_t, 3> quiet,
                  Given<std::int32_t, 1> logarithms, std::uint32_t alpha) {
    const std::size_t patterns = back.shape(0), terms = back.shape(2);
    const auto fits = [&](const auto &array) {
        return array.shape(0) == patterns && array.shape(1) == coder.rows && array.shape(2) == coder.components;
    };
    if (pattern.size() != coder.blocks || back.shape(1) != coder.rows || weights.shape(0) != terms ||
        weights.shape(1) != 2 || !fits(bias) || !fits(quiet) || logarithms.size() != 32 * 64)
        throw nb::value_error("contexts of another shape than the symbols");
    coder.contexts = std::make_unique<Contexts>(Contexts::Given{
        patterns, coder.rows, terms, coder.components, coder.blocks, pattern.data(), back.data(), weights.data(),
        bias.data(), quiet.data(), logarithms.data(), alpha, static_cast<std::uint32_t>(coder.tables->tables() - 1)});
}

nb::bytes encode(const ProfileCoder &coder, Given<std::int16_t, 1> symbols) {
    if (symbols.size() != coder.count()) throw nb::value_error("the symbols' size and shape differ");
    std::vector<std::uint8_t> out;
    {
        nb::gil_scoped_release unlocked;
        out = coder.encode(symbols.data());
    }
    return nb::bytes(out.data(), out.size());
}

void decode(const ProfileCoder &coder, Given<std::uint8_t, 1> data, Out<std::int16_t, 1> symbols) {
    if (symbols.size() != coder.count()) throw nb::value_error("the symbols' size and shape differ");
    nb::gil_scoped_release unlocked;
    coder.decode(data.data(), data.size(), symbols.data());
}

void set_points(ProfileCoder &coder, Given<float, 2> values, float step) {
    if (values.shape(0) != coder.tables->tables() || !values.shape(1))
        throw nb::value_error("points of another number of tables");
    coder.points.assign(values.data(), values.data() + values.size());
    coder.width = values.shape(1);
    coder.step = step;
}

// `reconstruct` of what `decode` gives, in one pass.
void decode_coefficients(const ProfileCoder &coder, Given<std::uint8_t, 1> data, Out<float, 1> coefficients) {
    if (coefficients.size() != coder.count()) throw nb::value_error("the coefficients' size and shape differ");
    if (coder.points.empty()) throw nb::value_error("a coder without points");
    const Points points{coder.chosen.data(), coder.points.data(), coder.width, coder.step};
    float *out = coefficients.data();
    const std::size_t period = coder.chosen.size();
    nb::gil_scoped_release unlocked;
    std::memset(out, 0, coder.count() * sizeof *out);
    // One block is the usual case, and a division for each value is not free.
    if (coder.blocks == 1)
        rans::pop_all(coder, data.data(), data.size(),
                      [&](std::size_t at, std::int16_t value) { out[at] = points.of(value, at); });
    else
        rans::pop_all(coder, data.data(), data.size(),
                      [&](std::size_t at, std::int16_t value) { out[at] = points.of(value, at % period); });
}

// coefficients[i] = sign times values[chosen[i]][|symbol|], or |symbol| times step beyond the values.
void reconstruct(Given<std::int16_t, 1> symbols, Given<std::uint8_t, 1> chosen, Given<float, 2> values, float step,
                 Out<float, 1> coefficients) {
    const std::size_t period = chosen.size(), count = symbols.size(), width = values.shape(1);
    if (!period || count % period || count != coefficients.size())
        throw nb::value_error("symbols, tables and coefficients differ in size");
    if (!width || *std::max_element(chosen.data(), chosen.data() + period) >= values.shape(0))
        throw nb::value_error("a table without values");
    const std::int16_t *in = symbols.data();
    const Points points{chosen.data(), values.data(), width, step};
    float *out = coefficients.data();
    nb::gil_scoped_release unlocked;
    std::memset(out, 0, count * sizeof *out);
    const auto one = [&](std::size_t i, std::size_t place) {
        out[i] = points.of(in[i], place);
    };
    for (std::size_t start = 0; start < count; start += period) {
        std::size_t place = 0;
        for (; place + 4 <= period; place += 4) {
            std::uint64_t four;
            std::memcpy(&four, in + start + place, 8);
            if (four == 0) continue;  // most symbols are 0
            for (std::size_t i = place; i < place + 4; ++i)
                if (in[start + i]) one(start + i, i);
        }
        for (; place < period; ++place)
            if (in[start + place]) one(start + place, place);
    }
}

}  // namespace

void bind_transform(nb::module_ &m) {
    nb::class_<ProfileTables>(m, "ProfileTables").def(nb::new_(&make_tables), nb::arg("counts"));
    nb::class_<ProfileCoder>(m, "ProfileCoder")
        .def(nb::new_(&make_coder), nb::arg("tables"), nb::arg("blocks"), nb::arg("chosen"))
        .def("set_contexts", &set_contexts, nb::arg("pattern"), nb::arg("back"), nb::arg("weights"), nb::arg("bias"),
             nb::arg("quiet"), nb::arg("logarithms"), nb::arg("alpha"))
        .def("encode", &encode, nb::arg("symbols"))
        .def("decode", &decode, nb::arg("data"), nb::arg("symbols"))
        .def("set_points", &set_points, nb::arg("values"), nb::arg("step"))
        .def("decode_coefficients", &decode_coefficients, nb::arg("data"), nb::arg("coefficients"));
    m.def("reconstruct", &reconstruct, nb::arg("symbols"), nb::arg("chosen"), nb::arg("values"), nb::arg("step"),
          nb::arg("coefficients"));
}

}  // namespace featcodec
