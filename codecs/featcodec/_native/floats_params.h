// The header of a `floats` payload.
#pragma once

#include "bits.h"
#include "floats_model.h"

namespace featcodec::floats {

// What the encoder chooses; T is the unsigned type of a float's bits.
template <class T>
Params choose(const T *values, Format format, const Shape &shape);

void write_params(const Params &params, rans::BitWriter &out);

// Raises rans::Corrupt.
Params read_params(rans::BitReader &in, Format format, std::size_t channels);

}  // namespace featcodec::floats
