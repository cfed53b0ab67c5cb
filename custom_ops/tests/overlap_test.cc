// Buffers that overlap, and a coded tensor that changes while it is decoded: what comes out does not matter, but
// nothing outside the buffers is touched, at any level. AddressSanitizer sees it: all of them are in one block of exact
// size.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "codec/codec.h"
#include "codec/geometry.h"
#include "tests/coded_map.h"
#include "tests/expect.h"
#include "tests/levels.h"
#include "tests/random_inputs.h"

namespace fmtc {
namespace {

using test::CodedMapSample;
using test::Draw;
using test::Random;
using Bytes = std::vector<uint8_t>;

// One after the other.
constexpr uint32_t kWorkers = 3;
Workers SerialWorkers(Random* random) { return {Draw(random, 0, 1) != 0 ? kWorkers : 1, nullptr}; }

// A block in which buffers lie anywhere; at least one begins at its begin, and at least one ends at its end.
class Block {
 public:
  Block(Random* random, std::vector<size_t> sizes) : begins_(sizes.size()) {
    size_t bytes = 1;
    // Most overlap by a lot, some by a few bytes or not at all.
    const size_t spread = size_t{1} << Draw(random, 0, 17);
    for (size_t i = 0; i < sizes.size(); ++i) begins_[i] = (*random)() % spread;
    const size_t first = *std::min_element(begins_.begin(), begins_.end());
    for (size_t i = 0; i < sizes.size(); ++i) {
      begins_[i] -= first;
      bytes = std::max(bytes, begins_[i] + sizes[i]);
    }
    data_ = static_cast<uint8_t*>(std::malloc(bytes));
    for (size_t i = 0; i < bytes; ++i) data_[i] = static_cast<uint8_t>((*random)());
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() { std::free(data_); }

  uint8_t* operator[](size_t i) const { return data_ + begins_[i]; }

 private:
  std::vector<size_t> begins_;
  uint8_t* data_;
};

void TestDecode() {
  Random random(1);
  for (int i = 0; i < 150; ++i) {
    const CodedMapSample subject(&random, test::DrawSpec(&random, Draw(&random, 0, 3) == 0));
    const Bytes& coded = subject.coded;
    for (const Codec& codec : test::AtEveryLevel(subject.owned.codec())) {
      const Workers workers = SerialWorkers(&random);
      const size_t workspace_bytes = DecodeWorkspaceSize(codec, subject.plan, workers.count);
      const size_t output_bytes = subject.plan.decoder_output_bytes;
      const Block block(&random, {coded.size(), output_bytes, workspace_bytes});
      std::memcpy(block[0], coded.data(), coded.size());
      const Status status = Decode(codec, subject.plan, ElementType::kInt8, block[0], coded.size(), block[1],
                                   output_bytes, block[2], workspace_bytes, workers);
      EXPECT(status == Status::kOk || status == Status::kStreamCorrupt);
    }
  }
}

void TestEncode() {
  Random random(2);
  for (int i = 0; i < 150; ++i) {
    const CodedMapSample subject(&random, test::DrawSpec(&random, Draw(&random, 0, 3) == 0));
    const Bytes& map = subject.map;
    for (const Codec& codec : test::AtEveryLevel(subject.owned.codec())) {
      const Workers workers = SerialWorkers(&random);
      const size_t workspace_bytes = EncodeWorkspaceSize(codec, subject.plan, workers.count);
      const size_t capacity = subject.plan.batch * subject.plan.item_capacity;
      const Block block(&random, {map.size(), capacity, workspace_bytes});
      std::memcpy(block[0], map.data(), map.size());
      size_t bytes = 0;
      EXPECT(Encode(codec, subject.plan, ElementType::kUInt8, block[0], map.size(), block[1], capacity, &bytes,
                    block[2], workspace_bytes, workers) == Status::kOk);
      EXPECT(bytes >= kCodedHeaderBytes && bytes <= capacity);
    }
  }
}

// The output over the lengths that were checked, as a wrong order of ops made the arena place it.
void TestOutputOverTable() {
  Random random(3);
  test::SideInfoSpec spec = RandomSpec(&random, 16, test::Transform::kLossless, 0);
  const test::OwnedCodec owned(BuildSideInfo(spec));
  MapPlan plan;
  EXPECT(PlanMap(owned.codec(), 2, 128, 64, &plan) == Status::kOk);
  const Bytes map = test::RandomMap(&random, plan.encoder_input_bytes);
  Bytes coded(plan.batch * plan.item_capacity);
  Bytes workspace(EncodeWorkspaceSize(owned.codec(), plan));
  size_t bytes = 0;
  EXPECT(Encode(owned.codec(), plan, ElementType::kInt8, map.data(), map.size(), coded.data(), coded.size(), &bytes,
                workspace.data(), workspace.size()) == Status::kOk);
  coded.resize(bytes);
  for (const Codec& codec : test::AtEveryLevel(owned.codec())) {
    for (size_t shift = 0; shift <= 40000; shift += 500) {
      uint8_t* const arena = static_cast<uint8_t*>(std::malloc(shift + std::max(bytes, map.size())));
      workspace.resize(DecodeWorkspaceSize(codec, plan));
      std::memcpy(arena + shift, coded.data(), bytes);
      Decode(codec, plan, ElementType::kInt8, arena + shift, bytes, arena, map.size(), workspace.data(),
             workspace.size());
      std::free(arena);
    }
  }
}

// A thread that writes anything to a coded tensor that another one decodes again and again.
void TestInputThatChanges() {
  Random random(4);
  for (int i = 0; i < 12; ++i) {
    const CodedMapSample subject(&random, test::DrawSpec(&random, false));
    Bytes coded = subject.coded;
    std::atomic<bool> done{false};
    std::thread writer([&] {
      Random other(5);
      while (!done.load()) {
        const size_t at = other() % coded.size();
        coded[at] = other() % 2 != 0 ? subject.coded[at] : static_cast<uint8_t>(other());
        if (other() % 64 == 0) std::memcpy(coded.data(), subject.coded.data(), coded.size());
      }
    });
    Bytes output(subject.plan.decoder_output_bytes);
    Bytes workspace(DecodeWorkspaceSize(subject.owned.codec(), subject.plan, kWorkers));
    for (const Codec& codec : test::AtEveryLevel(subject.owned.codec())) {
      for (int j = 0; j < 20; ++j) {
        Decode(codec, subject.plan, ElementType::kInt8, coded.data(), coded.size(), output.data(), output.size(),
               workspace.data(), workspace.size(), SerialWorkers(&random));
      }
    }
    done.store(true);
    writer.join();
  }
}

}  // namespace
}  // namespace fmtc

int main() {
  fmtc::TestDecode();
  fmtc::TestEncode();
  fmtc::TestOutputOverTable();
  fmtc::TestInputThatChanges();
  return 0;
}
