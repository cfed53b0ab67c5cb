// The layout of memory that a caller owns, stated once and run twice: to count, and to carve.
#ifndef FMTC_BASE_LAYOUT_H_
#define FMTC_BASE_LAYOUT_H_

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

#if !defined(FMTC_ADDRESS_SANITIZER) && defined(__SANITIZE_ADDRESS__)
#define FMTC_ADDRESS_SANITIZER
#elif !defined(FMTC_ADDRESS_SANITIZER) && defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FMTC_ADDRESS_SANITIZER
#endif
#endif
#if defined(FMTC_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#endif

namespace fmtc {

#if defined(FMTC_ADDRESS_SANITIZER)
constexpr bool kHasRedzones = true;
#else
constexpr bool kHasRedzones = false;
#endif

// A function that takes its pieces from a Layout tells the size of a block if the layout counts, and gets pointers into
// the block if it carves.
class Layout {
 public:
  static constexpr size_t kAlignment = 64;

  // Counts; pieces are of no use.
  Layout() = default;

  // Carves a block of any alignment, as large as counting told.
  explicit Layout(uint8_t* block) : at_(reinterpret_cast<uintptr_t>(block)) {}

  // Where AddressSanitizer is in use, nobody can touch what is between the pieces until a RedzoneScope ends.
  void AddRedzones() {
#if defined(FMTC_ADDRESS_SANITIZER)
    with_redzones_ = true;
#endif
  }

  // A piece that is aligned to kAlignment.
  template <typename T>
  T* Take(size_t count) {
    padding_ = kAlignment - 1;
    at_ = RoundUp(at_, kAlignment);
    return reinterpret_cast<T*>(TakeBytes(count * sizeof(T)));
  }

  // A piece of any alignment.
  uint8_t* TakeBytes(size_t bytes) {
#if defined(FMTC_ADDRESS_SANITIZER)
    padding_ = kAlignment - 1;
    at_ = RoundUp(at_, kGranule);
    if (with_redzones_) __asan_poison_memory_region(reinterpret_cast<uint8_t*>(at_) + bytes, kRedzone);
    at_ += bytes + kRedzone;
    return reinterpret_cast<uint8_t*>(at_ - bytes - kRedzone);
#else
    at_ += bytes;
    return reinterpret_cast<uint8_t*>(at_ - bytes);
#endif
  }

  // Of the block, after counting, wherever it begins.
  size_t bytes() const { return at_ + padding_; }

 private:
  uintptr_t at_ = 0;
  // Where the block begins between two aligned addresses, the first aligned piece is so much later, at most, than in
  // the one that was counted; all that follow are as much later.
  size_t padding_ = 0;
#if defined(FMTC_ADDRESS_SANITIZER)
  static constexpr size_t kGranule = 8;  // of what AddressSanitizer knows
  static constexpr size_t kRedzone = 64;
  bool with_redzones_ = false;
#endif
};

// Takes a block's redzones away in the end, since it is somebody else's then.
class RedzoneScope {
 public:
  RedzoneScope() = default;
  RedzoneScope(const RedzoneScope&) = delete;
  RedzoneScope& operator=(const RedzoneScope&) = delete;
#if defined(FMTC_ADDRESS_SANITIZER)
  ~RedzoneScope() { __asan_unpoison_memory_region(block_, bytes_); }

  void Cover(const uint8_t* block, size_t bytes) {
    block_ = block;
    bytes_ = bytes;
  }

 private:
  const uint8_t* block_ = nullptr;
  size_t bytes_ = 0;
#else
  void Cover(const uint8_t*, size_t) {}
#endif
};

}  // namespace fmtc

#endif  // FMTC_BASE_LAYOUT_H_
