// Kernels of the post-processors; what each does is documented beside its reference in splitnet/tasks/softmax.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

namespace nb = nanobind;

namespace {

using Floats = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

bool all_finite(Floats values) {
    const float *x = values.data();
    std::uint32_t worst = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::uint32_t bits;
        std::memcpy(&bits, x + i, 4);
        worst = std::max(worst, bits & 0x7fffffffu);
    }
    return worst < 0x7f800000u;
}

nb::tuple top_classes(Floats logits, std::size_t count) {
    const float *x = logits.data();
    const std::size_t size = logits.size();
    if (count < 1 || count > size) throw nb::value_error("more classes than logits, or none");
    if (!all_finite(logits)) throw nb::value_error("logits are finite");
    std::vector<std::uint32_t> order(size);
    std::iota(order.begin(), order.end(), 0u);
    const auto end = order.begin() + static_cast<std::ptrdiff_t>(count);
    std::partial_sort(order.begin(), end, order.end(), [x](std::uint32_t a, std::uint32_t b) {
        return x[a] > x[b] || (x[a] == x[b] && a < b);
    });
    const double peak = x[order[0]];
    double total = 0;
    for (std::size_t i = 0; i < size; ++i) total += std::exp(x[i] - peak);
    nb::list indices, probabilities;
    for (auto place = order.begin(); place != end; ++place) {
        indices.append(*place);
        probabilities.append(static_cast<double>(static_cast<float>(std::exp(x[*place] - peak) / total)));
    }
    return nb::make_tuple(indices, probabilities);
}

}  // namespace

NB_MODULE(kernels, m) {
    m.doc() = "Native kernels of splitnet's post-processors; each has a reference in Python.";
    m.def("all_finite", &all_finite, nb::arg("values"));
    m.def("top_classes", &top_classes, nb::arg("logits"), nb::arg("count"));
}
