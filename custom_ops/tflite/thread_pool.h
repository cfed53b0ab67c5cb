// The threads of this process that help all FMTC ops of all interpreters.
#ifndef FMTC_TFLITE_THREAD_POOL_H_
#define FMTC_TFLITE_THREAD_POOL_H_

#include <cstdint>

#include "base/workers.h"

namespace fmtc {

// So long helpers wait for work on a processor before they sleep.
constexpr uint64_t kHelperSpinNanoseconds = 1'000'000;

// Workers for `num_threads` threads, the calling one included; <= 1 gives one that needs no pool. The pool exists while
// anything holds it, so that no thread is left when the library is unloaded. There are never more threads than the
// largest number that was asked for, and no more than the machine has processors; where they are busy, or cannot be
// started, the calling thread does the work, and what comes out is the same.
Workers HoldThreadPool(int num_threads);
void ReleaseThreadPool(const Workers& workers);

// How many of them can be at work at the same time.
uint32_t NumAtOnce(const Workers& workers);

// Whether so many, less the calling one, are on a processor, so that they begin at once.
bool AreAwake(const Workers& workers);

// Has those that sleep wait for work on a processor again; they come some tens of microseconds later. Only where
// somebody holds the pool.
void WakeHelpers();

}  // namespace fmtc

#endif  // FMTC_TFLITE_THREAD_POOL_H_
