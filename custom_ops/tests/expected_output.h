// What DECODE must give for ENCODE's input, value by value from the definitions in FORMAT.md section 4.
#ifndef FMTC_TESTS_EXPECTED_OUTPUT_H_
#define FMTC_TESTS_EXPECTED_OUTPUT_H_

#include <cstdint>
#include <vector>

#include "tests/side_info_builder.h"

namespace fmtc::test {

std::vector<uint8_t> ExpectedOutput(const SideInfoSpec& spec, ElementType type, uint32_t level,
                                    const std::vector<uint8_t>& map);

}  // namespace fmtc::test

#endif  // FMTC_TESTS_EXPECTED_OUTPUT_H_
