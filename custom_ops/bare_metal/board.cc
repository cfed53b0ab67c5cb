// Start-up and semihosting of a Cortex-M.
#include "bare_metal/board.h"

#include <cstdint>

int main();

namespace {

// Arm's semihosting specification.
constexpr uint32_t kWriteString = 0x04;
constexpr uint32_t kExit = 0x18;
constexpr uint32_t kApplicationExit = 0x20026;
constexpr uint32_t kRunTimeError = 0x20023;

void Semihost(uint32_t operation, uint32_t argument) {
  register uint32_t r0 asm("r0") = operation;
  register uint32_t r1 asm("r1") = argument;
  asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

[[noreturn]] void Fault() {
  fmtc::Print("fault\n");
  fmtc::Exit(false);
}

}  // namespace

namespace fmtc {

void Print(const char* text) { Semihost(kWriteString, reinterpret_cast<uint32_t>(text)); }

void Exit(bool success) {
  for (;;) Semihost(kExit, success ? kApplicationExit : kRunTimeError);
}

}  // namespace fmtc

extern "C" {

// From the linker script.
extern uint32_t data_begin[], data_end[], data_image[], bss_begin[], bss_end[], stack_top[];

[[noreturn]] void Reset() {
  const uint32_t* from = data_image;
  for (uint32_t* to = data_begin; to < data_end; ++to) *to = *from++;
  for (uint32_t* to = bss_begin; to < bss_end; ++to) *to = 0;
  fmtc::Exit(main() == 0);
}

// Reset, NMI, and the faults.
__attribute__((section(".vectors"), used)) void (*const vectors[])() = {
    reinterpret_cast<void (*)()>(stack_top), Reset, Fault, Fault, Fault, Fault, Fault};
}
