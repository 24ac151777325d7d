// Range asymmetric numeral systems over integer tables: what `rans` and `floats` share.
// J. Duda, "Asymmetric numeral systems: entropy coding combining speed of Huffman coding with compression rate of
// arithmetic coding", arXiv:1311.2540; interleaved states and reciprocals after F. Giesen, "Interleaved entropy
// coders", arXiv:1402.3392. The numpy reference is featcodec/array_coders/rans_core.py.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace featcodec::rans {

constexpr int kBits = 14;                       // frequencies of a table sum to 2^kBits
constexpr std::uint32_t kTotal = 1u << kBits;
constexpr std::uint32_t kLow = 1u << 16;        // states stay within [kLow, 2^32); words of 16 bits leave and enter
constexpr int kBuckets = 256;                   // slots are looked up by their upper 8 bits, then searched
constexpr int kBucketShift = kBits - 8;
constexpr int kCostBits = 12;                   // code lengths are in units of 2^-kCostBits bits
constexpr std::int64_t kAbsent = 28ll << kCostBits;  // what the encoder reckons for a symbol that a table lacks

struct Corrupt : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What encoding one symbol needs. `reciprocal` = ceil(2^46 / frequency): a state x < frequency * 2^18 gives
// x * reciprocal < 2^64, and (x * reciprocal) >> 46 is exactly x / frequency, since the error x * (frequency - 1)
// stays below 2^46.
struct EncoderEntry {
    std::uint64_t reciprocal;
    std::uint32_t start;
    std::uint32_t frequency;
};

// One table, whoever made it: from the payload, from a family, or (later) from a calibrated profile.
struct Table {
    std::vector<std::uint32_t> frequencies;  // of symbols 0..n-1; their sum is kTotal
    std::vector<std::uint32_t> starts;       // n + 1 of them
    std::vector<EncoderEntry> entries;
    std::array<std::uint16_t, kBuckets> first{};  // the symbol of each bucket's first slot

    explicit Table(std::vector<std::uint32_t> given, bool for_encoder) : frequencies(std::move(given)) {
        starts.reserve(frequencies.size() + 1);
        std::uint64_t sum = 0;
        for (auto f : frequencies) {
            starts.push_back(static_cast<std::uint32_t>(sum));
            sum += f;
            if (sum > kTotal) break;
        }
        if (sum != kTotal || frequencies.size() > 4096) throw Corrupt("the frequencies of a table have a wrong sum");
        starts.push_back(kTotal);
        if (for_encoder) {
            entries.reserve(frequencies.size());
            for (std::size_t s = 0; s < frequencies.size(); ++s) {
                const std::uint64_t f = frequencies[s];
                entries.push_back({f ? ((1ull << 46) + f - 1) / f : 0, starts[s], frequencies[s]});
            }
            return;
        }
        std::uint16_t symbol = 0;
        for (int b = 0; b < kBuckets; ++b) {
            const std::uint32_t slot = static_cast<std::uint32_t>(b) << kBucketShift;
            while (starts[symbol + 1u] <= slot) ++symbol;
            first[static_cast<std::size_t>(b)] = symbol;
        }
    }

    std::uint32_t find(std::uint32_t slot) const {
        std::uint32_t symbol = first[slot >> kBucketShift];
        while (starts[symbol + 1] <= slot) ++symbol;  // ends: the last start is kTotal
        return symbol;
    }
};

// 1 state for few symbols, whose bytes would weigh; more for many, for speed.
inline int streams_for(std::size_t count) { return count < 1024 ? 1 : count < 65536 ? 2 : 4; }

// Writes the words of a payload back to front.
class Encoder {
   public:
    Encoder(std::size_t count, int streams)
        : Encoder(std::make_unique_for_overwrite<std::uint16_t[]>(count + 8), count + 8, streams) {}

    // Words may be written over `room`, from `end` downward: one at most for each symbol put.
    Encoder(std::unique_ptr<std::uint16_t[]> room, std::size_t end, int streams)
        : words_(std::move(room)), at_(end), end_(end), streams_(streams), states_{kLow, kLow, kLow, kLow} {}

    // Symbols go in from the last to the first; `index` chooses the state.
    void put(std::size_t index, const EncoderEntry &entry) {
        std::uint32_t &x = states_[index & static_cast<std::size_t>(streams_ - 1)];
        put_state(x, entry);
    }

    void put_state(std::uint32_t &x, const EncoderEntry &entry) {
        const bool full = x >= (static_cast<std::uint64_t>(entry.frequency) << (32 - kBits));
        words_[at_ - 1] = static_cast<std::uint16_t>(x);
        at_ -= full;
        x = full ? x >> 16 : x;
        const auto quotient = static_cast<std::uint32_t>((x * entry.reciprocal) >> 46);
        x += entry.start + quotient * (kTotal - entry.frequency);
    }

    std::array<std::uint32_t, 4> &states() { return states_; }
    int streams() const { return streams_; }
    std::size_t words() const { return end_ - at_; }
    std::size_t bytes() const { return words() * 2 + static_cast<std::size_t>(streams_) * 4; }

    // The states, then the words in the order a decoder reads them.
    void append_to(std::vector<std::uint8_t> &out) const {
        std::size_t to = out.size();
        out.resize(to + bytes());
        for (int s = 0; s < streams_; ++s)
            for (int b = 0; b < 32; b += 8) out[to++] = static_cast<std::uint8_t>(states_[static_cast<std::size_t>(s)] >> b);
        for (std::size_t w = at_; w < end_; ++w, to += 2) {
            out[to] = static_cast<std::uint8_t>(words_[w]);
            out[to + 1] = static_cast<std::uint8_t>(words_[w] >> 8);
        }
    }

   private:
    std::unique_ptr<std::uint16_t[]> words_;
    std::size_t at_, end_;
    int streams_;
    std::array<std::uint32_t, 4> states_;
};

class Decoder {
   public:
    // `data` holds the states and `words` words; the caller has checked that they are there.
    Decoder(const std::uint8_t *data, std::size_t words, int streams) : streams_(streams) {
        for (int s = 0; s < streams; ++s, data += 4) {
            auto &x = states_[static_cast<std::size_t>(s)];
            x = data[0] | data[1] << 8 | data[2] << 16 | static_cast<std::uint32_t>(data[3]) << 24;
            if (x < kLow) throw Corrupt("a state is below its range");
        }
        next_ = data;
        end_ = data + 2 * words;
    }

    std::uint32_t get(std::size_t index, const Table &table) {
        return get_state(states_[index & static_cast<std::size_t>(streams_ - 1)], table);
    }

    std::uint32_t get_state(std::uint32_t &x, const Table &table) {
        const std::uint32_t slot = x & (kTotal - 1);
        const std::uint32_t symbol = table.find(slot);
        x = table.frequencies[symbol] * (x >> kBits) + slot - table.starts[symbol];
        if (x < kLow) {
            if (next_ == end_) throw Corrupt("the payload ends before its symbols do");
            x = x << 16 | static_cast<std::uint32_t>(next_[0] | next_[1] << 8);
            next_ += 2;
        }
        return symbol;
    }

    std::array<std::uint32_t, 4> &states() { return states_; }

    // Raises unless every word was used and every state is where the encoder began.
    void finish() const {
        if (next_ != end_) throw Corrupt("the payload has bytes left over");
        for (int s = 0; s < streams_; ++s)
            if (states_[static_cast<std::size_t>(s)] != kLow) throw Corrupt("the payload's states do not end where they began");
    }

   private:
    std::array<std::uint32_t, 4> states_{kLow, kLow, kLow, kLow};
    const std::uint8_t *next_ = nullptr;
    const std::uint8_t *end_ = nullptr;
    int streams_;
};

// -log2(frequency / kTotal) in units of 2^-kCostBits bits, for every frequency; [0] is kAbsent.
const std::vector<std::int32_t> &costs();

// Frequencies proportional to weights, rounded to nearest, at least 1 where the weight is not 0, summing to kTotal.
// Raises Corrupt when all are 0 or there are more than 4096.
std::vector<std::uint32_t> normalise(const std::vector<std::uint64_t> &weights);

// Weights are sent as levels: 0, 1, 2, 3, then four to an octave (4, 5, 6, 7, 8, 10, 12, 14, 16, 20, ...).
std::uint32_t level_of(std::uint64_t count);
std::uint64_t weight_of(std::uint32_t level);
constexpr std::uint32_t kTopLevel = 127;

// Frequencies 2^14-normalised as a decoder will see them, from counts.
std::vector<std::uint32_t> levels_of(const std::vector<std::uint64_t> &counts);
std::vector<std::uint32_t> frequencies_of(const std::vector<std::uint32_t> &levels);

}  // namespace featcodec::rans
