// What a program on a bare board has instead of an operating system: semihosting, which debuggers and emulators serve.
#ifndef FMTC_BARE_METAL_BOARD_H_
#define FMTC_BARE_METAL_BOARD_H_

namespace fmtc {

void Print(const char* text);
[[noreturn]] void Exit(bool success);

}  // namespace fmtc

#endif  // FMTC_BARE_METAL_BOARD_H_
