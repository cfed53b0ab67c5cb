#include "fuzz/fuzz_case.h"

#include <algorithm>

#include "base/features.h"
#include "codec/geometry.h"
#include "tests/expect.h"
#include "tests/random_program.h"
#include "tests/random_view.h"
#include "tflite/thread_pool.h"

namespace fmtc::fuzz {
namespace {

using test::Draw;
using test::Random;
using test::SideInfoSpec;
using test::Transform;

constexpr int kMaps = 4;
constexpr int32_t kMaxShift = 30;
constexpr int64_t kInt32Sums = (int64_t{1} << 31) - 1;

bool OneIn(Random* random, int32_t n) { return Draw(random, 1, n) == 1; }

// Fills each row until gain * sum(|element|) + |bias| + 2^(shift + level) is the largest that a reader accepts.
void PushToBound(Random* random, int64_t gain, int32_t level, size_t columns, test::MatrixSpec* spec) {
  if (OneIn(random, 2)) spec->shift = static_cast<uint8_t>(Draw(random, 1, kMaxShift - level));
  for (size_t row = 0; row < spec->bias.size(); ++row) {
    int64_t left = kInt32Sums - (int64_t{1} << (spec->shift + level));
    const bool one_sign = OneIn(random, 2);
    const bool negative = OneIn(random, 2);
    for (size_t column = 0; column < columns; ++column) {
      const int64_t most = std::min<int64_t>(left / gain, 32767);
      const int64_t size = OneIn(random, 4) ? Draw(random, 0, static_cast<int32_t>(most)) : most;
      const bool is_negative = one_sign ? negative : OneIn(random, 2);
      spec->matrix[row * columns + column] = static_cast<int16_t>(is_negative ? -size : size);
      left -= gain * size;
    }
    spec->bias[row] = static_cast<int32_t>(OneIn(random, 2) ? -left : left);
  }
}

void PushMatricesToBound(Random* random, SideInfoSpec* spec) {
  if (!spec->analysis.matrix.empty()) {
    PushToBound(random, 128, spec->max_level, spec->channels, &spec->analysis);
  }
  if (!spec->synthesis.matrix.empty() && spec->compact.weights.empty()) {
    PushToBound(random, int64_t{255} << spec->max_level, 0, spec->classes_of.size(), &spec->synthesis);
  }
}

void UseExtremes(Random* random, SideInfoSpec* spec) {
  const bool has_steps = spec->analysis.matrix.empty() && spec->compact.weights.empty();
  switch (Draw(random, 0, 5)) {
    case 0:
      spec->lo = spec->hi = static_cast<int8_t>(Draw(random, -128, 127));
      break;
    case 1:
      if (spec->analysis.matrix.empty()) spec->centre = static_cast<int8_t>(OneIn(random, 2) ? -128 : 127);
      for (int8_t& centre : spec->centres) centre = static_cast<int8_t>(OneIn(random, 2) ? -128 : 127);
      break;
    case 2:
      if (has_steps && spec->steps.empty()) spec->step = static_cast<uint16_t>(OneIn(random, 2) ? 16 : kMaxStep);
      if (!has_steps) break;
      for (uint16_t& step : spec->steps) step = static_cast<uint16_t>(StepOfCode(OneIn(random, 2) ? kMaxStepCode : 0));
      break;
    default:
      PushMatricesToBound(random, spec);
  }
}

// Places 0 in each class's likeliest token, so that smooth maps are coded and not raw.
void FavourZero(SideInfoSpec* spec) {
  for (test::ClassSpec& c : spec->classes) {
    const size_t favourite = static_cast<size_t>(std::max_element(c.counts.begin(), c.counts.end()) - c.counts.begin());
    uint32_t start = 0;
    for (size_t t = 0; t < favourite; ++t) start += 1u << c.widths[t];
    c.offset = static_cast<uint8_t>(256 - start);
    c.constant = 0;
  }
}

SideInfoSpec MakeSpec(Random* random, bool large) {
  uint32_t channels = static_cast<uint32_t>(Draw(random, 1, OneIn(random, 3) ? 4 : 20));
  if (!large && OneIn(random, 8)) channels = 16 * static_cast<uint32_t>(Draw(random, 1, 4));
  if (!large && OneIn(random, 32)) channels = static_cast<uint32_t>(Draw(random, 60, 130));
  const auto transform = static_cast<Transform>(Draw(random, 0, 3));
  const int32_t max_level = OneIn(random, 2) ? 0 : Draw(random, 1, kMaxLevel);
  SideInfoSpec spec = RandomSpec(random, channels, transform, static_cast<uint8_t>(max_level));
  if (!OneIn(random, 3)) FavourZero(&spec);
  if (OneIn(random, 2)) UseExtremes(random, &spec);
  return spec;
}

// Workers need not take their tasks in order.
void RunFromLast(uint32_t count, Workers::Task task, void* argument) {
  while (count-- > 0) task(argument, count);
}

}  // namespace

test::FlexMap OptionsOf(const FuzzCase& c) {
  const char* const type = c.type() == ElementType::kInt8 ? "int8" : "uint8";
  test::FlexMap options = test::MakeOptions(static_cast<int>(c.plan().height), static_cast<int>(c.plan().width),
                                            static_cast<int>(c.spec().channels), type);
  options.Set("stride_height", c.plan().stride_height);
  options.Set("stride_width", c.plan().stride_width);
  if (c.view() != nullptr) test::SetViewOptions(*c.view(), type, &options);
  return options;
}

FuzzCase::FuzzCase(uint32_t number) : number_(number) {
  Random random(number);
  spec_ = MakeSpec(&random, IsLarge(number));
  side_info_ = BuildSideInfo(spec_);
  owned_ = std::make_unique<test::OwnedCodec>(side_info_);
  EXPECT(owned_->status() == Status::kOk);
  PlanShape(&random);
  ChooseWorkers(&random);
  type_ = OneIn(&random, 2) ? ElementType::kInt8 : ElementType::kUInt8;
  for (int i = 0; i < kMaps; ++i) AddMap(&random);
  ChooseView(&random);
  options_ = OptionsOf(*this).Bytes();
  program_ = test::RandomProgram(number);
}

void FuzzCase::ChooseView(Random* random) {
  has_view_ = kHasViews && OneIn(random, 2);
  if (!has_view_) return;
  if (OneIn(random, 3)) table_ = test::RandomMap(random, kViewTableBytes);
  view_ = test::RandomView(random, OutputHeight(plan_), OutputWidth(plan_), spec_.channels,
                           table_.empty() ? nullptr : table_.data());
}

FuzzCase::~FuzzCase() {
  if (has_pool_) ReleaseThreadPool(workers_);
}

void FuzzCase::PlanShape(Random* random) {
  const int32_t components = static_cast<int32_t>(spec_.classes_of.size());
  const bool has_matrix = !spec_.synthesis.matrix.empty() || spec_.convolution.rule != 0;
  const int32_t pixel_work = has_matrix ? components * static_cast<int32_t>(spec_.channels) : components;
  // Operations: a segment begins at 8192 values, a group at 65536.
  const int32_t work = IsLarge(number_) ? (OneIn(random, 4) ? 150000 : 40000) : OneIn(random, 12) ? 4000 : 500;
  const int32_t pixels = Draw(random, 1, std::max(1, work / pixel_work));
  const int64_t batch = OneIn(random, 32) ? 0 : std::max(1, Draw(random, -3, 4));
  const int32_t item_pixels = std::max(1, pixels / static_cast<int32_t>(IsLarge(number_) || batch == 0 ? 1 : batch));
  const int32_t width = Draw(random, 1, OneIn(random, 4) ? item_pixels : std::min(item_pixels, 12));
  EXPECT(PlanMap(codec(), batch, item_pixels / width, width, &plan_) == Status::kOk);
  if (!kHasStride || !OneIn(random, 4)) return;
  const int64_t longest = OneIn(random, 4) ? INT32_MAX : 4;
  const int64_t stride_height = OneIn(random, 8) ? longest : Draw(random, 1, 4);
  EXPECT(SetDecoderStride(codec(), stride_height, OneIn(random, 8) ? longest : Draw(random, 1, 4), &plan_) ==
         Status::kOk);
}

void FuzzCase::ChooseWorkers(Random* random) {
  if (OneIn(random, 2)) return;
  has_pool_ = IsLarge(number_) && OneIn(random, 2);
  if (has_pool_) {
    workers_ = HoldThreadPool(2);
  } else {
    workers_.count = static_cast<uint32_t>(Draw(random, 2, 5));
    if (OneIn(random, 2)) workers_.run = RunFromLast;
  }
}

void FuzzCase::AddMap(Random* random) {
  Bytes map = test::RandomMap(random, plan_.encoder_input_bytes);
  const int32_t most = static_cast<int32_t>(full_capacity());
  const bool may_be_tight = spec_.max_level > 0 && most > 0 && OneIn(random, 2);
  Bytes coded(may_be_tight ? static_cast<size_t>(Draw(random, 16, most)) : full_capacity());
  Bytes workspace(EncodeWorkspaceSize(codec(), plan_, workers_.count));
  size_t payload_bytes = 0;
  EXPECT(Encode(codec(), plan_, type_, map.data(), map.size(), coded.data(), coded.size(), &payload_bytes,
                workspace.data(), workspace.size(), workers_) == Status::kOk);
  coded.resize(payload_bytes);
  maps_.push_back(std::move(map));
  coded_.push_back(std::move(coded));
}

}  // namespace fmtc::fuzz
