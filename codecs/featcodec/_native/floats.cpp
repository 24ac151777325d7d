// The array coder `floats` for Python. The reference is featcodec/array_coders/floats_reference.py, the format
// docs/floats.md.
#include "floats.h"

#include <nanobind/ndarray.h>

#include "floats_coder.h"
#include "rans_core.h"

namespace nb = nanobind;

namespace featcodec {
namespace {

using namespace floats;
template <class T>
using Maps = nb::ndarray<const T, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
template <class T>
using MapsOut = nb::ndarray<T, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class A>
Shape shape_of(const A &maps) {
    const Shape shape{maps.shape(0), maps.shape(1), maps.shape(2)};
    if (shape.count() == 0) throw nb::value_error("an array without elements");
    return shape;
}

Format format_of(int bits, int exponent) {
    if (exponent != 8 && (exponent != 5 || bits != 16)) throw nb::value_error("exponents have 8 bits, or 5 of 16");
    return {exponent, bits - 1 - exponent};
}

template <class T>
nb::bytes encode_maps(Maps<T> values, int exponent) {
    const Format format = format_of(8 * sizeof(T), exponent);
    const Shape shape = shape_of(values);
    std::vector<std::uint8_t> out;
    {
        nb::gil_scoped_release unlocked;
        out = encode(values.data(), format, shape);
    }
    return nb::bytes(out.data(), out.size());
}

template <class T>
void decode_maps(Bytes data, int exponent, MapsOut<T> values) {
    const Format format = format_of(8 * sizeof(T), exponent);
    const Shape shape = shape_of(values);
    nb::gil_scoped_release unlocked;
    decode(data.data(), data.size(), values.data(), format, shape);
}

}  // namespace

void bind_floats(nb::module_ &m) {
    m.def("floats_encode", &encode_maps<u32>, nb::arg("values"), nb::arg("exponent"));
    m.def("floats_encode", &encode_maps<u16>, nb::arg("values"), nb::arg("exponent"));
    m.def("floats_decode", &decode_maps<u32>, nb::arg("data"), nb::arg("exponent"), nb::arg("values"));
    m.def("floats_decode", &decode_maps<u16>, nb::arg("data"), nb::arg("exponent"), nb::arg("values"));
}

}  // namespace featcodec
