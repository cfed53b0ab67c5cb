// The ops for a firmware with TensorFlow Lite Micro:
//
//   resolver.AddCustom("FMTC_REGION", FmtcRegisterRegion());
//   resolver.AddCustom("FMTC_ENCODE", FmtcRegisterEncode());
//   resolver.AddCustom("FMTC_DECODE", FmtcRegisterDecode());
//
// What is wrong with a model is one line of MicroPrintf, and the interpreter's call fails.
#ifndef FMTC_MICRO_TFLM_OPS_H_
#define FMTC_MICRO_TFLM_OPS_H_

#include "micro/tflm_abi.h"

const TFLMRegistration* FmtcRegisterRegion();
const TFLMRegistration* FmtcRegisterEncode();
const TFLMRegistration* FmtcRegisterDecode();

#endif  // FMTC_MICRO_TFLM_OPS_H_
