/* Flat C interface of the codec, for ctypes and other languages. Every function that can fail returns a status:
 * 0 is success, fmtc_status_message() tells the others. Not thread-safe per codec object; objects are independent. */
#ifndef FMTC_C_API_FMTC_C_API_H_
#define FMTC_C_API_FMTC_C_API_H_

#include <stddef.h>
#include <stdint.h>

#define FMTC_VERSION "0.1.0"
#define FMTC_ABI_VERSION 1

#if defined(_WIN32)
#define FMTC_EXPORT __declspec(dllexport)
#else
#define FMTC_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fmtc_codec fmtc_codec;

FMTC_EXPORT const char* fmtc_version(void);
FMTC_EXPORT int32_t fmtc_abi_version(void);
FMTC_EXPORT int32_t fmtc_format_version(void);
FMTC_EXPORT const char* fmtc_status_message(int32_t status);
/* The instructions in use, "scalar", "neon", "neon_dotprod", "avx2", "avx_vnni" or "avx512": the best that the
 * processor has, or what the environment variable FMTC_CPU_LEVEL forces. A forced level that cannot be had is returned,
 * too; creating a codec then fails. */
FMTC_EXPORT const char* fmtc_cpu_level(void);

/* A codec for maps [batch, height, width, channels], channels being told by the side information, which is copied.
 * *out is null on failure. */
FMTC_EXPORT int32_t fmtc_codec_create(const uint8_t* side_info, size_t bytes, int64_t batch, int64_t height,
                                      int64_t width, int32_t is_uint8, fmtc_codec** out);
FMTC_EXPORT void fmtc_codec_destroy(fmtc_codec* codec);

/* Bytes that always suffice for a coded map. */
FMTC_EXPORT size_t fmtc_codec_capacity(const fmtc_codec* codec);
/* Sizes of the encoder's input and of the decoder's output. They differ when the transform is folded. */
FMTC_EXPORT size_t fmtc_codec_input_bytes(const fmtc_codec* codec);
FMTC_EXPORT size_t fmtc_codec_output_bytes(const fmtc_codec* codec);

FMTC_EXPORT int32_t fmtc_encode(fmtc_codec* codec, const uint8_t* in, size_t in_bytes, uint8_t* out, size_t capacity,
                                size_t* payload_bytes);
/* Reads a coded map from the front of `in`; what follows it is ignored. */
FMTC_EXPORT int32_t fmtc_decode(fmtc_codec* codec, const uint8_t* in, size_t in_bytes, uint8_t* out, size_t out_bytes);

/* Adds the prediction residuals of a map to hist[components][5 predictors][256]. */
FMTC_EXPORT int32_t fmtc_residual_histograms(fmtc_codec* codec, const uint8_t* in, size_t in_bytes, uint32_t* hist,
                                             size_t hist_entries);

/* Adds the prediction residuals of a map to hist[classes][15 contexts][256]; the codec must have contexts. */
FMTC_EXPORT int32_t fmtc_context_histograms(fmtc_codec* codec, const uint8_t* in, size_t in_bytes, uint32_t* hist,
                                            size_t hist_entries);

/* A region's program (REGION.md), checked once; then it runs on any inputs. */
typedef struct fmtc_region fmtc_region;

/* What a run tells about the inside of a region; each pointer may be null. Tensors and ops are numbered as in the
 * program. */
typedef struct fmtc_region_trace {
  /* For each tensor, null or memory for height x width x channels values of its own type: the last item's. */
  uint8_t* const* tensors;
  /* For each op, what is added: nanoseconds in its steps, and bytes of the values that they wrote. */
  uint64_t* nanoseconds;
  uint64_t* bytes_written;
} fmtc_region_trace;

/* `program` lies at a multiple of 16 and must outlive the object. *out is null on failure. */
FMTC_EXPORT int32_t fmtc_region_create(const uint8_t* program, size_t bytes, fmtc_region** out);
FMTC_EXPORT void fmtc_region_destroy(fmtc_region* region);

FMTC_EXPORT size_t fmtc_region_scratch_bytes(const fmtc_region* region);
/* Bytes of one batch item of an input or output; 0 if there is none of this number. */
FMTC_EXPORT size_t fmtc_region_input_bytes(const fmtc_region* region, int32_t input);
FMTC_EXPORT size_t fmtc_region_output_bytes(const fmtc_region* region, int32_t output);

/* Runs `batch` items, which stand one after another in each input and output. `scratch` has fmtc_region_scratch_bytes()
 * bytes, lies at a multiple of 16 and overlaps nothing else. `trace` may be null. */
FMTC_EXPORT int32_t fmtc_region_run(fmtc_region* region, const uint8_t* const* inputs, uint8_t* const* outputs,
                                    int64_t batch, uint8_t* scratch, size_t scratch_bytes,
                                    const fmtc_region_trace* trace);

#ifdef __cplusplus
}
#endif

#endif /* FMTC_C_API_FMTC_C_API_H_ */
