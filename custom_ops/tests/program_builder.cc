#include "tests/program_builder.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "region/kind.h"

namespace fmtc::test {

using region::Kind;
using region::OpRecord;
using region::OpView;
using region::Range;
using region::TensorRecord;
using region::Window;

namespace {

bool ReadsTensor(const OpView& op, uint16_t tensor) {
  const uint16_t* inputs = op.program->At<uint16_t>(op.op->inputs_offset);
  return std::find(inputs, inputs + op.op->inputs, tensor) != inputs + op.op->inputs;
}

// Before what a pass leaves: so much further up may lie what the next one leaves.
constexpr uint32_t kSpareRows = 4;

size_t AllColumns(const TensorRecord& t) { return size_t{t.left} + t.width + t.right; }

}  // namespace

uint16_t ProgramBuilder::AddTensor(uint8_t place, uint8_t type, uint32_t height, uint32_t width, uint32_t channels) {
  TensorRecord t{};
  t.place = place;
  t.type = type;
  if (place == region::kInput) t.number = num_inputs_++;
  if (place == region::kOutput) t.number = num_outputs_++;
  t.height = height;
  t.width = width;
  t.channels = channels;
  t.depth = height;
  t.pixel_bytes = channels * region::ElementBytes(type);
  t.row_bytes = t.pixel_bytes * width;
  tensors_.push_back(t);
  return static_cast<uint16_t>(tensors_.size() - 1);
}

uint32_t ProgramBuilder::AddArray(const void* data, size_t bytes, uint32_t alignment) {
  content_.resize(RoundUp(content_.size(), alignment));
  const size_t offset = content_.size();
  content_.resize(offset + bytes);
  if (bytes > 0) std::memcpy(content_.data() + offset, data, bytes);
  return static_cast<uint32_t>(offset);
}

void ProgramBuilder::AddOpRecord(uint8_t kind, uint8_t rule, const std::vector<uint16_t>& inputs, uint16_t output,
                                 uint32_t parameters, uint32_t parameter_bytes, size_t memory_bytes) {
  OpRecord op{};
  op.kind = kind;
  op.rule = rule;
  op.inputs = static_cast<uint16_t>(inputs.size());
  op.output = output;
  op.inputs_offset = AddArray(inputs.data(), inputs.size() * sizeof(uint16_t));
  op.parameters_offset = parameters;
  op.parameter_bytes = parameter_bytes;
  op.memory_bytes = static_cast<uint32_t>(RoundUp(memory_bytes, 16));
  ops_.push_back(op);
}

region::Program ProgramBuilder::View() const {
  region::Program program{};
  program.bytes = content_.data();
  program.tensors = tensors_.data();
  program.ops = ops_.data();
  return program;
}

bool ProgramBuilder::IsInOnePass(uint16_t tensor) const {
  const region::Program program = View();
  size_t first = ops_.size(), last = 0;
  for (size_t i = 0; i < ops_.size(); ++i) {
    if (ops_[i].output != tensor && !ReadsTensor({&program, &ops_[i]}, tensor)) continue;
    first = std::min(first, i);
    last = i;
  }
  return std::none_of(pass_ends_.begin(), pass_ends_.end(), [=](size_t end) { return first < end && end <= last; });
}

bool ProgramBuilder::IsReadBehind(uint16_t tensor, size_t ops) const {
  const region::Program program = View();
  return std::any_of(ops_.begin() + static_cast<ptrdiff_t>(ops), ops_.end(), [&](const OpRecord& op) {
    return ReadsTensor({&program, &op}, tensor);
  });
}

void ProgramBuilder::MakeRing(uint16_t tensor) {
  if (!IsInOnePass(tensor)) return;
  const region::Program program = View();
  int32_t depth = 0, readers = 0;
  for (const OpRecord& record : ops_) {
    const OpView op{&program, &record};
    if (!ReadsTensor(op, tensor)) continue;
    ++readers;
    const Kind& kind = *region::FindKind(record.kind);
    int32_t written = 0;
    for (int32_t step = 0; step < region::NumSteps(op, kind); ++step) {
      int32_t first = INT32_MAX;
      for (int operand = 0; operand < record.inputs; ++operand) {
        if (&op.input(operand) != &tensors_[tensor]) continue;
        const Range rows = kind.rows(op, operand, step);
        first = std::min(first, rows.first);
        written = std::max(written, rows.end);
      }
      depth = std::max(depth, written - first);
    }
  }
  if (readers != 1) return;
  // Two of three have memory between their rows, which could be another ring's.
  TensorRecord& t = tensors_[tensor];
  t.between = depth == 1 ? 0 : tensor % 3;
  t.depth = static_cast<uint32_t>(depth - 1) * region::PitchOf(t) + 1;
}

// Every tensor in scratch gets memory of its own, and every op; rows are no longer than the strips need.
void ProgramBuilder::Place(uint32_t strips) {
  std::vector<size_t> columns(tensors_.size());
  for (size_t i = 0; i < tensors_.size(); ++i) {
    columns[i] = tensors_[i].windowed && strips > 1 ? 1 : AllColumns(tensors_[i]);
  }
  for (uint32_t strip = 0; strip < strips; ++strip) {
    const std::vector<Window> windows = WindowsOf(strip, strips);
    for (size_t i = 0; i < ops_.size(); ++i) {
      const TensorRecord& t = tensors_[ops_[i].output];
      size_t own = size_t{windows[i].end} - windows[i].first;
      if (windows[i].first == 0) own += t.left;
      if (windows[i].end == t.width) own += t.right;
      columns[ops_[i].output] = std::max(columns[ops_[i].output], own);
    }
  }
  size_t end = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    TensorRecord& t = tensors_[i];
    if (t.place != region::kScratch) continue;
    MakeRing(static_cast<uint16_t>(i));
    t.row_bytes = static_cast<uint32_t>(RoundUp(columns[i] * t.pixel_bytes, 16));
    if (!IsInOnePass(static_cast<uint16_t>(i))) end += size_t{kSpareRows} * t.row_bytes;
    t.offset = static_cast<uint32_t>(end);
    end += size_t{t.depth} * t.row_bytes;
  }
  for (OpRecord& op : ops_) {
    op.memory_offset = static_cast<uint32_t>(end);
    end += op.memory_bytes;
  }
  scratch_bytes_ = static_cast<uint32_t>(RoundUp(end, 64));
}

// Columns of each op's output that columns of the outputs need, strip number `strip` of `strips`.
std::vector<Window> ProgramBuilder::WindowsOf(uint32_t strip, uint32_t strips) const {
  const region::Program program = View();
  std::vector<Range> needed(tensors_.size(), Range{INT32_MAX, 0});
  std::vector<Window> windows(ops_.size());
  for (size_t i = ops_.size(); i-- > 0;) {
    const OpView op{&program, &ops_[i]};
    Range columns = needed[op.op->output];
    if (op.output().place == region::kOutput) {
      const uint32_t width = op.output().width;
      columns = {static_cast<int32_t>(width * strip / strips), static_cast<int32_t>(width * (strip + 1) / strips)};
    }
    windows[i] = {static_cast<uint16_t>(columns.first), static_cast<uint16_t>(columns.end)};
    for (int operand = 0; operand < op.op->inputs; ++operand) {
      const TensorRecord& input = op.input(operand);
      const Range read = region::FindKind(op.op->kind)->columns(op, operand, columns);
      Range& all = needed[static_cast<size_t>(&input - tensors_.data())];
      all.first = std::min(all.first, std::max(read.first, 0));
      all.end = std::max(all.end, std::min(read.end, static_cast<int32_t>(input.width)));
    }
  }
  return windows;
}

// Every op takes a step when another one of its pass needs the row.
std::vector<std::vector<uint16_t>> ProgramBuilder::StepsOf() const {
  const region::Program program = View();
  std::vector<int32_t> next(ops_.size()), written(tensors_.size());
  std::vector<size_t> writer(tensors_.size(), ops_.size());
  for (size_t i = 0; i < ops_.size(); ++i) writer[ops_[i].output] = i;
  std::vector<std::vector<uint16_t>> steps;
  const std::function<void(size_t)> take = [&](size_t i) {
    const OpView op{&program, &ops_[i]};
    const Kind& kind = *region::FindKind(op.op->kind);
    for (int operand = 0; operand < op.op->inputs; ++operand) {
      const TensorRecord& input = op.input(operand);
      if (input.place == region::kInput) continue;
      const size_t tensor = static_cast<size_t>(&input - tensors_.data());
      while (written[tensor] < kind.rows(op, operand, next[i]).end) take(writer[tensor]);
    }
    steps.back().push_back(static_cast<uint16_t>(i));
    ++next[i];
    if (!kind.accumulates(op) || next[i] == region::NumSteps(op, kind)) ++written[op.op->output];
  };
  size_t first = 0;
  for (const size_t end : pass_ends_) {
    steps.emplace_back();
    for (size_t i = end; i-- > first;) {
      const OpView op{&program, &ops_[i]};
      while (next[i] < region::NumSteps(op, *region::FindKind(op.op->kind))) take(i);
    }
    first = end;
  }
  return steps;
}

// Whether the steps of a pass read no row of a tensor that one of them has written over, or is about to.
bool ProgramBuilder::Spares(const std::vector<uint16_t>& steps, uint16_t read, uint16_t written) const {
  const region::Program program = View();
  const TensorRecord &from = tensors_[read], &to = tensors_[written];
  std::vector<int32_t> next(ops_.size());
  uint64_t end = 0;  // of what has been written: rows follow one another, from the offset on
  for (const uint16_t index : steps) {
    const OpView op{&program, &ops_[index]};
    const Kind& kind = *region::FindKind(op.op->kind);
    const int32_t step = next[index]++;
    if (op.op->output == written) end = to.offset + (static_cast<uint64_t>(step) + 1) * to.row_bytes;
    for (int operand = 0; operand < op.op->inputs; ++operand) {
      if (&op.input(operand) != &from) continue;
      if (end > from.offset + static_cast<uint64_t>(kind.rows(op, operand, step).first) * from.row_bytes) return false;
    }
  }
  return true;
}

// Moves what a pass leaves over what it reads of the one before, where that is all that lies there by then.
void ProgramBuilder::Overlay(const std::vector<std::vector<uint16_t>>& steps) {
  for (size_t pass = 1; pass + 1 < steps.size(); ++pass) {
    const uint16_t read = ops_[pass_ends_[pass - 1] - 1].output, written = ops_[pass_ends_[pass] - 1].output;
    TensorRecord& to = tensors_[written];
    if (tensors_[read].place != region::kScratch || to.place != region::kScratch) continue;
    if (IsInOnePass(read) || IsInOnePass(written) || IsReadBehind(read, pass_ends_[pass])) continue;
    if (size_t{to.depth} * to.row_bytes > size_t{tensors_[read].depth} * tensors_[read].row_bytes) continue;
    const uint32_t own = to.offset, least = tensors_[read].offset - kSpareRows * tensors_[read].row_bytes;
    to.offset = tensors_[read].offset;
    while (to.offset > least && !Spares(steps[pass], read, written)) to.offset -= 16;
    if (!Spares(steps[pass], read, written)) to.offset = own;
  }
}

ProgramBytes ProgramBuilder::Finish(uint32_t strips, bool windowed) {
  content_.resize(RoundUp(content_.size(), 4));
  for (const TensorRecord& t : tensors_) {
    if (t.place == region::kOutput) strips = std::min(strips, t.width);
  }
  if (strips > 1) pass_ends_.clear();
  EndPass();
  for (TensorRecord& t : tensors_) {
    if (t.place == region::kScratch && windowed && pass_ends_.size() == 1) t.windowed = 1;
  }
  Place(strips);
  const std::vector<std::vector<uint16_t>> steps = StepsOf();
  Overlay(steps);
  std::vector<uint16_t> all_steps;
  std::vector<region::PassRecord> passes;
  for (uint32_t strip = 0; strip < strips; ++strip) {
    const std::vector<Window> windows = WindowsOf(strip, strips);
    const uint32_t offset = AddArray(windows.data(), windows.size() * sizeof(Window));
    for (size_t pass = 0; pass < steps.size(); ++pass) {
      const size_t first = pass == 0 ? 0 : pass_ends_[pass - 1];
      passes.push_back({static_cast<uint16_t>(first), static_cast<uint16_t>(pass_ends_[pass] - first),
                        static_cast<uint32_t>(all_steps.size()), static_cast<uint32_t>(steps[pass].size()),
                        strips == 1 ? 0 : offset});
      all_steps.insert(all_steps.end(), steps[pass].begin(), steps[pass].end());
    }
  }
  region::Header header{};
  header.magic = region::kMagic;
  header.version = region::kVersion;
  header.tensors = static_cast<uint16_t>(tensors_.size());
  header.ops = static_cast<uint16_t>(ops_.size());
  header.passes = static_cast<uint16_t>(passes.size());
  header.inputs = num_inputs_;
  header.outputs = num_outputs_;
  header.scratch_bytes = scratch_bytes_;
  header.tensors_offset = AddArray(tensors_.data(), tensors_.size() * sizeof(TensorRecord));
  header.ops_offset = AddArray(ops_.data(), ops_.size() * sizeof(OpRecord));
  header.passes_offset = AddArray(passes.data(), passes.size() * sizeof(region::PassRecord));
  header.steps_offset = AddArray(all_steps.data(), all_steps.size() * sizeof(uint16_t));
  header.steps = static_cast<uint32_t>(all_steps.size());
  content_.resize(RoundUp(content_.size(), region::kProgramAlignment));
  header.bytes = static_cast<uint32_t>(content_.size());
  std::memcpy(content_.data(), &header, sizeof(header));
  RepairChecksum(&content_);
  return content_;
}

AlignedProgram::AlignedProgram(const ProgramBytes& bytes) : size_(bytes.size()) {
  // malloc aligns enough, and AddressSanitizer sees what is read behind so exact a block.
  static_assert(alignof(std::max_align_t) >= region::kProgramAlignment);
  memory_ = static_cast<uint8_t*>(std::malloc(size_ > 0 ? size_ : 1));
  if (size_ > 0) std::memcpy(memory_, bytes.data(), size_);
}

}  // namespace fmtc::test
