# Cross-compiles for a Cortex-M with Debian's gcc-arm-none-eabi, and runs tests on an emulated board:
#   cmake -S custom_ops -B BUILD -DCMAKE_TOOLCHAIN_FILE=cmake/arm-none-eabi.cmake -DCMAKE_BUILD_TYPE=MinSizeRel
# -DFMTC_CPU=cortex-m55 is for that one instead of a Cortex-M4.
set(CMAKE_SYSTEM_NAME Generic)
if(NOT FMTC_CPU)
  set(FMTC_CPU cortex-m4)
endif()
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES FMTC_CPU)
set(CMAKE_SYSTEM_PROCESSOR ${FMTC_CPU})
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
set(CMAKE_CXX_FLAGS_INIT "-mcpu=${FMTC_CPU} -mthumb -ffunction-sections -fdata-sections")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
if(FMTC_CPU STREQUAL "cortex-m55")
  set(fmtc_machine mps3-an547)
else()
  set(fmtc_machine mps2-an386)
endif()
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-system-arm;-M;${fmtc_machine};-nographic;-semihosting;-kernel)
