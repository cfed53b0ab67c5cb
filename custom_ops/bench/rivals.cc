#include "bench/rivals.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/bytes.h"
#include "bench/bench_maps.h"

#if defined(FMTC_HAVE_ZSTD)
#include <zstd.h>
#endif
#if defined(FMTC_HAVE_LZ4)
#include <lz4.h>
#endif

namespace fmtc::bench {
namespace {

using Bytes = std::vector<uint8_t>;

// A range variant of asymmetric numeral systems (Duda, arXiv:1311.2540) for bytes with one table for all of them: four
// interleaved states of 32 bits, 12-bit probabilities, 16 bits at a time in and out. The table is not counted.
class Rans {
 public:
  explicit Rans(const Bytes& values) : stream_(values.size() + values.size() / 8 + 64) { CountShares(values); }

  size_t Encode(const Bytes& values) {
    uint32_t states[kStates];
    std::fill(states, states + kStates, kLeast);
    uint8_t* const end = stream_.data() + stream_.size();
    next_ = end;
    for (size_t i = values.size(); i-- > 0;) {
      uint32_t& x = states[i % kStates];
      const uint32_t share = share_[values[i]];
      if (x >> (32 - kBits) >= share) {
        next_ -= 2;
        Store(next_, static_cast<uint16_t>(x));
        x >>= 16;
      }
      x = (x / share << kBits) + x % share + first_[values[i]];
    }
    for (size_t s = kStates; s-- > 0;) Store(next_ -= 4, states[s]);
    return static_cast<size_t>(end - next_);
  }

  void Decode(Bytes* values) const {
    const uint8_t* in = next_;
    uint32_t states[kStates];
    for (uint32_t& x : states) {
      x = Load<uint32_t>(in);
      in += 4;
    }
    for (size_t i = 0; i < values->size(); ++i) {
      uint32_t& x = states[i % kStates];
      const uint32_t slot = x & ((1u << kBits) - 1);
      const uint8_t value = value_[slot];
      (*values)[i] = value;
      x = share_[value] * (x >> kBits) + slot - first_[value];
      if (x < kLeast) {
        x = x << 16 | Load<uint16_t>(in);
        in += 2;
      }
    }
  }

 private:
  static constexpr size_t kStates = 4;
  static constexpr uint32_t kBits = 12;
  static constexpr uint32_t kLeast = 1u << 16;

  // Shares of 2^12, at least 1 for each of the 256 values.
  void CountShares(const Bytes& values) {
    uint64_t counts[256] = {};
    for (uint8_t value : values) ++counts[value];
    uint32_t left = (1u << kBits) - 256;
    for (int v = 0; v < 256; ++v) {
      const uint32_t extra = static_cast<uint32_t>(counts[v] * ((1u << kBits) - 256) / values.size());
      share_[v] = 1 + extra;
      left -= extra;
    }
    share_[std::max_element(counts, counts + 256) - counts] += left;
    uint32_t first = 0;
    for (int v = 0; v < 256; ++v) {
      first_[v] = first;
      std::fill(value_ + first, value_ + first + share_[v], static_cast<uint8_t>(v));
      first += share_[v];
    }
  }

  Bytes stream_;
  uint8_t* next_ = nullptr;
  uint32_t share_[256];
  uint32_t first_[256];
  uint8_t value_[1 << kBits];
};

Rival MakeRans(const Bytes& values, Bytes* decoded) {
  auto coder = std::make_shared<Rans>(values);
  return {"rANS order 0", coder->Encode(values), [coder, &values] { coder->Encode(values); },
          [coder, decoded] { coder->Decode(decoded); }};
}

#if defined(FMTC_HAVE_ZSTD)
Rival MakeZstd(const Bytes& values, Bytes* decoded) {
  std::shared_ptr<ZSTD_CCtx> encoder(ZSTD_createCCtx(), ZSTD_freeCCtx);
  std::shared_ptr<ZSTD_DCtx> decoder(ZSTD_createDCtx(), ZSTD_freeDCtx);
  auto coded = std::make_shared<Bytes>(ZSTD_compressBound(values.size()));
  const auto encode = [encoder, coded, &values] {
    return ZSTD_compressCCtx(encoder.get(), coded->data(), coded->size(), values.data(), values.size(), 1);
  };
  const size_t bytes = encode();
  return {"zstd -1", bytes, [encode] { encode(); },
          [decoder, coded, decoded, bytes] {
            ZSTD_decompressDCtx(decoder.get(), decoded->data(), decoded->size(), coded->data(), bytes);
          }};
}
#endif

#if defined(FMTC_HAVE_LZ4)
Rival MakeLz4(const Bytes& values, Bytes* decoded) {
  const int n = static_cast<int>(values.size());
  auto coded = std::make_shared<Bytes>(static_cast<size_t>(LZ4_compressBound(n)));
  const auto encode = [coded, n, &values] {
    return LZ4_compress_default(reinterpret_cast<const char*>(values.data()), reinterpret_cast<char*>(coded->data()), n,
                                static_cast<int>(coded->size()));
  };
  const int bytes = encode();
  return {"lz4", static_cast<size_t>(bytes), [encode] { encode(); },
          [coded, decoded, bytes, n] {
            LZ4_decompress_safe(reinterpret_cast<const char*>(coded->data()), reinterpret_cast<char*>(decoded->data()),
                                bytes, n);
          }};
}
#endif

Rival MakeCopy(const Bytes& values, Bytes* decoded) {
  const auto copy = [decoded, &values] { memcpy(decoded->data(), values.data(), values.size()); };
  return {"memcpy", values.size(), copy, copy};
}

}  // namespace

std::vector<Rival> MakeRivals(const Bytes& values) {
  std::vector<Rival> rivals;
  static Bytes decoded;
  decoded.assign(values.size(), 0);
  rivals.push_back(MakeCopy(values, &decoded));
#if defined(FMTC_HAVE_ZSTD)
  rivals.push_back(MakeZstd(values, &decoded));
#endif
#if defined(FMTC_HAVE_LZ4)
  rivals.push_back(MakeLz4(values, &decoded));
#endif
  rivals.push_back(MakeRans(values, &decoded));
  for (const Rival& rival : rivals) {
    decoded.assign(values.size(), 0);
    rival.decode();
    if (decoded != values) Fail(rival.name + " does not give the values back");
  }
  return rivals;
}

}  // namespace fmtc::bench
