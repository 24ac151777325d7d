// What an encoder of `ctx` has to code, in order, and its rANS, which goes backwards.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "ctx_distribution.h"

namespace featcodec::ctx {

inline constexpr u64 kState = u64{1} << 31;  // the least, and that of an encoder's beginning

// A symbol, then, once the distributions are chosen, its interval: small, as memory is most of what one costs.
union Record {
    struct {
        i32 mean;
        u16 low, last, value;
        u8 scale, group;
    } symbol;
    struct {
        u32 start, size;
    } interval;
    [[nodiscard]] Slot slot() const { return {symbol.mean, symbol.low, symbol.last, symbol.scale, symbol.group}; }
};

class Collector {
  public:
    // Room for so many items, symbols among them. All of it is one allocation: malloc then keeps it for the next call
    // instead of giving it back, and the pages need not be filled with zeros anew.
    Collector(std::size_t items, std::size_t symbols)
        : room_(std::make_unique_for_overwrite<std::byte[]>(sizeof(Record) * (symbols + 1) + sizeof(u32) * items)),
          records_(reinterpret_cast<Record *>(room_.get())), items_(reinterpret_cast<u32 *>(records_ + symbols + 1)),
          record_(records_ + 1), item_(items_) {
        records_[0].interval = {0, 0};
    }
    [[nodiscard]] bool good() const { return true; }
    bool flag(i32 p, bool value) {
        const u32 one = static_cast<u32>(p);
        *item_++ = value ? one << 16 : (65536 - one) << 16 | one;
        return value;
    }
    i32 symbol(const Slot &slot, u16 value) {
        *item_++ = kSymbol;
        (record_++)->symbol = {slot.mean, slot.low, slot.last, value, slot.scale, slot.group};
        return value;
    }
    [[nodiscard]] std::span<Record> symbols() const { return {records_ + 1, record_}; }

    // Appends state and words, which take the place of the items: no item takes more than 20 bits.
    void code(std::vector<u8> &out) {
        u32 *word = item_;
        u64 state = kState;
        const Record *record = record_ - 1;
        for (const u32 *item = item_; item != items_;) {
            const u32 one = *--item;
            // Neither what an item is nor when a word is full could be predicted, so nothing branches: hence the
            // record before the first, and a word that counts only when it is full.
            const bool flag = one != kSymbol;
            const u32 start = flag ? (one & 0xFFFFu) << 4 : record->interval.start;
            const u32 size = flag ? one >> 16 << 4 : record->interval.size;
            record -= !flag;
            const bool full = state >= u64{size} << (63 - kProbBits);
            word[-1] = static_cast<u32>(state);
            word -= full;
            state >>= full ? 32 : 0;
            state = ((state / size) << kProbBits) + state % size + start;
        }
        const std::size_t head = out.size();
        out.resize(head + 8 + 4 * static_cast<std::size_t>(item_ - word));
        u8 *to = out.data() + head;
        for (int i = 0; i < 8; ++i) *to++ = static_cast<u8>(state >> (8 * i));
        for (; word != item_; ++word)
            for (int i = 0; i < 4; ++i) *to++ = static_cast<u8>(*word >> (8 * i));
    }

  private:
    static constexpr u32 kSymbol = 0;  // the next record; other items are flags, whose size is not 0
    std::unique_ptr<std::byte[]> room_;
    Record *records_;
    u32 *items_;  // flags: the start of the interval and, from bit 16 on, its size, of 2^16
    Record *record_;
    u32 *item_;
};

}  // namespace featcodec::ctx
