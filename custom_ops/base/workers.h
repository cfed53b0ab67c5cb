// Who does the parts of a job that can be done at the same time. The core starts no threads; its caller may lend some.
#ifndef FMTC_BASE_WORKERS_H_
#define FMTC_BASE_WORKERS_H_

#include <cstdint>

namespace fmtc {

// Calls task(argument, i) once for every i < count, in any order and from any thread, and returns when all are done.
struct Workers {
  using Task = void (*)(void* argument, uint32_t index);

  uint32_t count = 1;                                                // parts that a job is divided into, at most
  void (*run)(uint32_t count, Task task, void* argument) = nullptr;  // null: one after the other

  void Run(uint32_t tasks, Task task, void* argument) const {
    if (run != nullptr && tasks > 1) return run(tasks, task, argument);
    for (uint32_t i = 0; i < tasks; ++i) task(argument, i);
  }
};

}  // namespace fmtc

#endif  // FMTC_BASE_WORKERS_H_
