// DECODE of views: what the whole decoded map gives, at every level and in any order of the workers' tasks.
#include "codec/view.h"

#include <cstdint>
#include <vector>

#include "base/features.h"
#include "codec/codec.h"
#include "codec/geometry.h"
#include "tests/coded_map.h"
#include "tests/expect.h"
#include "tests/levels.h"
#include "tests/random_view.h"

namespace fmtc {
namespace {

using test::CodedMapSample;
using test::Draw;
using test::Random;
using Bytes = std::vector<uint8_t>;

constexpr ElementType kType = CodedMapSample::kType;
constexpr uint8_t kUntouched = 0xA5;
constexpr size_t kBeyond = 64;

// Runs the last task first, on the thread that asks for it.
void RunBackwards(uint32_t count, Workers::Task task, void* argument) {
  while (count > 0) task(argument, --count);
}

Status DecodeBytes(const Codec& codec, const MapPlan& plan, const Bytes& coded, const Workers& workers,
                   const View* view, size_t bytes, Bytes* out) {
  out->assign(bytes + kBeyond, kUntouched);
  Bytes workspace(DecodeWorkspaceSize(codec, plan, workers.count, view));
  const Status status = Decode(codec, plan, kType, coded.data(), coded.size(), out->data(), bytes, workspace.data(),
                               workspace.size(), workers, view);
  for (size_t i = 0; i < kBeyond; ++i) EXPECT((*out)[bytes + i] == kUntouched);
  out->resize(bytes);
  return status;
}

void TestViews() {
  Random random(5);
  Bytes table(kViewTableBytes);
  for (int i = 0; i < 120; ++i) {
    const CodedMapSample subject(&random, test::DrawSpec(&random, false));
    const MapPlan& plan = subject.plan;
    const uint32_t height = OutputHeight(plan), width = OutputWidth(plan);
    const uint32_t channels = subject.owned.codec().side_info.channels;
    for (uint8_t& byte : table) byte = static_cast<uint8_t>(Draw(&random, 0, 255));
    const uint8_t* const values = Draw(&random, 0, 2) == 0 ? table.data() : nullptr;
    const View view = test::RandomView(&random, height, width, channels, values);
    Bytes whole, seen;
    EXPECT(DecodeBytes(subject.owned.codec(), plan, subject.coded, {}, nullptr, plan.decoder_output_bytes, &whole) ==
           Status::kOk);
    const Bytes expected = test::ApplyView(view, height, width, channels, whole);
    for (const Codec& codec : test::AtEveryLevel(subject.owned.codec())) {
      const size_t bytes = plan.batch * ViewItemBytes(codec, plan, view);
      EXPECT(bytes == expected.size());
      for (const uint32_t count : {1u, 3u}) {
        const Workers workers{count, RunBackwards};
        EXPECT(DecodeBytes(codec, plan, subject.coded, workers, &view, bytes, &seen) == Status::kOk);
        EXPECT(seen == expected);
      }
    }
  }
}

// Views of places that the map does not have, and sizes that overflow.
void TestRefused() {
  Random random(6);
  const test::OwnedCodec owned(BuildSideInfo(RandomSpec(&random, 5, test::Transform::kLossless, 0)));
  MapPlan plan;
  EXPECT(PlanMap(owned.codec(), 1, 9, 7, &plan) == Status::kOk);
  const View whole = WholeView(9, 7, 5);
  EXPECT(ViewItemBytes(owned.codec(), plan, whole) == 9 * 7 * 5);
  const auto refused = [&](void (*damage)(View*)) {
    View view = whole;
    damage(&view);
    uint8_t byte = 0;
    EXPECT(ViewItemBytes(owned.codec(), plan, view) == 0);
    EXPECT(Decode(owned.codec(), plan, kType, &byte, 1, &byte, 1, &byte, 1, {}, &view) == Status::kInvalidArgument);
  };
  refused([](View* view) { view->order[0] = 1; });
  refused([](View* view) { view->order[2] = 3; });
  refused([](View* view) { view->axes[0].count = 10; });
  refused([](View* view) { view->axes[1].begin = 1; });
  refused([](View* view) { view->axes[2].step = 2; });
  refused([](View* view) { view->axes[2].step = 0; });
  refused([](View* view) { view->axes[2].count = 0; });
  refused([](View* view) { view->axes[1].before = UINT32_MAX; });
  refused([](View* view) { view->axes[0].after = view->axes[1].after = 1 << 16; });
  refused([](View* view) { view->axes[0] = {8, UINT32_MAX, 2, 0, 0}; });
}

}  // namespace
}  // namespace fmtc

int main() {
  if (!fmtc::kHasViews) return 0;
  fmtc::TestViews();
  fmtc::TestRefused();
  return 0;
}
