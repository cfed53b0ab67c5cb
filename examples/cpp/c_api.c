/* The C API from C: it tells its versions, and refuses side information that is none. */
#include <fmtc/fmtc_c_api.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  const uint8_t nothing[16] = {0};
  fmtc_codec* codec;
  const int32_t status = fmtc_codec_create(nothing, sizeof(nothing), 1, 2, 2, 0, &codec);
  printf("fmtc %s, %s: %s\n", fmtc_version(), fmtc_cpu_level(), fmtc_status_message(status));
  return strcmp(fmtc_version(), FMTC_VERSION) != 0 || fmtc_abi_version() != FMTC_ABI_VERSION || status == 0;
}
