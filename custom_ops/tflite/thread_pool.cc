#include "tflite/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace fmtc {
namespace {

constexpr uint32_t kMaxThreads = 64;

// Waking a thread takes about as long as a small network's inference, so that those who wait spin first: helpers long
// enough to be there when one inference follows another, the calling thread while the last of them ends.
constexpr std::chrono::nanoseconds kHelperSpins{kHelperSpinNanoseconds};
constexpr std::chrono::nanoseconds kCallerSpins{50'000};

// Waits so long for `ready` without sleeping. Others that want the processor, such as the runtime's own threads, get
// it.
template <typename Ready>
void Spin(std::chrono::nanoseconds most, const Ready& ready) {
  const auto end = std::chrono::steady_clock::now() + most;
  for (int i = 0; !ready(); ++i) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
    if (i % 32 < 31) continue;
    if (std::chrono::steady_clock::now() > end) return;
    sched_yield();
  }
}

// The processors that helpers may run on. Schedulers that pack threads, to save energy or a virtual machine's
// processors, wake a helper where its caller works, and have the two take turns there for milliseconds; so the caller
// closes its own one to them. What somebody else has set since is left alone.
#if defined(__linux__) && !defined(__ANDROID__)
class Processors {
 public:
  static int Current() { return sched_getcpu(); }

  void ReadFrom(pthread_t helper) {
    if (pthread_getaffinity_np(helper, sizeof(all_), &all_) != 0) CPU_ZERO(&all_);
  }

  bool IsClosed(int processor) const { return processor == closed_; }

  // -1: none.
  void Close(int processor, const pthread_t* helpers, uint32_t count) {
    const cpu_set_t before = Without(closed_), after = Without(processor);
    for (uint32_t i = 0; i < count; ++i) {
      cpu_set_t now;
      if (pthread_getaffinity_np(helpers[i], sizeof(now), &now) != 0 || !CPU_EQUAL(&now, &before)) continue;
      pthread_setaffinity_np(helpers[i], sizeof(after), &after);
    }
    closed_ = processor;
  }

 private:
  // All, where none would be left.
  cpu_set_t Without(int processor) const {
    cpu_set_t set = all_;
    if (processor >= 0 && processor < CPU_SETSIZE) CPU_CLR(static_cast<size_t>(processor), &set);
    return CPU_COUNT(&set) > 0 ? set : all_;
  }

  cpu_set_t all_ = {};
  int closed_ = -1;
};
#else
class Processors {
 public:
  static int Current() { return -1; }
  void ReadFrom(pthread_t) {}
  bool IsClosed(int) const { return true; }
  void Close(int, const pthread_t*, uint32_t) {}
};
#endif

// A call of Run, on the stack of the thread that made it. The pool's mutex guards it.
struct Job {
  Workers::Task task;
  void* argument;
  uint32_t count;
  uint32_t begun;
  std::atomic<uint32_t> finished;
  Job* next;  // the job that waits behind it
};

class ThreadPool {
 public:
  // `helpers`: threads beside the calling ones.
  void Hold(uint32_t helpers) {
    const std::lock_guard<std::mutex> serial(lifetime_);
    const std::lock_guard<std::mutex> lock(mutex_);
    ++holders_;
    process_ = holders_ == 1 ? getpid() : process_;
    const bool are_first = num_threads_ == 0;
    if (num_threads_ < helpers) CloseToHelpers(-1);  // as it is to new ones
    while (num_threads_ < helpers && pthread_create(&threads_[num_threads_], nullptr, Main, this) == 0) ++num_threads_;
    if (are_first && num_threads_ > 0) processors_.ReadFrom(threads_[0]);
  }

  void Release() {
    const std::lock_guard<std::mutex> serial(lifetime_);
    std::unique_lock<std::mutex> lock(mutex_);
    if (--holders_ > 0) return;
    stopping_ = true;
    wake_.notify_all();
    lock.unlock();
    pending_.fetch_add(1);  // for those who spin
    // A child process has none of its parent's threads.
    for (uint32_t i = 0; i < num_threads_ && process_ == getpid(); ++i) pthread_join(threads_[i], nullptr);
    pending_.fetch_sub(1);
    num_threads_ = 0;
    awake_ = 0;
    stopping_ = false;
  }

  void Run(uint32_t count, Workers::Task task, void* argument) {
    Job job{task, argument, count, 0, {0}, nullptr};
    std::unique_lock<std::mutex> lock(mutex_);
    Job** last = &jobs_;
    while (*last != nullptr) last = &(*last)->next;
    *last = &job;
    ++job.begun;  // the first task is the caller's
    const bool are_asleep = awake_ < num_threads_;
    CloseToHelpers(Processors::Current());
    lock.unlock();
    pending_.fetch_add(1);  // after the mutex is free, on which those who spin would go to sleep
    if (are_asleep) wake_.notify_all();
    task(argument, 0);
    lock.lock();
    ++job.finished;
    while (job.begun < count) DoTask(&job, &lock);
    lock.unlock();
    Spin(kCallerSpins, [&job] { return job.finished.load() == job.count; });
    lock.lock();
    done_.wait(lock, [&job] { return job.finished == job.count; });
  }

  uint32_t num_awake() const { return awake_.load(std::memory_order_relaxed); }

  void Wake() {
    if (are_woken_.exchange(true, std::memory_order_relaxed)) return;
    std::unique_lock<std::mutex> lock(mutex_);
    CloseToHelpers(Processors::Current());
    lock.unlock();
    wake_.notify_all();
  }

 private:
  void CloseToHelpers(int processor) {
    if (!processors_.IsClosed(processor) && process_ == getpid()) processors_.Close(processor, threads_, num_threads_);
  }

  // Does the next task of a job; the last one to begin takes the job from the list.
  void DoTask(Job* job, std::unique_lock<std::mutex>* lock) {
    const uint32_t index = job->begun++;
    if (job->begun == job->count) {
      Job** at = &jobs_;
      while (*at != job) at = &(*at)->next;
      *at = job->next;
      pending_.fetch_sub(1);
    }
    lock->unlock();
    job->task(job->argument, index);
    lock->lock();
    // Behind this the job may be gone.
    if (++job->finished == job->count) done_.notify_all();
  }

  static void* Main(void* pool) {
    static_cast<ThreadPool*>(pool)->Help();
    return nullptr;
  }

  void Help() {
    std::unique_lock<std::mutex> lock(mutex_);
    ++awake_;
    while (!stopping_) {
      if (jobs_ != nullptr) {
        DoTask(jobs_, &lock);
      } else {
        lock.unlock();
        Spin(kHelperSpins, [this] { return pending_.load() > 0; });
        lock.lock();
        if (jobs_ != nullptr || stopping_) continue;
        --awake_;
        are_woken_ = false;
        wake_.wait(lock);
        ++awake_;
      }
    }
  }

  std::mutex lifetime_;  // of the threads: starting and joining them; taken before the other one
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::atomic<int32_t> pending_{0};  // jobs with tasks that have not begun, about
  std::atomic<uint32_t> awake_{0};
  std::atomic<bool> are_woken_{false};  // those that sleep have been called since
  Job* jobs_ = nullptr;                 // those
  uint32_t holders_ = 0;
  bool stopping_ = false;
  uint32_t num_threads_ = 0;
  pid_t process_ = 0;
  Processors processors_;
  pthread_t threads_[kMaxThreads];
};

// Never destroyed: it has no threads where nothing holds it.
ThreadPool& SharedPool() {
  static ThreadPool* const pool = new ThreadPool();
  return *pool;
}

uint32_t MaxHelpers() {
  static const long processors = sysconf(_SC_NPROCESSORS_ONLN);  // reads a file
  if (processors <= 1) return 0;
  return processors > kMaxThreads ? kMaxThreads : static_cast<uint32_t>(processors) - 1;
}

void RunInPool(uint32_t count, Workers::Task task, void* argument) { SharedPool().Run(count, task, argument); }

}  // namespace

Workers HoldThreadPool(int num_threads) {
  if (num_threads <= 1) return {};
  const uint32_t wanted = static_cast<uint32_t>(num_threads);
  const uint32_t helpers = wanted - 1 < MaxHelpers() ? wanted - 1 : MaxHelpers();
  SharedPool().Hold(helpers);
  return {wanted < kMaxThreads ? wanted : kMaxThreads, RunInPool};
}

uint32_t NumAtOnce(const Workers& workers) {
  const uint32_t most = MaxHelpers() + 1;
  return workers.count < most ? workers.count : most;
}

bool AreAwake(const Workers& workers) { return SharedPool().num_awake() + 1 >= NumAtOnce(workers); }

void WakeHelpers() { SharedPool().Wake(); }

void ReleaseThreadPool(const Workers& workers) {
  if (workers.run != nullptr) SharedPool().Release();
}

}  // namespace fmtc
