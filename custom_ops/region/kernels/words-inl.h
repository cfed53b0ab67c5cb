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

}  // namespace
}  // namespace fmtc::region

#endif  // FMTC_REGION_KERNELS_WORDS_INL_H_
