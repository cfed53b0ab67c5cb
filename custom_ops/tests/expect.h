// The one assertion that the tests need: says where, and ends the test.
#ifndef FMTC_TESTS_EXPECT_H_
#define FMTC_TESTS_EXPECT_H_

#include <cstdio>
#include <cstdlib>

#define EXPECT(condition)                                                           \
  do {                                                                              \
    if (!(condition)) {                                                             \
      std::fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                                 \
    }                                                                               \
  } while (0)

#endif  // FMTC_TESTS_EXPECT_H_
