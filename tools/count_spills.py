"""Counts spills in compiled kernels: loads and stores on the stack inside innermost loops, where registers ran out.

Usage:
  python tools/count_spills.py LIBRARY.a|OBJECT.o ... [--limits tools/spill_limits.json]

It disassembles the files with objdump and finds each function's loops: strongly connected parts of its control flow,
innermost where nothing stays connected without the part's entry. A spill is an access at a constant offset from the
stack pointer, or from the frame pointer where there is one; arrays that are indexed at run time are no spills. For each
object file and function, each instance of a template for itself, the table has the loop with most spills: how many
instructions it has, its loads and stores on the stack, and how many of these move vectors.

--limits names a JSON file with the most that a loop may have, by object file and function (0 for functions that it does
not name). A function above its limit ends the tool with exit code 4. Counts are a compiler's: build as what is released
is built (Release), with the compiler for which the limits were written by --write_limits. x86-64 and aarch64. Needs the
installed package and binutils. Other exit codes as those of fmtc-convert.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from absl import flags

from fmtc_tflite.cli import common
from fmtc_tflite.errors import UsageError, VerificationError
from fmtc_tflite.files import check_writable, write_all

FLAGS = flags.FLAGS
flags.DEFINE_string("limits", None, "JSON file with the most spills that a loop may have, by object file and function.")
flags.DEFINE_bool("write_limits", False, "Write that file with what is found, in the place of checking.")
flags.DEFINE_string("objdump", "objdump", "Disassembler, such as aarch64-linux-gnu-objdump.")
flags.DEFINE_string(
    "json", None, "File for the JSON document; - is stdout, in the place of the Markdown table.", short_name="o"
)
flags.DEFINE_bool("overwrite", False, "Replace an existing JSON file.")

_MOST_SHOWN = 5  # of what is wrong
_ARCHIVE = re.compile(r"^In archive (?:.*/)?(?:lib)?(.+)\.a:$")
_FORMAT = re.compile(r"(?:.*/)?(.+?):\s+file format elf64-(x86-64|littleaarch64)$")
_FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
_INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*?)\s*(?:# .*|// .*|<.*)?$")


class _Processor(NamedTuple):
    """What to look for in a processor's listing.

    Attributes:
      jump: mnemonics after which the next instruction is not reached.
      branch: mnemonics of direct jumps, conditional or not; the last hexadecimal operand is where they go.
      frame: an instruction that makes the frame pointer.
      access: operands at constant offsets from the stack pointer and, in the second one, from the frame pointer too.
      vector: operands that are vector registers.
    """

    jump: re.Pattern[str]
    branch: re.Pattern[str]
    frame: re.Pattern[str]
    access: tuple[re.Pattern[str], re.Pattern[str]]
    vector: re.Pattern[str]


_PROCESSORS = {
    "x86-64": _Processor(
        re.compile(r"jmp|ret|ud2"),
        re.compile(r"j\w+$"),
        re.compile(r"mov %rsp,%rbp"),
        (re.compile(r"\(%rsp\)"), re.compile(r"\(%r[sb]p\)")),
        re.compile(r"%[xyz]mm"),
    ),
    "littleaarch64": _Processor(
        re.compile(r"(b|br|ret|brk|udf)$"),
        re.compile(r"(b|b\.\w+|cbn?z|tbn?z)$"),
        re.compile(r"mov x29, sp"),
        (re.compile(r"\[sp(, #-?\d+)?\]"), re.compile(r"\[(sp|x29)(, #-?\d+)?\]")),
        re.compile(r"\b[qdv]\d"),
    ),
}


@dataclass(frozen=True)
class Instruction:
    """One line of a listing."""

    address: int
    mnemonic: str
    operands: str


@dataclass(frozen=True)
class Loop:
    """An innermost loop."""

    loads: int
    stores: int
    vectors: int
    instructions: int

    @property
    def spills(self) -> int:
        return self.loads + self.stores


@dataclass
class Function:
    """A function as listed: the name is demangled."""

    file: str
    name: str
    processor: _Processor
    instructions: list[Instruction]

    def loops(self) -> list[Loop]:
        """The innermost loops."""
        flow = self._flow()
        parts = _innermost(flow, set(range(len(flow))))
        has_frame = any(self.processor.frame.match(f"{i.mnemonic} {i.operands}") for i in self.instructions)
        return [self._loop([self.instructions[i] for i in part], has_frame) for part in parts]

    def _flow(self) -> list[list[int]]:
        """For each instruction those that may come next. Where an indirect jump goes is not known."""
        places = {instruction.address: i for i, instruction in enumerate(self.instructions)}
        flow: list[list[int]] = []
        for i, instruction in enumerate(self.instructions):
            following = [] if self.processor.jump.match(instruction.mnemonic) else [i + 1]
            if self.processor.branch.match(instruction.mnemonic):
                target = re.split(r"[\s,]+", instruction.operands)[-1]
                if re.fullmatch("[0-9a-f]+", target):
                    following.append(places.get(int(target, 16), len(self.instructions)))
            flow.append([each for each in following if each < len(self.instructions)])
        return flow

    def _loop(self, instructions: Sequence[Instruction], has_frame: bool) -> Loop:
        loads = stores = vectors = 0
        for each in instructions:
            access = self.processor.access[has_frame].search(each.operands)
            if access is None or each.mnemonic.startswith(("lea", "nop")):
                continue
            is_store, is_load = self._direction(each, each.operands[access.end() :])
            loads, stores = loads + is_load, stores + is_store
            vectors += (is_load + is_store) * bool(self.processor.vector.search(each.operands))
        return Loop(loads, stores, vectors, len(instructions))

    def _direction(self, instruction: Instruction, rest: str) -> tuple[bool, bool]:
        """Whether an access stores and loads; `rest` is what follows it. x86-64 has the destination last."""
        mnemonic = instruction.mnemonic
        if self.processor is _PROCESSORS["littleaarch64"]:
            return mnemonic.startswith("st"), not mnemonic.startswith("st")
        if "," in rest or mnemonic.startswith(("call", "cmp", "push", "test")):
            return False, True
        return True, "mov" not in mnemonic and not mnemonic.startswith(("set", "vext", "vpext"))


def _innermost(flow: list[list[int]], nodes: set[int]) -> Iterator[list[int]]:
    """The innermost loops among the nodes, each in ascending order."""
    for part in _connected(flow, nodes):
        if len(part) == 1 and part[0] not in flow[part[0]]:
            continue
        inside = set(part)
        outside = {to for i in range(len(flow)) if i not in inside for to in flow[i]}
        entry = next((i for i in part if i in outside), part[0])
        inner = list(_innermost(flow, inside - {entry}))
        yield from inner or [part]


def _connected(flow: list[list[int]], nodes: set[int]) -> list[list[int]]:
    """Strongly connected parts, by Tarjan's algorithm without recursion."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    parts = []
    for root in sorted(nodes):
        if root in order:
            continue
        work = [(root, iter(flow[root]))]
        while work:
            node, following = work[-1]
            if node not in order:
                order[node] = low[node] = len(order)
                stack.append(node)
                on_stack.add(node)
            for to in following:
                if to in nodes and to not in order:
                    work.append((to, iter(flow[to])))
                    break
                if to in on_stack:
                    low[node] = min(low[node], order[to])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    at = stack.index(node)
                    parts.append(sorted(stack[at:]))
                    on_stack.difference_update(stack[at:])
                    del stack[at:]
    return parts


def functions(listing: str) -> Iterator[Function]:
    """The functions of what objdump prints."""
    archive, file, processor, function = "", "", _PROCESSORS["x86-64"], None
    for line in listing.splitlines():
        if (found := _ARCHIVE.match(line)) is not None:
            archive = f"{found[1]}/"
        elif (found := _FORMAT.match(line)) is not None:
            file, processor = archive + found[1].removesuffix(".o"), _PROCESSORS[found[2]]
        elif (found := _FUNCTION.match(line)) is not None:
            if function is not None:
                yield function
            function = Function(file, found[1], processor, [])
        elif function is not None and (found := _INSTRUCTION.match(line)) is not None:
            function.instructions.append(Instruction(int(found[1], 16), found[2], found[3]))
    if function is not None:
        yield function


def short_name(name: str) -> str:
    """A demangled name without namespaces, parameters and what it returns; a lambda's is the function's around it."""
    name = re.sub(r" \[clone [^]]*\]", "", name.replace("(anonymous namespace)::", ""))
    while (shorter := re.sub(r"\([^()]*\)|\{[^{}]*\}", "", name)) != name:
        name = shorter
    name = name.replace("::::operator", "").strip(":")
    return re.sub(r"\w+::|^(auto|void) | const$", "", name)


@dataclass(frozen=True)
class Kernel:
    """A row of the table: the loop with most spills of the functions of one short name in a file."""

    file: str
    name: str
    worst: Loop


def kernels(listing: str) -> list[Kernel]:
    """All functions with loops, by file and name."""
    found: dict[tuple[str, str], list[Loop]] = {}
    for function in functions(listing):
        if loops := function.loops():
            found.setdefault((function.file, short_name(function.name)), []).extend(loops)
    return [Kernel(*key, max(loops, key=lambda loop: loop.spills)) for key, loops in sorted(found.items())]


def table(rows: Sequence[Kernel]) -> str:
    """Rows as a Markdown table."""
    lines = ["| file | function | instructions | loads | stores | of vectors |", "|---|---|" + "---|" * 4]
    for row in rows:
        loop = row.worst
        cells = (row.file, row.name, loop.instructions, loop.loads, loop.stores, loop.vectors)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _limits(path: Path) -> dict[str, dict[str, int]]:
    try:
        limits = json.loads(path.read_text())
    except (OSError, ValueError) as e:
        raise UsageError(f"{path}: {e}; expected JSON as --write_limits writes it") from e
    if not isinstance(limits, dict) or not all(
        isinstance(file, dict) and all(isinstance(count, int) for count in file.values()) for file in limits.values()
    ):
        raise UsageError(f'{path}: expected {{"file.cc": {{"function": spills}}}}, as --write_limits writes it')
    return limits


def check(rows: Sequence[Kernel], limits: dict[str, dict[str, int]], source: str) -> None:
    """Compares the limits with what was found.

    Raises:
      VerificationError: a loop above its limit, or a limit of a function that is not there.
    """
    found = {(row.file, row.name): row.worst.spills for row in rows}
    allowed = {(file, name): count for file, names in limits.items() for name, count in names.items()}
    faults = [
        f"{name} in {file} has {count} spills in a loop, at most {allowed.get((file, name), 0)} are allowed"
        for (file, name), count in found.items()
        if count > allowed.get((file, name), 0)
    ]
    faults += [f"{name} in {file} has a limit and no loop" for file, name in allowed if (file, name) not in found]
    if faults:
        shown = faults[:_MOST_SHOWN] + [f"and {len(faults) - _MOST_SHOWN} more"] * (len(faults) > _MOST_SHOWN)
        raise VerificationError(
            f"{'; '.join(shown)}. Keep fewer values alive in the loop, or write {source} anew with --write_limits"
        )


def _disassembled(paths: Sequence[str]) -> str:
    command = [FLAGS.objdump, "--disassemble", "--demangle", "--no-show-raw-insn", *paths]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as e:
        raise UsageError(f"{FLAGS.objdump}: {e.strerror}; install binutils, or name another with --objdump") from e
    if done.returncode != 0:
        raise UsageError(f"{FLAGS.objdump} failed: {done.stderr.strip() or done.returncode}")
    return done.stdout


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    if not arguments:
        raise UsageError("expected LIBRARY.a or OBJECT.o, once or more; see --help")
    if FLAGS.write_limits and FLAGS.limits is None:
        raise UsageError("--write_limits needs --limits FILE")
    json_file = common.json_file()
    if json_file is not None:
        check_writable([Path(json_file)], overwrite=FLAGS.overwrite)
    rows = kernels(_disassembled(arguments))
    if not rows:
        raise UsageError(f"{' '.join(arguments)}: no function with a loop in it; expected compiled kernels")
    document = {"kernels": [{"file": row.file, "function": row.name, **asdict(row.worst)} for row in rows]}
    if json_file is not None:
        write_all([(Path(json_file), json.dumps(document, indent=1).encode() + b"\n")], FLAGS.overwrite)
    common.show_document(document, lambda _: table(rows), [json_file])
    if FLAGS.write_limits:
        limits: dict[str, dict[str, int]] = {}
        for row in rows:
            if row.worst.spills:
                limits.setdefault(row.file, {})[row.name] = row.worst.spills
        write_all([(Path(FLAGS.limits), json.dumps(limits, indent=2).encode() + b"\n")], overwrite=True)
    elif FLAGS.limits is not None:
        check(rows, _limits(Path(FLAGS.limits)), FLAGS.limits)


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
