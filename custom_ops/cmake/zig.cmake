# Compiles for an old glibc with the package ziglang of PyPI, for this machine's architecture or another one:
#   cmake -S custom_ops -B BUILD -DCMAKE_TOOLCHAIN_FILE=cmake/zig.cmake -DFMTC_TARGET=aarch64-linux-gnu.2.17
# The libraries need glibc of that version and nothing else: libc++ is linked statically.
set(FMTC_TARGET "x86_64-linux-gnu.2.17" CACHE STRING "Architecture and glibc, as `zig cc -target` has it")
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES FMTC_TARGET)

# Beside the Python on the path: pip builds in an environment that hides installed packages.
find_program(FMTC_ZIG_PYTHON NAMES python3 python REQUIRED)
get_filename_component(FMTC_ZIG_PREFIX "${FMTC_ZIG_PYTHON}" DIRECTORY)
foreach(folder IN ITEMS ${FMTC_ZIG_PREFIX} $ENV{VIRTUAL_ENV}/bin)
  file(GLOB FMTC_ZIG_FOUND "${folder}/../lib/python*/site-packages/ziglang/zig")
  list(APPEND FMTC_ZIG_CANDIDATES ${FMTC_ZIG_FOUND})
endforeach()
if(NOT FMTC_ZIG_CANDIDATES)
  message(FATAL_ERROR "cmake/zig.cmake needs the package ziglang beside ${FMTC_ZIG_PYTHON}; run `pip install ziglang`")
endif()
list(GET FMTC_ZIG_CANDIDATES 0 FMTC_ZIG)

set(CMAKE_SYSTEM_NAME Linux)
string(REGEX REPLACE "-.*" "" CMAKE_SYSTEM_PROCESSOR "${FMTC_TARGET}")
set(CMAKE_CXX_COMPILER ${FMTC_ZIG} c++ -target ${FMTC_TARGET})
set(CMAKE_CXX_ARCHIVE_CREATE "${FMTC_ZIG} ar qc <TARGET> <LINK_FLAGS> <OBJECTS>")
set(CMAKE_CXX_ARCHIVE_APPEND "${FMTC_ZIG} ar q <TARGET> <LINK_FLAGS> <OBJECTS>")
set(CMAKE_CXX_ARCHIVE_FINISH "${FMTC_ZIG} ranlib <TARGET>")
