/* Regions on a microcontroller, without an interpreter: a program (REGION.md) that is constant data, and memory that
 * the caller has. Nothing is allocated, and of the C library memcpy and memset are all that is called.
 *
 *   static uint8_t scratch[SCRATCH_BYTES] FMTC_REGION_ALIGNED;
 *   fmtc_region_runner runner;
 *   fmtc_region_init(&runner, program, sizeof(program), scratch, sizeof(scratch));
 *   fmtc_region_invoke(&runner, inputs, outputs);
 *
 * or, with rows as a camera delivers them, so that the image is never in memory whole:
 *
 *   fmtc_region_begin(&runner, outputs);
 *   for (y = 0; y < INPUT_ROWS; ++y) fmtc_region_push_row(&runner, row);
 *
 * Functions return 0, or a status that fmtc_region_status_text() tells. Objects are independent of one another. */
#ifndef FMTC_MICRO_FMTC_REGION_H_
#define FMTC_MICRO_FMTC_REGION_H_

#include <stddef.h>
#include <stdint.h>

/* Programs and scratch memory begin at multiples of 16. */
#define FMTC_REGION_ALIGNMENT 16
#define FMTC_REGION_ALIGNED __attribute__((aligned(FMTC_REGION_ALIGNMENT)))

#ifdef __cplusplus
extern "C" {
#endif

/* The statuses that a sound call may come to; others are a programming error (1) or name what is wrong with a program.
 */
enum {
  FMTC_REGION_OK = 0,
  FMTC_REGION_INVALID_ARGUMENT = 1,
  FMTC_REGION_SCRATCH_TOO_SMALL = 2,
  FMTC_REGION_TRUNCATED = 13,
  FMTC_REGION_DAMAGED = 15,      /* the checksum does not match */
  FMTC_REGION_WRONG_TARGET = 17, /* an op, rounding or layout that this executor was not built with */
  FMTC_REGION_ROW_TOO_MANY = 21,
  FMTC_REGION_NOT_BY_ROWS = 22 /* the program needs its input whole */
};

/* What a run is at; the caller has it in memory, and uses it through the functions only. */
typedef struct fmtc_region_runner {
  uintptr_t words[16];
} fmtc_region_runner;

/* Bytes of scratch memory that a program needs. It is looked at as far as that takes. */
int32_t fmtc_region_scratch_bytes_of(const uint8_t* program, size_t program_bytes, size_t* scratch_bytes);

/* Checks the program, completely, once: what runs afterwards needs no check. Program and scratch memory must stay as
 * long as the runner is in use; the latter holds nothing between runs. */
int32_t fmtc_region_init(fmtc_region_runner* runner, const uint8_t* program, size_t program_bytes, void* scratch,
                         size_t scratch_bytes);

/* Has later runs use other memory, as an interpreter may that plans its arena after programs have been checked. */
int32_t fmtc_region_use_scratch(fmtc_region_runner* runner, void* scratch, size_t scratch_bytes);

/* These are 0 where fmtc_region_init has failed. */
int32_t fmtc_region_num_inputs(const fmtc_region_runner* runner);
int32_t fmtc_region_num_outputs(const fmtc_region_runner* runner);
/* Of an input or output, dense, in its own element type; 0: there is none of this number. */
size_t fmtc_region_bytes_of_input(const fmtc_region_runner* runner, int32_t input);
size_t fmtc_region_bytes_of_output(const fmtc_region_runner* runner, int32_t output);

/* Computes all outputs from all inputs. */
int32_t fmtc_region_invoke(fmtc_region_runner* runner, const void* const* inputs, void* const* outputs);

/* Starts a run of a program of one input whose rows are pushed. The array of outputs must stay until its end. */
int32_t fmtc_region_begin(fmtc_region_runner* runner, void* const* outputs);
/* Takes the next row, fmtc_region_row_bytes(), and computes what it allows; afterwards the row is no longer needed.
 * The outputs are there after the last row. */
int32_t fmtc_region_push_row(fmtc_region_runner* runner, const void* row);
/* Of the only input; 0 if there are several. */
size_t fmtc_region_row_bytes(const fmtc_region_runner* runner);
int32_t fmtc_region_rows(const fmtc_region_runner* runner);

/* One line, never null. */
const char* fmtc_region_status_text(int32_t status);

#ifdef __cplusplus
}
#endif

#endif /* FMTC_MICRO_FMTC_REGION_H_ */
