// What is timed, and what its times say.
#ifndef FMTC_BENCH_TIMING_H_
#define FMTC_BENCH_TIMING_H_

#include <time.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace fmtc::bench {

// One thing that is timed.
struct Task {
  std::string what;   // encode, decode, ...
  std::string level;  // or the rival's name
  size_t bytes;       // that count as its work
  std::function<void()> call;
  std::vector<double> seconds;
};

inline double Quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
}

inline double GigabytesPerSecond(const Task& task) {
  return 1e-9 * static_cast<double>(task.bytes) / Quantile(task.seconds, 0.5);
}

// The middle half of the times, as a share of the median.
inline double Spread(const Task& task) {
  return (Quantile(task.seconds, 0.75) - Quantile(task.seconds, 0.25)) / Quantile(task.seconds, 0.5);
}

// The processor time of this thread, which does not run on while others have the processor.
inline double ThreadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace fmtc::bench

#endif  // FMTC_BENCH_TIMING_H_
