// Sections of passes that the parts of a team divide by rows.
//
// Each part owns a band of every op's rows, the first part the uppermost ones. Where an op reads rows beside its own,
// the band of what it reads begins as many rows further up, so that a part needs nothing of those before it, and of
// those behind it only their first rows, which are long done when it comes to need them: these keep copies for it.
// Nothing is computed twice, and parts wait for one another about once a section.
//
// All but the first part write to memory of their own, with the places of scratch memory, and bring what later sections
// read to its place when all are done: a program may have put it over what another part still reads. The first part
// works in scratch memory, and takes no step before the others have taken those that come before it in the program.
#ifndef FMTC_REGION_BANDS_H_
#define FMTC_REGION_BANDS_H_

#include <cstddef>
#include <cstdint>

#include "region/kind.h"
#include "region/rows.h"
#include "region/sections.h"

namespace fmtc::region {

// How sections are divided: the others than the fastest are for tests, and bands stay where a section can have them.
enum class Way { kFastest, kBands, kColumns };

// What a part does of an op in a section.
struct Band {
  int32_t first, end;    // steps of its own
  int32_t taken_end;     // rows from `end` on that it takes from the parts behind it
  int32_t kept_end;      // rows from `first` on that it keeps for those before it
  uint32_t kept_offset;  // of these, in its memory for them
};

struct SectionBands {
  const Band* bands;  // [op of the section][part]; null: the section is divided as share.h has it
  bool stores;        // parts behind the first have rows that later sections read
};

struct Bands {
  SectionBands* sections;
  Band* all;
  size_t kept_bytes;  // the most that a part keeps in a section
};

// Divides those sections of a checked program by rows that are expected to take less time that way, or as `way` has it.
// `state` is the checker's, with its private tensors marked. False if there is no memory for it.
bool FindBands(const Program& program, const Sections& sections, int parts, Way way, State* state, Bands* bands);
void FreeBands(Bands* bands);

// Copies of a row that a part has just written, for the parts before it, at `kept`; and back.
void KeepRow(const OpView& op, const RowAccess& access, int32_t row, uint8_t* kept);
void TakeRow(const OpView& op, const RowAccess& access, int32_t row, const uint8_t* kept);

// Brings a part's rows that later sections read to their place in scratch memory.
void StoreRows(const OpView& op, const RowAccess& access, const Band& band);

}  // namespace fmtc::region

#endif  // FMTC_REGION_BANDS_H_
