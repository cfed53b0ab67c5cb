// The passes and steps of a program.
#ifndef FMTC_REGION_SCHEDULE_H_
#define FMTC_REGION_SCHEDULE_H_

#include "region/program.h"

namespace fmtc::region {

// Plays the passes: every step reads rows and columns that have been written and still lie in memory, each op does all
// its steps, and outputs are complete in the end. The records are sound.
Status CheckSchedule(const Program& program, State* state);

// Puts the ops of a pass before their first step, and sets the columns that they write.
void BeginPass(const Program& program, const PassRecord& pass, State* state);

// Keeps in mind what the pass leaves behind in tensors that stay.
void EndPass(const Program& program, const PassRecord& pass, State* state);

}  // namespace fmtc::region

#endif  // FMTC_REGION_SCHEDULE_H_
