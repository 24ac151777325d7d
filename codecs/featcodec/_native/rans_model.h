// What `rans` knows about the symbols of one tensor: which table each channel uses. The reference is
// featcodec/array_coders/rans_model.py.
#pragma once

#include <cstdint>
#include <vector>

#include "bits.h"
#include "rans_core.h"

namespace featcodec::rans {

constexpr int kShapes = 4, kScales = 40, kReach = 255;
constexpr std::uint32_t kWindow = 1024;                       // symbols of an explicit table, without the escape
constexpr std::int64_t kCentreLimit = 1 << 20;
constexpr std::int64_t kEscapeCost = 12ll << kCostBits;       // what the encoder reckons for an escaped value

// A symmetric table of the family: frequencies of -reach..reach, then of the escape.
struct Member {
    std::vector<std::uint32_t> frequencies;
    std::uint32_t reach;
    std::int64_t mean;  // sum of |value| * frequency
};
const Member &member(int shape, int scale);

// Symbol = (value >> shift) - base of the channel; `symbols` of them, the next one is the escape.
struct Channel {
    std::uint32_t table;
    std::int64_t base;
    std::uint32_t symbols;
};

struct Model {
    int shift = 0;
    std::vector<std::vector<std::uint32_t>> tables;  // frequencies
    std::vector<Channel> channels;
};

// Counts of every channel: `symbols` of them, then values outside the window; first symbol is `base`.
struct Counts {
    int shift;
    std::int64_t base;
    std::uint32_t symbols;
    std::size_t channels;
    std::vector<std::uint64_t> of;  // channels x (symbols + 1)
};

// The shorter of explicit and parametric tables, and its mode byte and header bits.
Model choose(const Counts &counts, std::uint8_t &mode, BitWriter &header);

// Raises Corrupt.
Model read_explicit(BitReader &in, std::size_t channels);
Model read_parametric(BitReader &in, std::size_t channels);

}  // namespace featcodec::rans
