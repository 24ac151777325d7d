// Arrays of the stand-in; their type and rank choose between overloads, as they do in nanobind.
#pragma once

#include <bit>

#include "nanobind.h"

namespace nanobind {

template <int N>
struct ndim {
    static constexpr std::size_t value = N;
};
struct c_contig {};
namespace device {
struct cpu {};
}  // namespace device

template <class T>
constexpr char code_of() {
    if (std::is_floating_point_v<T>) return 'f';
    const char codes[] = "BHIQbhiq";
    return codes[std::bit_width(sizeof(T)) - 1 + (std::is_signed_v<T> ? 4 : 0)];
}

template <class T, class Rank, class... Rest>
class ndarray {
   public:
    explicit ndarray(Array &array) : array_(&array) {}
    T *data() const { return reinterpret_cast<T *>(array_->data); }
    std::size_t size() const { return array_->bytes / sizeof(T); }
    std::size_t shape(std::size_t axis) const { return array_->shape.at(axis); }

   private:
    Array *array_;
};

template <class T, class Rank, class... Rest>
struct Convert<ndarray<T, Rank, Rest...>> {
    static bool fits(const Value &value) {
        return value.array.code == code_of<std::remove_const_t<T>>() && value.array.shape.size() == Rank::value &&
               (std::is_const_v<T> || value.array.written);
    }
    static ndarray<T, Rank, Rest...> from(Value &value) { return ndarray<T, Rank, Rest...>(value.array); }
};

}  // namespace nanobind
