// Words of memory. Included behind FMTC_BEGIN_TARGET_*.
#ifndef FMTC_REGION_KERNELS_WORDS_INL_H_
#define FMTC_REGION_KERNELS_WORDS_INL_H_

namespace fmtc::region {
namespace {

FMTC_INLINE uint32_t LoadWord(const uint8_t* p) {
  uint32_t word;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

// Of fewer than 8 bytes, the others 0.
FMTC_INLINE uint64_t LoadFew(const uint8_t* p, int32_t count) {
  uint64_t value = 0;
  int shift = 0;
  if ((count & 4) != 0) value = LoadWord(p), p += 4, shift = 32;
  if ((count & 2) != 0) value |= static_cast<uint64_t>(p[0] | p[1] << 8) << shift, p += 2, shift += 16;
  if ((count & 1) != 0) value |= static_cast<uint64_t>(p[0]) << shift;
  return value;
}
FMTC_INLINE void StoreFew(uint8_t* p, int32_t count, uint64_t value) {
  if ((count & 4) != 0) std::memcpy(p, &value, 4), p += 4, value >>= 32;
  if ((count & 2) != 0) std::memcpy(p, &value, 2), p += 2, value >>= 16;
  if ((count & 1) != 0) *p = static_cast<uint8_t>(value);
}

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_WORDS_INL_H_
