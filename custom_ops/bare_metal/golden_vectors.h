// The vectors that the only source of a program that includes this has inside, FMTC_GOLDEN_VECTORS, and what reads
// them.
#ifndef FMTC_BARE_METAL_GOLDEN_VECTORS_H_
#define FMTC_BARE_METAL_GOLDEN_VECTORS_H_

#include <cstdint>

#include "base/bytes.h"

asm(".section .rodata.golden, \"a\"\n"
    ".global golden_begin, golden_end\n"
    "golden_begin: .incbin \"" FMTC_GOLDEN_VECTORS
    "\"\n"
    "golden_end:\n"
    ".previous\n");
extern "C" const uint8_t golden_begin[], golden_end[];

namespace fmtc {

struct Blob {
  const uint8_t* data;
  uint32_t bytes;
};

class VectorReader {
 public:
  // Behind the magic number.
  VectorReader() : next_(golden_begin + 4) {}

  uint32_t Number() {
    next_ += 4;
    return Load<uint32_t>(next_ - 4);
  }

  Blob Bytes() {
    const uint32_t bytes = Number();
    next_ += bytes;
    return {next_ - bytes, bytes};
  }

  bool AtEnd() const { return next_ == golden_end; }

 private:
  const uint8_t* next_;
};

}  // namespace fmtc

#endif  // FMTC_BARE_METAL_GOLDEN_VECTORS_H_
