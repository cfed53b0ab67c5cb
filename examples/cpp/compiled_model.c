/* A converted model under LiteRT 2's C API: `compiled_model libLiteRt.so model_fmtc.tflite` compiles it for the CPU and
 * runs it once, on whatever its inputs' memory holds. LiteRT's headers are not needed: the functions that it takes are
 * declared here. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fmtc/litert_accelerator.h>
#include <stdint.h>
#include <stdio.h>

enum { kCpu = 1, kMostTensors = 8 };

/* LiteRtRankedTensorType. */
typedef struct {
  int element_type;
  struct {
    unsigned rank : 7;
    unsigned has_strides : 1;
    int32_t dimensions[8];
    uint32_t strides[8];
  } layout;
} TensorType;

static void* g_litert;

static void* Find(const char* name) {
  void* function = dlsym(g_litert, name);
  if (function == NULL) fprintf(stderr, "libLiteRt has no %s\n", name);
  return function;
}

/* Calls a function of LiteRT; on failure says which and returns 1. */
#define CALL(name, types, ...)                          \
  do {                                                  \
    int(*function) types = (int(*) types)Find(name);    \
    if (function == NULL || function(__VA_ARGS__) != 0) { \
      fprintf(stderr, "%s failed\n", name);             \
      return 1;                                         \
    }                                                   \
  } while (0)

/* Memory for a model's inputs ("Input") or outputs ("Output"); returns 0 if all is well. */
static int CreateBuffers(void* environment, void* subgraph, void* compiled, const char* kind, size_t* count,
                         void** buffers) {
  char name[64];
  snprintf(name, sizeof(name), "LiteRtGetNumSubgraph%ss", kind);
  CALL(name, (void*, size_t*), subgraph, count);
  for (size_t i = 0; i < *count && i < kMostTensors; ++i) {
    void *tensor, *requirements;
    TensorType type;
    snprintf(name, sizeof(name), "LiteRtGetSubgraph%s", kind);
    CALL(name, (void*, size_t, void**), subgraph, i, &tensor);
    CALL("LiteRtGetRankedTensorType", (void*, TensorType*), tensor, &type);
    for (unsigned axis = 0; axis < type.layout.rank; ++axis) {
      if (type.layout.dimensions[axis] < 0) type.layout.dimensions[axis] = 1;  /* a batch that is left open */
    }
    snprintf(name, sizeof(name), "LiteRtGetCompiledModel%sBufferRequirements", kind);
    CALL(name, (void*, size_t, size_t, void**), compiled, 0, i, &requirements);
    CALL("LiteRtCreateManagedTensorBufferFromRequirements", (void*, const TensorType*, void*, void**), environment, &type,
         requirements, &buffers[i]);
  }
  return *count > kMostTensors;
}

int main(int argc, char** argv) {
  if (argc != 3 || (g_litert = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL)) == NULL) {
    fprintf(stderr, "usage: %s libLiteRt.so model.tflite\n", argv[0]);
    return 2;
  }
  void *environment, *model, *subgraph, *options, *compiled;
  CALL("LiteRtCreateEnvironment", (int, const void*, void**), 0, NULL, &environment);
  const char* problem = fmtc_litert_register(environment);
  if (problem != NULL) {
    fprintf(stderr, "%s\n", problem);
    return 1;
  }
  CALL("LiteRtCreateModelFromFile", (void*, const char*, void**), environment, argv[2], &model);
  CALL("LiteRtGetModelSubgraph", (void*, size_t, void**), model, 0, &subgraph);
  CALL("LiteRtCreateOptions", (void**), &options);
  CALL("LiteRtSetOptionsHardwareAccelerators", (void*, int), options, kCpu);
  CALL("LiteRtCreateCompiledModel", (void*, void*, void*, void**), environment, model, options, &compiled);

  void *inputs[kMostTensors], *outputs[kMostTensors];
  size_t num_inputs, num_outputs;
  if (CreateBuffers(environment, subgraph, compiled, "Input", &num_inputs, inputs) != 0) return 1;
  if (CreateBuffers(environment, subgraph, compiled, "Output", &num_outputs, outputs) != 0) return 1;
  CALL("LiteRtRunCompiledModel", (void*, size_t, size_t, void**, size_t, void**), compiled, 0, num_inputs, inputs,
       num_outputs, outputs);
  printf("ran, with %zu inputs and %zu outputs\n", num_inputs, num_outputs);
  return 0;
}
