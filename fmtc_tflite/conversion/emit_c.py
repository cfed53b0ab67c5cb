"""A whole model as C source for a microcontroller without an interpreter: its program, and all that runs it."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fmtc_tflite.errors import RuntimeLibraryError, UnsupportedModelError
from fmtc_tflite.graph.convertible import check_rewritable, check_shapes_known
from fmtc_tflite.graph.edits.moved_means import means_without_moves
from fmtc_tflite.graph.model import Op, Subgraph
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.regions.bare import BARE_KERNELS, bare_builder
from fmtc_tflite.regions.candidates import Group, find_candidates, whole_group
from fmtc_tflite.regions.micro import plan_scratch
from fmtc_tflite.regions.ops import OpBuilder
from fmtc_tflite.regions.planner import RegionPlanner, write_program
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.program_format import INPUT, OUTPUT

_BYTES_A_LINE = 24


@dataclass(frozen=True)
class BareProgram:
    """A whole model as one region.

    Attributes:
      name: of C identifiers.
      scratch_bytes: memory that running it takes, beside its inputs and outputs, or beside one row of its input.
      takes_rows: whether its input can be pushed row by row.
    """

    name: str
    program: Program
    scratch_bytes: int
    takes_rows: bool

    @property
    def input_bytes(self) -> int:
        """Of all inputs, which are in memory where rows are not pushed."""
        return sum(t.height * t.row_bytes for t in self.program.tensors if t.place == INPUT)

    @property
    def row_bytes(self) -> int:
        """Of a row of the first input."""
        return next(t.row_bytes for t in self.program.tensors if t.place == INPUT)

    def report(self) -> dict[str, object]:
        """For the report: bytes of memory that a run takes, and of constants."""
        return {
            "scratch_bytes": self.scratch_bytes,
            "peak_bytes": self.scratch_bytes + self.input_bytes,
            "peak_bytes_by_rows": self.scratch_bytes + self.row_bytes if self.takes_rows else None,
            "program_bytes": len(self.program.content),
        }


def bare_program(content: bytes, name: str) -> BareProgram:
    """Plans a model as one region, in whole rows, for the least scratch memory.

    Raises:
      UnsupportedModelError: an op that the executor for microcontrollers lacks, or ops that are not connected.
    """
    model = load_model(content)
    check_rewritable(model)
    check_shapes_known(model)
    means_without_moves(model.subgraphs[0])
    group = _whole(model.subgraphs[0], bare_builder())
    plan = RegionPlanner(group.region).plan()
    program = write_program(plan, BARE_KERNELS.number)
    identifier = re.sub(r"\W", "_", name)
    identifier = "model_" * (not identifier[:1].isalpha()) + identifier
    return BareProgram(identifier, program, plan_scratch(plan, program.scratch_bytes), _takes_rows(program))


def _whole(subgraph: Subgraph, build: OpBuilder) -> Group:
    group = whole_group(subgraph, build)
    if group is not None:
        return group
    left_out = find_candidates(subgraph, build).left_out
    reasons = [_named(subgraph, op, reason) for op, reason in left_out.items()]
    why = "; ".join(reasons) or "its ops are not one connected group"
    raise UnsupportedModelError(f"--emit_c wants a model that microcontrollers run without an interpreter: {why}")


def _named(subgraph: Subgraph, op: Op, reason: str) -> str:
    return f"op {subgraph.ops.index(op)} ({op.opcode}): {reason}"


def _takes_rows(program: Program) -> bool:
    """Whether all ops that read the only input do so in one pass: then they read its rows in turn."""
    inputs = {number for number, t in enumerate(program.tensors) if t.place == INPUT}
    readers = [number for number, op in enumerate(program.ops) if inputs & set(op.inputs)]
    passes = [part for part in program.passes for op in readers if part.first_op <= op < part.first_op + part.op_count]
    return len(inputs) == 1 and len({id(part) for part in passes}) == 1


def source_files(bare: BareProgram) -> dict[str, bytes]:
    """The files of a folder that builds by itself, by their names in it.

    Raises:
      RuntimeLibraryError: the installed package lacks the executor's sources.
    """
    texts = {f"{bare.name}.h": _header(bare), f"{bare.name}.cc": "".join(_array(bare)), "main.cc": _main(bare)}
    texts["CMakeLists.txt"] = _cmake(bare)
    return {name: text.encode() for name, text in texts.items()} | dict(_executor())


def _executor() -> Iterator[tuple[str, bytes]]:
    folder = Path(str(importlib.resources.files("fmtc_tflite") / "_native" / "micro"))
    if not folder.is_dir():
        raise RuntimeLibraryError(
            f"{folder} is missing, expected the executor's sources; reinstall with 'pip install .'"
        )
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield f"fmtc/{path.relative_to(folder).as_posix()}", path.read_bytes()


def _header(bare: BareProgram) -> str:
    upper, constants = bare.name.upper(), {"PROGRAM_BYTES": len(bare.program.content)}
    constants["SCRATCH_BYTES"] = bare.scratch_bytes
    for tensor in bare.program.tensors:
        if tensor.place in (INPUT, OUTPUT):
            kind = "INPUT" if tensor.place == INPUT else "OUTPUT"
            constants[f"{kind}_{tensor.index}_BYTES"] = tensor.height * tensor.row_bytes
    if bare.takes_rows:
        first = next(t for t in bare.program.tensors if t.place == INPUT)
        constants |= {"ROWS": first.height, "ROW_BYTES": first.row_bytes}
    lines = "".join(f"#define {upper}_{name} {value}\n" for name, value in constants.items())
    return (
        f"/* A network's program, and the memory that it needs. Generated by fmtc-convert --emit_c. */\n"
        f'#ifndef {upper}_H_\n#define {upper}_H_\n\n#include "micro/fmtc_region.h"\n\n{lines}\n'
        f"extern const uint8_t {bare.name}_program[{upper}_PROGRAM_BYTES];\n\n#endif\n"
    )


def _array(bare: BareProgram) -> Iterator[str]:
    content, upper = bare.program.content, bare.name.upper()
    yield f'#include "{bare.name}.h"\n\n'
    yield f"extern const uint8_t {bare.name}_program[{upper}_PROGRAM_BYTES] FMTC_REGION_ALIGNED = {{\n"
    for start in range(0, len(content), _BYTES_A_LINE):
        yield "  " + "".join(f"{byte}," for byte in content[start : start + _BYTES_A_LINE]) + "\n"
    yield "};\n"


def _main(bare: BareProgram) -> str:
    name, upper = bare.name, bare.name.upper()
    outputs = [t.index for t in bare.program.tensors if t.place == OUTPUT]
    inputs = [t.index for t in bare.program.tensors if t.place == INPUT]
    lines = [f'#include "{name}.h"', "", f"static uint8_t scratch[{upper}_SCRATCH_BYTES] FMTC_REGION_ALIGNED;"]
    lines += [f"static uint8_t output_{i}[{upper}_OUTPUT_{i}_BYTES];" for i in outputs]
    if bare.takes_rows:
        lines.append(f"static uint8_t row[{upper}_ROW_BYTES];  // what a camera delivers, of the input's element type")
    else:
        lines += [f"static uint8_t input_{i}[{upper}_INPUT_{i}_BYTES];" for i in inputs]
    lines += ["", "int main() {", "  fmtc_region_runner runner;"]
    lines.append(f"  void* const outputs[] = {{{', '.join(f'output_{i}' for i in outputs)}}};")
    init = f"fmtc_region_init(&runner, {name}_program, {upper}_PROGRAM_BYTES, scratch, sizeof(scratch))"
    lines.append(f"  int32_t status = {init};")
    if bare.takes_rows:
        lines.append("  if (status == FMTC_REGION_OK) status = fmtc_region_begin(&runner, outputs);")
        lines.append(f"  for (int y = 0; status == FMTC_REGION_OK && y < {upper}_ROWS; ++y) {{")
        lines += ["    status = fmtc_region_push_row(&runner, row);", "  }"]
    else:
        lines.append(f"  const void* const inputs[] = {{{', '.join(f'input_{i}' for i in inputs)}}};")
        lines.append("  if (status == FMTC_REGION_OK) status = fmtc_region_invoke(&runner, inputs, outputs);")
    return "\n".join([*lines, "  return status;", "}", ""])


def _cmake(bare: BareProgram) -> str:
    kinds = sum(1 << kind for kind in {op.kind for op in bare.program.ops})
    return f"""# cmake -S . -B build -DCMAKE_TOOLCHAIN_FILE=fmtc/cmake/arm-none-eabi.cmake -DFMTC_BOARD=mps2_an386
# cmake --build build && qemu-system-arm -M mps2-an386 -nographic -semihosting -kernel build/{bare.name}
cmake_minimum_required(VERSION 3.18)
project({bare.name} LANGUAGES CXX)
set(CMAKE_CXX_STANDARD 17)
set(FMTC_BOARD "" CACHE STRING "Of fmtc/bare_metal: start-up and memory of an emulated board; empty: your own")
add_compile_options(-O2 -fno-exceptions -fno-rtti -ffp-contract=off -ffunction-sections -fdata-sections)

# Only the kinds of ops that the program has.
file(GLOB sources CONFIGURE_DEPENDS fmtc/base/*.cc fmtc/region/*.cc fmtc/micro/*.cc)
add_library(fmtc_region STATIC ${{sources}})
target_include_directories(fmtc_region PUBLIC fmtc)
target_compile_definitions(fmtc_region PRIVATE FMTC_SMALL FMTC_MICRO FMTC_MICRO_KINDS={kinds:#x}ull)

add_executable({bare.name} main.cc {bare.name}.cc)
target_link_libraries({bare.name} PRIVATE fmtc_region)
if(FMTC_BOARD)
  target_sources({bare.name} PRIVATE fmtc/bare_metal/board.cc)
  target_link_options({bare.name} PRIVATE -nostartfiles --specs=nano.specs -Wl,--gc-sections
    -T${{CMAKE_CURRENT_SOURCE_DIR}}/fmtc/bare_metal/${{FMTC_BOARD}}.ld)
endif()
"""
