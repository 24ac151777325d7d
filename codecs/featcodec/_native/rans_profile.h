// rANS over a calibrated profile's tables: modes 3 and 4 of `rans`. The reference is
// featcodec/array_coders/rans_profile.py; docs/rans.md and docs/profile.md have the format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "rans_contexts.h"
#include "rans_core.h"

namespace featcodec::rans {

// A profile's tables in the forms that coding one symbol needs. Symbol order: 0, -1, 1, -2, 2, ..., escape.
class ProfileTables {
   public:
    // `counts` (tables, symbols); raises Corrupt for a row that does not sum to kTotal or lacks the escape.
    ProfileTables(const std::uint16_t *counts, std::size_t tables, std::size_t symbols);

    std::size_t tables() const { return tables_; }
    std::uint32_t escape() const { return static_cast<std::uint32_t>(symbols_ - 1); }
    const EncoderEntry *entries(std::size_t table) const { return &entries_[table * symbols_]; }

    // How a table is searched: its zeros first, which are most symbols; then -1, 1, -2, 2 without a branch; then by
    // bucket. `starts` ends with at least six times kTotal. 64 tables of 64 symbols take 26 KiB.
    struct Lookup {
        const std::uint16_t *first;   // of each bucket of 2^kProfileBucketShift slots, its first slot's symbol
        const std::uint16_t *starts;
    };
    Lookup lookup(std::size_t table) const {
        const std::uint16_t *at = &lookups_[table * stride_];
        return {at + starts_, at};
    }

   private:
    std::size_t tables_, symbols_, starts_, stride_;
    std::vector<EncoderEntry> entries_;
    std::vector<std::uint16_t> lookups_;
};

constexpr int kProfileBucketShift = 8;

// Symbols (blocks, rows, components) of one profile at one step. Immutable: one object serves many threads.
struct ProfileCoder {
    std::shared_ptr<const ProfileTables> tables;
    std::size_t blocks, rows, components;
    std::vector<std::uint8_t> chosen;          // (rows, components): tables without contexts
    std::unique_ptr<const Contexts> contexts;  // or none
    std::vector<float> points;                 // (tables, width): what magnitudes below `width` stand for, or nothing
    std::size_t width = 0;
    float step = 0;                            // and all others are that many steps

    std::size_t count() const { return blocks * rows * components; }
    std::vector<std::uint8_t> encode(const std::int16_t *symbols) const;
    void decode(const std::uint8_t *data, std::size_t size, std::int16_t *symbols) const;  // without the mode byte
};

}  // namespace featcodec::rans
