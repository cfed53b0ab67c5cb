// The board's functions on a computer with an operating system.
#include <cstdio>
#include <cstdlib>

#include "bare_metal/board.h"

namespace fmtc {

void Print(const char* text) { std::fputs(text, stdout); }
void Exit(bool success) { std::exit(success ? EXIT_SUCCESS : EXIT_FAILURE); }

}  // namespace fmtc
