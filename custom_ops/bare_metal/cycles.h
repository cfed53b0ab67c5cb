// Instructions that an emulator counts: qemu's option -icount shift=0 has each take a nanosecond of the board's clock.
#ifndef FMTC_BARE_METAL_CYCLES_H_
#define FMTC_BARE_METAL_CYCLES_H_

#include <cstdint>

namespace fmtc {

// The system timer counts down, in 24 bits.
struct SysTick {
  volatile uint32_t control, reload, value;
};
constexpr uint32_t kTicksEnd = 1 << 24;

// What is measured: the difference between one inference more than these, and one.
constexpr uint32_t kInferences = 10;

inline SysTick& Timer() { return *reinterpret_cast<SysTick*>(0xE000E010); }

inline void StartTimer() {
  Timer().reload = kTicksEnd - 1;
  Timer().value = 0;
  Timer().control = 5;  // the processor's clock, no interrupt
}

// Since a former value; less than 2^24 of them.
inline uint32_t TicksSince(uint32_t value) { return (value - Timer().value) & (kTicksEnd - 1); }

}  // namespace fmtc

#endif  // FMTC_BARE_METAL_CYCLES_H_
