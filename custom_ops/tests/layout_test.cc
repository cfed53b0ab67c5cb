// Layouts: what is carved fits what was counted, wherever the block begins, and pieces do not touch.
#include "base/layout.h"

#include <cstdint>
#include <vector>

#include "tests/expect.h"
#include "tests/random_inputs.h"

namespace fmtc {
namespace {

using test::Draw;
using test::Random;

struct Piece {
  uint8_t* data;
  size_t bytes;
};

// Some pieces that follow from the seed, aligned ones among them.
std::vector<Piece> LayOut(uint32_t seed, Layout* layout) {
  Random random(seed);
  std::vector<Piece> pieces;
  for (int i = Draw(&random, 0, 8); i > 0; --i) {
    const size_t count = static_cast<size_t>(Draw(&random, 0, 200));
    if (Draw(&random, 0, 1) != 0) {
      pieces.push_back({layout->TakeBytes(count), count});
    } else {
      uint32_t* const piece = layout->Take<uint32_t>(count);
      EXPECT(reinterpret_cast<uintptr_t>(piece) % Layout::kAlignment == 0);
      pieces.push_back({reinterpret_cast<uint8_t*>(piece), count * sizeof(uint32_t)});
    }
  }
  return pieces;
}

void TestPiecesFit() {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    Layout count;
    LayOut(seed, &count);
    std::vector<uint8_t> memory(count.bytes() + Layout::kAlignment);
    for (size_t begin = 0; begin < Layout::kAlignment; ++begin) {
      uint8_t* const block = memory.data() + begin;
      Layout carve(block);
      const uint8_t* end = block;
      for (const Piece& piece : LayOut(seed, &carve)) {
        EXPECT(piece.data >= end);
        end = piece.data + piece.bytes;
      }
      EXPECT(end <= block + count.bytes());
    }
  }
}

void TestRedzones() {
#if defined(FMTC_ADDRESS_SANITIZER)
  for (uint32_t seed = 0; seed < 300; ++seed) {
    Layout count;
    LayOut(seed, &count);
    std::vector<uint8_t> memory(count.bytes());
    {
      RedzoneScope scope;
      scope.Cover(memory.data(), memory.size());
      Layout carve(memory.data());
      carve.AddRedzones();
      for (const Piece& piece : LayOut(seed, &carve)) {
        EXPECT(__asan_region_is_poisoned(piece.data, piece.bytes) == nullptr);
        EXPECT(__asan_address_is_poisoned(piece.data + piece.bytes) != 0);
      }
    }
    EXPECT(__asan_region_is_poisoned(memory.data(), memory.size()) == nullptr);
  }
#endif
}

}  // namespace
}  // namespace fmtc

int main() {
  fmtc::TestPiecesFit();
  fmtc::TestRedzones();
  return 0;
}
