// Codecs that the ops of an interpreter share: an ENCODE and its DECODEs read the same side information.
#ifndef FMTC_TFLITE_SHARED_CODEC_H_
#define FMTC_TFLITE_SHARED_CODEC_H_

#include <cstddef>
#include <cstdint>

#include "codec/codec.h"
#include "tflite/tflite_abi.h"

namespace fmtc {

// Checks the side information and builds the codec, with the best kernels of this processor, unless an op of the
// interpreter holds that codec already. It lives, read-only, until each holder has released it; the side information
// must live as long. May be called from any thread.
Status HoldCodec(const TfLiteContext* interpreter, const uint8_t* side_info, size_t side_info_bytes,
                 const Codec** codec);

// Also takes null.
void ReleaseCodec(const Codec* codec);

}  // namespace fmtc

#endif  // FMTC_TFLITE_SHARED_CODEC_H_
