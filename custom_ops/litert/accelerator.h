/* Regions and coded feature maps in programs that use LiteRT's C API (LiteRtCreateCompiledModel). Experimental: what it
 * uses of LiteRT is internal to that, and tested with LiteRT 2.2 and 2.3. */
#ifndef FMTC_LITERT_ACCELERATOR_H_
#define FMTC_LITERT_ACCELERATOR_H_

#ifdef __cplusplus
extern "C" {
#endif

/* Gives an environment (a LiteRtEnvironment) the ops, for models that are compiled for the CPU with it from now on.
 * libLiteRt must be loaded with its symbols visible: linked, or opened with RTLD_GLOBAL. Returns null, or why it failed
 * in a text that needs no freeing. */
__attribute__((visibility("default"))) const char* fmtc_litert_register(void* environment);

#ifdef __cplusplus
}
#endif

#endif /* FMTC_LITERT_ACCELERATOR_H_ */
