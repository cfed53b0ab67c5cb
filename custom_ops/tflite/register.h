// Registers FMTC_ENCODE, FMTC_DECODE and FMTC_REGION with an op resolver, for programs that link TensorFlow Lite
// statically and want no delegate. Header-only, and needs no TFLite header itself. The ops are in `fmtc_register`
// (CMake) and
// `//custom_ops:register` (Bazel).
//
//   tflite::ops::builtin::BuiltinOpResolver resolver;
//   fmtc::AddFmtcOps(&resolver);
//   tflite::InterpreterBuilder(*model, resolver)(&interpreter);
#ifndef FMTC_TFLITE_REGISTER_H_
#define FMTC_TFLITE_REGISTER_H_

struct TfLiteRegistration;

extern "C" {

// The ops' registrations. They are static and never change.
TfLiteRegistration* FmtcRegisterEncode(void);
TfLiteRegistration* FmtcRegisterDecode(void);
TfLiteRegistration* FmtcRegisterRegion(void);
}

namespace fmtc {

// `Resolver` has AddCustom(const char* name, const TfLiteRegistration*), as tflite::MutableOpResolver has.
template <class Resolver>
void AddFmtcOps(Resolver* resolver) {
  resolver->AddCustom("FMTC_ENCODE", FmtcRegisterEncode());
  resolver->AddCustom("FMTC_DECODE", FmtcRegisterDecode());
  resolver->AddCustom("FMTC_REGION", FmtcRegisterRegion());
}

}  // namespace fmtc

#endif  // FMTC_TFLITE_REGISTER_H_
