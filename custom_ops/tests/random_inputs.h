// Random side information, shapes and feature maps for tests and fuzz targets; the same on every machine.
#ifndef FMTC_TESTS_RANDOM_INPUTS_H_
#define FMTC_TESTS_RANDOM_INPUTS_H_

#include <cstdint>
#include <random>
#include <vector>

#include "tests/side_info_builder.h"

namespace fmtc::test {

using Random = std::mt19937;

// Uniform in [low, high].
int32_t Draw(Random* random, int32_t low, int32_t high);

enum class Transform { kLossless, kStep, kKlt, kFolded };

// A partition of the 256 residuals into 2 to 16 tokens with random counts.
ClassSpec RandomClass(Random* random);

// Valid side information with random classes, predictors, steps and, unless the core is small, matrices.
SideInfoSpec RandomSpec(Random* random, uint32_t channels, Transform transform, uint8_t max_level);

// Values of one of several kinds: noise, constant, extremes, sparse, smooth.
std::vector<uint8_t> RandomMap(Random* random, size_t values);

}  // namespace fmtc::test

#endif  // FMTC_TESTS_RANDOM_INPUTS_H_
