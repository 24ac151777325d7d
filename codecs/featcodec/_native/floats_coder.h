// Payloads of `floats`: encode writes kMode first, decode takes what follows it.
#pragma once

#include <cstdint>
#include <vector>

#include "floats_model.h"

namespace featcodec::floats {

constexpr u64 kMode = 1;

// T is the unsigned type of a float's bits.
template <class T>
std::vector<std::uint8_t> encode(const T *values, Format format, const Shape &shape);

// Raises rans::Corrupt.
template <class T>
void decode(const std::uint8_t *data, std::size_t size, T *values, Format format, const Shape &shape);

}  // namespace featcodec::floats
