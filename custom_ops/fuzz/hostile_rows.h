// Maps that are read and written row by row, by who does not stop when he should.
#ifndef FMTC_FUZZ_HOSTILE_ROWS_H_
#define FMTC_FUZZ_HOSTILE_ROWS_H_

#include "codec/kernels.h"
#include "fuzz/choices.h"
#include "fuzz/fuzz_case.h"

namespace fmtc::fuzz {

// Reads rows of some groups of a coded map, each into memory of its own, one in two times while the coded map changes,
// and goes on after a failure. Unchanged, it gives what Decode gives. Whether all could be read.
bool RunReadRows(const FuzzCase& c, const Kernels* kernels, Choices choices, const Bytes& coded);

// Writes the map's rows of some groups into whatever room, and goes on after a failure. Whether all fit.
bool RunWriteRows(const FuzzCase& c, const Kernels* kernels, Choices choices, const Bytes& map);

}  // namespace fmtc::fuzz

#endif  // FMTC_FUZZ_HOSTILE_ROWS_H_
