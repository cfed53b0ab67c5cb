// Several threads: the same bytes for every number of them, interpreters side by side, and no thread left behind.
#include <pthread.h>
#include <sched.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "codec/codec.h"
#include "codec/geometry.h"
#include "region/sections.h"
#include "tests/expect.h"
#include "tests/fake_runtime.h"
#include "tests/levels.h"
#include "tests/op_graph.h"
#include "tests/random_inputs.h"
#include "tests/random_program.h"
#include "tests/region_runner.h"
#include "tflite/register.h"
#include "tflite/thread_pool.h"

extern "C" {
TfLiteDelegate* tflite_plugin_create_delegate(char** keys, char** values, size_t num_options,
                                              void (*report_error)(const char*));
void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate);
}

namespace fmtc {
namespace {

using Bytes = std::vector<uint8_t>;
using test::FakeRuntime;
using test::OpGraph;

constexpr uint32_t kMaxTestThreads = 4;
constexpr uint32_t kRegions = 200;
constexpr uint64_t kShortPatience = 300'000;  // nanoseconds

size_t NumThreadsOfProcess() {
  std::FILE* status = std::fopen("/proc/self/status", "r");
  EXPECT(status != nullptr);
  size_t threads = 0;
  char line[256];
  while (std::fgets(line, sizeof(line), status) != nullptr) std::sscanf(line, "Threads: %zu", &threads);
  std::fclose(status);
  return threads;
}

// Whether the process comes down to so many threads. The kernel still counts one that has been joined for a moment: it
// wakes those who wait for a thread's end before it takes the thread out.
bool ComesDownToThreads(size_t most) {
  for (int i = 0; i < 10000 && NumThreadsOfProcess() > most; ++i) usleep(1000);
  return NumThreadsOfProcess() <= most;
}

Bytes EncodeWith(const Workers& workers, const Codec& codec, const MapPlan& plan, const Bytes& map, size_t capacity) {
  Bytes coded(capacity);
  Bytes workspace(EncodeWorkspaceSize(codec, plan, workers.count));
  size_t payload_bytes = 0;
  EXPECT(Encode(codec, plan, ElementType::kInt8, map.data(), map.size(), coded.data(), coded.size(), &payload_bytes,
                workspace.data(), workspace.size(), workers) == Status::kOk);
  coded.resize(payload_bytes);
  return coded;
}

Status DecodeWith(const Workers& workers, const Codec& codec, const MapPlan& plan, const Bytes& coded, Bytes* map) {
  map->assign(plan.decoder_output_bytes, 0);
  Bytes workspace(DecodeWorkspaceSize(codec, plan, workers.count));
  return Decode(codec, plan, ElementType::kInt8, coded.data(), coded.size(), map->data(), map->size(), workspace.data(),
                workspace.size(), workers);
}

void CompareThreads(const Codec& codec, const MapPlan& plan, const Bytes& map, size_t capacity, test::Random* random) {
  const Bytes expected = EncodeWith({}, codec, plan, map, capacity);
  Bytes damaged = expected;
  damaged[8 + (*random)() % (damaged.size() - 8)] ^= static_cast<uint8_t>(1u << (*random)() % 8);
  Bytes whole, wrong, decoded;
  EXPECT(DecodeWith({}, codec, plan, expected, &whole) == Status::kOk);
  const Status damaged_status = DecodeWith({}, codec, plan, damaged, &wrong);
  for (uint32_t threads = 1; threads <= kMaxTestThreads; ++threads) {
    const Workers workers = HoldThreadPool(static_cast<int>(threads));
    EXPECT(workers.count == threads);
    EXPECT(EncodeWith(workers, codec, plan, map, capacity) == expected);
    EXPECT(DecodeWith(workers, codec, plan, expected, &decoded) == Status::kOk && decoded == whole);
    EXPECT(DecodeWith(workers, codec, plan, damaged, &decoded) == damaged_status);
    EXPECT(damaged_status != Status::kOk || decoded == wrong);
    ReleaseThreadPool(workers);
  }
}

void TestSameBytes() {
  test::Random random(1);
  for (int i = 0; i < 8; ++i) {
    const uint32_t channels = static_cast<uint32_t>(test::Draw(&random, 8, 40));
    const uint8_t max_level = i < 4 ? 0 : 2;
    test::SideInfoSpec spec = RandomSpec(&random, channels, static_cast<test::Transform>(i % 4), max_level);
    spec.checksum = false;
    const test::OwnedCodec codec(BuildSideInfo(spec));
    EXPECT(codec.status() == Status::kOk);
    MapPlan plan;
    EXPECT(PlanMap(codec.codec(), 2, test::Draw(&random, 100, 120), 100, &plan) == Status::kOk);
    const Bytes map = test::RandomMap(&random, plan.encoder_input_bytes);
    const size_t enough = plan.batch * plan.item_capacity;
    CompareThreads(codec.codec(), plan, map, enough, &random);
    if (max_level > 0) CompareThreads(codec.codec(), plan, map, enough / 2, &random);
  }
  EXPECT(UsefulWorkers(MapPlan{}, 4) == 1);
}

// A graph whose map has several groups.
OpGraph WideGraph() {
  OpGraph model;
  model.shape = {2, 90, 60, 40};
  model.side_info = test::MakeSideInfo(40);
  model.options = test::MakeOptions(90, 60, 40, "int8");
  model.item_capacity = 16 + 4 * 90 + 90 * 60 * 40 + 8;
  return model;
}

void Build(OpGraph* model, FakeRuntime* runtime, int threads) {
  model->Build(runtime, nullptr);
  TfLiteDelegate* delegate = tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr);
  EXPECT(runtime->ApplyDelegate(delegate) == kTfLiteOk);
  tflite_plugin_destroy_delegate(delegate);
  runtime->SetNumThreads(threads);
  EXPECT(runtime->Prepare() == kTfLiteOk);
}

Bytes CodedBytes(FakeRuntime* runtime, const OpGraph& model) {
  const uint8_t* coded = runtime->data(model.coded);
  return Bytes(coded, coded + Load<uint32_t>(coded + 8));
}

void TestInterpreterThreads() {
  const size_t before = NumThreadsOfProcess();
  Bytes expected;
  for (int threads = -1; threads <= static_cast<int>(kMaxTestThreads); ++threads) {
    FakeRuntime runtime;
    OpGraph model = WideGraph();
    Build(&model, &runtime, threads);
    ExpectRoundTrip(&runtime, model);
    if (expected.empty()) expected = CodedBytes(&runtime, model);
    EXPECT(CodedBytes(&runtime, model) == expected);
    // Never more than there are processors, and a second graph starts no others.
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    EXPECT(ComesDownToThreads(before + static_cast<size_t>(processors) - 1));
    // Another number of threads from the next Prepare on.
    runtime.SetNumThreads(2);
    EXPECT(runtime.Prepare() == kTfLiteOk);
    ExpectRoundTrip(&runtime, model);
    EXPECT(CodedBytes(&runtime, model) == expected);
  }
  EXPECT(ComesDownToThreads(before));
}

// Each with its own interpreter, which they make and destroy again and again.
void TestInterpretersSideBySide() {
  const size_t before = NumThreadsOfProcess();
  const auto work = [] {
    for (int round = 0; round < 6; ++round) {
      FakeRuntime runtime;
      OpGraph model = WideGraph();
      Build(&model, &runtime, 1 + round % static_cast<int>(kMaxTestThreads));
      for (int i = 0; i < 3; ++i) ExpectRoundTrip(&runtime, model);
    }
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT(ComesDownToThreads(before));
}

// A child process has no helpers, and neither hangs nor computes anything else.
void TestFork() {
  FakeRuntime runtime;
  OpGraph model = WideGraph();
  Build(&model, &runtime, 2);
  ExpectRoundTrip(&runtime, model);
  const pid_t child = fork();
  EXPECT(child >= 0);
  if (child == 0) {
    ExpectRoundTrip(&runtime, model);
    {
      FakeRuntime another;
      OpGraph another_model = WideGraph();
      Build(&another_model, &another, 2);
      ExpectRoundTrip(&another, another_model);
    }
    _exit(0);
  }
  int status = 1;
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
}

cpu_set_t ProcessorsOfThread() {
  cpu_set_t set;
  EXPECT(sched_getaffinity(0, sizeof(set), &set) == 0);
  return set;
}

void RestrictThread(const cpu_set_t& set) { EXPECT(sched_setaffinity(0, sizeof(set), &set) == 0); }

// Two tasks that meet, so that a helper does one of them: where it may run, and where it wants to run from then on.
struct Meeting {
  pthread_t caller;
  std::atomic<int> came{0};
  cpu_set_t helpers;
  const cpu_set_t* wanted = nullptr;

  static void Come(void* argument, uint32_t) {
    auto* meeting = static_cast<Meeting*>(argument);
    ++meeting->came;
    while (meeting->came < 2) sched_yield();
    if (pthread_equal(pthread_self(), meeting->caller) != 0) return;
    meeting->helpers = ProcessorsOfThread();
    if (meeting->wanted != nullptr) RestrictThread(*meeting->wanted);
  }
};

cpu_set_t Meet(const Workers& workers, const cpu_set_t* wanted = nullptr) {
  Meeting meeting;
  meeting.caller = pthread_self();
  meeting.wanted = wanted;
  workers.Run(2, Meeting::Come, &meeting);
  return meeting.helpers;
}

// Helpers run at any processor but their caller's, and where somebody else has put them.
void TestProcessorsOfHelpers() {
  const cpu_set_t all = ProcessorsOfThread();
  if (CPU_COUNT(&all) < 2) return;
  const Workers workers = HoldThreadPool(2);
  cpu_set_t last;
  for (size_t i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &all)) continue;
    cpu_set_t others = all;
    CPU_CLR(i, &others);
    CPU_ZERO(&last);
    CPU_SET(i, &last);
    RestrictThread(last);
    const cpu_set_t helpers = Meet(workers);
    EXPECT(CPU_EQUAL(&helpers, &others));
  }
  Meet(workers, &last);
  const cpu_set_t left_alone = Meet(workers);
  EXPECT(CPU_EQUAL(&left_alone, &last));
  RestrictThread(all);
  ReleaseThreadPool(workers);
}

// All tasks at the same time.
void RunInThreads(uint32_t count, Workers::Task task, void* argument) {
  std::vector<std::thread> threads;
  for (uint32_t i = 1; i < count; ++i) threads.emplace_back(task, argument, i);
  task(argument, 0);
  for (std::thread& thread : threads) thread.join();
}

// Two threads, so that fewer come than there are parts: by the end of a run's patience one or two.
void RunInTwoThreads(uint32_t count, Workers::Task task, void* argument) {
  std::thread other([=] {
    for (uint32_t i = 1; i < count; i += 2) task(argument, i);
  });
  for (uint32_t i = 0; i < count; i += 2) task(argument, i);
  other.join();
}

// Whether a pass is divided where an op that adds up all rows ends.
bool HasSections(const test::ProgramBytes& bytes) {
  const test::AlignedProgram aligned(bytes);
  region::Program program;
  EXPECT(region::OpenProgram(aligned.data(), aligned.size(), ExtendCrc32c, &program) == Status::kOk);
  Bytes memory(region::StateBytes(program));
  region::State state = region::CarveState(program, memory.data());
  EXPECT(region::CheckProgram(program, &state) == Status::kOk);
  region::Sections sections;
  EXPECT(region::FindSections(program, &state, &sections));
  uint32_t steps = 0;
  for (size_t i = 0; i < sections.count; ++i) {
    EXPECT(sections.records[i].first_step == steps && sections.records[i].ops > 0);
    steps += sections.records[i].steps;
  }
  EXPECT(steps == program.header->steps);
  const bool has_more = sections.count > program.header->passes;
  std::free(sections.records);
  return has_more;
}

void TestRegions() {
  const std::vector<const region::RowKernels*> levels = test::AllRowKernels();
  int with_sections = 0;
  for (uint32_t seed = 0; seed < kRegions; ++seed) {
    const test::ProgramBytes bytes = test::RandomWideProgram(seed);
    with_sections += HasSections(bytes) ? 1 : 0;
    test::OwnedRegion region(bytes);
    EXPECT(region.status() == Status::kOk);
    const std::vector<Bytes> inputs = region.RandomInputs(2, seed);
    const std::vector<Bytes> outputs = region.Run(2, inputs, 0x00);
    for (uint32_t threads = 2; threads <= kMaxTestThreads; ++threads) {
      const region::RowKernels& kernels = *levels[seed % levels.size()];
      for (const region::Way way : {region::Way::kBands, region::Way::kColumns}) {
        EXPECT(region.Run(2, inputs, 0xFF, kernels, {threads, RunInThreads}, test::kTeamPatience, way) == outputs);
      }
      const region::Way way = seed % 3 == 0 ? region::Way::kFastest : region::Way::kBands;
      EXPECT(region.Run(2, inputs, 0xFF, kernels, {threads, RunInTwoThreads}, kShortPatience, way) == outputs);
    }
  }
  EXPECT(with_sections >= 5);
}

}  // namespace
}  // namespace fmtc

int main() {
  fmtc::TestRegions();
  fmtc::TestSameBytes();
  fmtc::TestInterpreterThreads();
  fmtc::TestInterpretersSideBySide();
  fmtc::TestFork();
  fmtc::TestProcessorsOfHelpers();
  return 0;
}
