// Bits, lowest first, and the integer codes of headers. The reference is featcodec/array_coders/bits.py.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "rans_core.h"

namespace featcodec::rans {

class BitWriter {
   public:
    void put(std::uint64_t value, int bits) {
        while (bits > 0) {
            const int now = std::min(bits, 32);
            held_ |= (value & ((1ull << now) - 1)) << used_;
            used_ += now;
            while (used_ >= 8) {
                bytes_.push_back(static_cast<std::uint8_t>(held_));
                held_ >>= 8;
                used_ -= 8;
            }
            bits -= now;
            value >>= now;
        }
    }

    // Elias gamma of value + 1, value below 2^63: n zeros, a one, then the n bits below the top one.
    void gamma(std::uint64_t value) {
        const int below = std::bit_width(value + 1) - 1;
        put(0, below);
        put(1, 1);
        put(value + 1, below);
    }

    // Whole bytes so far, the last one filled with zeros.
    std::vector<std::uint8_t> take() {
        if (used_) bytes_.push_back(static_cast<std::uint8_t>(held_));
        held_ = 0;
        used_ = 0;
        return std::move(bytes_);
    }

   private:
    std::vector<std::uint8_t> bytes_;
    std::uint64_t held_ = 0;
    int used_ = 0;
};

class BitReader {
   public:
    BitReader(const std::uint8_t *data, std::size_t size) : data_(data), end_(size) {}

    std::uint64_t get(int bits) {
        std::uint64_t value = 0;
        for (int done = 0; done < bits;) {
            if (held_ == 0) {
                if (at_ == end_) throw Corrupt("the payload is cut short");
                byte_ = data_[at_++];
                held_ = 8;
            }
            const int now = std::min(held_, bits - done);
            value |= static_cast<std::uint64_t>(byte_ & ((1u << now) - 1)) << done;
            byte_ >>= now;
            held_ -= now;
            done += now;
        }
        return value;
    }

    std::uint64_t gamma() {
        int below = 0;
        while (get(1) == 0)
            if (++below > 63) throw Corrupt("a number is too large");
        return ((1ull << below) | get(below)) - 1;
    }

    // Bytes begun so far; the bits that fill the last one must be 0.
    std::size_t bytes() const {
        if (byte_ != 0) throw Corrupt("bits that fill a byte are not 0");
        return at_;
    }

   private:
    const std::uint8_t *data_;
    std::size_t end_;
    std::size_t at_ = 0;
    unsigned byte_ = 0;
    int held_ = 0;
};

// Lists of small integers: each entry's difference from the one before, signs folded in, as a Rice code.
constexpr int kRiceLimit = 24;      // a quotient this large is followed by the folded difference itself
constexpr int kRiceEscapeBits = 26;
constexpr std::int64_t kListLimit = 1 << 24;  // entries are within +- this

inline std::uint64_t fold(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
inline std::int64_t unfold(std::uint64_t code) {
    return static_cast<std::int64_t>((code >> 1) ^ (0 - (code & 1)));
}

inline std::int64_t rice_bits(std::uint64_t folded, int k) {
    const std::uint64_t quotient = folded >> k;
    return quotient >= kRiceLimit ? kRiceLimit + kRiceEscapeBits : static_cast<std::int64_t>(quotient) + 1 + k;
}

// The parameter of the shortest code (the smallest on a tie), and its length in bits with the 3 that say it.
template <class T>
std::pair<int, std::int64_t> best_rice(const std::vector<T> &list) {
    int best = 0;
    std::int64_t shortest = INT64_MAX;
    for (int k = 0; k < 8; ++k) {
        std::int64_t bits = 3, before = 0;
        for (auto value : list) {
            bits += rice_bits(fold(static_cast<std::int64_t>(value) - before), k);
            before = static_cast<std::int64_t>(value);
        }
        if (bits < shortest) shortest = bits, best = k;
    }
    return {best, shortest};
}

template <class T>
void put_list(BitWriter &out, const std::vector<T> &list) {
    const int k = best_rice(list).first;
    out.put(static_cast<std::uint64_t>(k), 3);
    std::int64_t before = 0;
    for (auto value : list) {
        const std::uint64_t folded = fold(static_cast<std::int64_t>(value) - before), quotient = folded >> k;
        if (quotient >= kRiceLimit) {
            out.put(0, kRiceLimit);
            out.put(folded, kRiceEscapeBits);
        } else {
            out.put(1ull << quotient, static_cast<int>(quotient) + 1);
            out.put(folded, k);
        }
        before = static_cast<std::int64_t>(value);
    }
}

inline std::vector<std::int64_t> get_list(BitReader &in, std::size_t count, std::int64_t low, std::int64_t high) {
    const int k = static_cast<int>(in.get(3));
    std::vector<std::int64_t> list;
    std::int64_t before = 0;
    for (std::size_t i = 0; i < count; ++i) {
        int quotient = 0;
        while (quotient < kRiceLimit && in.get(1) == 0) ++quotient;
        const std::uint64_t folded = quotient == kRiceLimit ? in.get(kRiceEscapeBits)
                                                            : static_cast<std::uint64_t>(quotient) << k | in.get(k);
        before += unfold(folded);
        if (before < low || before > high) throw Corrupt("a table's number is out of range");
        list.push_back(before);
    }
    return list;
}

}  // namespace featcodec::rans
