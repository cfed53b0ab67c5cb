// The one place that builds valid inputs: a codec, the shape of a map, maps and what ENCODE makes of them, a region.
#ifndef FMTC_FUZZ_FUZZ_CASE_H_
#define FMTC_FUZZ_FUZZ_CASE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "codec/codec.h"
#include "codec/view.h"
#include "tests/flex_map.h"
#include "tests/random_inputs.h"

namespace fmtc::fuzz {

using Bytes = std::vector<uint8_t>;

class FuzzCase {
 public:
  // Everything follows from the number. Few cases are large: those have several segments and groups an item, and real
  // threads; the others decode in microseconds.
  explicit FuzzCase(uint32_t number);
  FuzzCase(const FuzzCase&) = delete;
  FuzzCase& operator=(const FuzzCase&) = delete;
  ~FuzzCase();

  static bool IsLarge(uint32_t number) { return number % 32 == 31; }

  uint32_t number() const { return number_; }
  const test::SideInfoSpec& spec() const { return spec_; }
  const Bytes& side_info() const { return side_info_; }
  const Codec& codec() const { return owned_->codec(); }
  const MapPlan& plan() const { return plan_; }
  ElementType type() const { return type_; }
  const Workers& workers() const { return workers_; }
  const std::vector<Bytes>& maps() const { return maps_; }
  const std::vector<Bytes>& coded() const { return coded_; }  // of each map, with room as the codec's levels allow
  const View* view() const { return has_view_ ? &view_ : nullptr; }  // that the op of the graph decodes
  const Bytes& table() const { return table_; }                      // of the view, empty if it has none
  const Bytes& options() const { return options_; }                  // of the ops
  const Bytes& program() const { return program_; }                  // of a region
  size_t full_capacity() const { return size_t{plan_.batch} * plan_.item_capacity; }

 private:
  void PlanShape(test::Random* random);
  void ChooseWorkers(test::Random* random);
  void AddMap(test::Random* random);
  void ChooseView(test::Random* random);

  uint32_t number_;
  test::SideInfoSpec spec_;
  Bytes side_info_;
  std::unique_ptr<test::OwnedCodec> owned_;
  MapPlan plan_;
  ElementType type_;
  Workers workers_;
  bool has_pool_ = false;
  std::vector<Bytes> maps_, coded_;
  bool has_view_ = false;
  View view_;
  Bytes table_;
  Bytes options_, program_;
};

// What FuzzCase::options() is made of.
test::FlexMap OptionsOf(const FuzzCase& c);

}  // namespace fmtc::fuzz

#endif  // FMTC_FUZZ_FUZZ_CASE_H_
