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
/* The instructions in use, "scalar", "neon", "avx2" or "avx512": the best that the processor has, or what the
 * environment variable FMTC_CPU_LEVEL forces. A forced level that cannot be had is returned, too; creating a codec then
 * fails. */
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

#ifdef __cplusplus
}
#endif

#endif /* FMTC_C_API_FMTC_C_API_H_ */
