// The one place that damages inputs.
#ifndef FMTC_FUZZ_MUTATE_H_
#define FMTC_FUZZ_MUTATE_H_

#include "fuzz/choices.h"
#include "fuzz/fuzz_case.h"

namespace fmtc::fuzz {

// Flips, sets, inserts, removes and repeats bytes from `begin` on, cuts the end off, or goes on with bytes of `other`.
void MutateBytes(Choices* choices, const Bytes& other, size_t begin, Bytes* bytes);

// Damages a coded tensor of the case: its bytes, its lengths, its segments; then mostly makes good what a reader checks
// first, up to the checksum, so that the damage is met where it is.
void MutateCoded(const FuzzCase& c, Choices* choices, Bytes* coded);

// As MutateCoded, for side information.
void MutateSideInfo(const FuzzCase& c, Choices* choices, Bytes* side_info);

}  // namespace fmtc::fuzz

#endif  // FMTC_FUZZ_MUTATE_H_
