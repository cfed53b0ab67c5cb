// A network's maps, coded one after another.
#ifndef FMTC_BENCH_NETWORK_H_
#define FMTC_BENCH_NETWORK_H_

#include <string>

namespace fmtc::bench {

// Codes the maps of a list (tools/dump_maps.py) at every level for so many seconds, and prints a Markdown table.
void MeasureNetwork(const std::string& list, double seconds);

}  // namespace fmtc::bench

#endif  // FMTC_BENCH_NETWORK_H_
