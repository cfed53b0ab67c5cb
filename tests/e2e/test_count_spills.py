"""tools/count_spills.py on listings with known loops, which a stand-in for objdump prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

X86 = """
In archive build/libkernels.a:

rows.cc.o:     file format elf64-x86-64


Disassembly of section .text:

0000000000000000 <void ns::(anonymous namespace)::Tile<ns::Rule<1>, 2>(ns::Row const&)::{lambda(int)#1}::operator()>:
   0:\tmov    %rdi,0x8(%rsp)
   5:\txor    %ecx,%ecx
   7:\tmov    0x8(%rsp),%rdi
   c:\tvpaddd 0x20(%rsp),%ymm0,%ymm1
  10:\tvmovdqa %ymm1,0x20(%rsp)
  14:\tlea    0x30(%rsp),%rax
  18:\tadd    (%rsp,%rax,8),%rdx
  1c:\taddq   $0x1,0x40(%rsp)
  20:\tcmp    0x48(%rsp),%rdx
  24:\tmov    0x10(%rbp),%rdx
  28:\tjae    40 <void ns::(anonymous namespace)::Tile<ns::Rule<1>, 2>(ns::Row const&)+0x40>
  2a:\tjmp    c <void ns::(anonymous namespace)::Tile<ns::Rule<1>, 2>(ns::Row const&)+0xc>
  30:\tmov    0x8(%rsp),%rdi
  35:\tmov    0x8(%rsp),%rdi
  3a:\tjb     7 <void ns::(anonymous namespace)::Tile<ns::Rule<1>, 2>(ns::Row const&)+0x7>
  3e:\tret
  40:\tje     30 <void ns::(anonymous namespace)::Tile<ns::Rule<1>, 2>(ns::Row const&)+0x30>
  44:\tmov    %rdx,0x50(%rsp)
  48:\tjmp    c <void ns::(anonymous namespace)::Tile<ns::Rule<1>, 2>(ns::Row const&)+0xc>

0000000000000050 <void ns::(anonymous namespace)::Tile<ns::Rule<2>, 2>(ns::Row const&) [clone .isra.0]>:
  50:\tdec    %ecx
  52:\tjne    50 <void ns::(anonymous namespace)::Tile<ns::Rule<2>, 2>(ns::Row const&) [clone .isra.0]>

0000000000000060 <ns::Framed(int)::{lambda(int)#1}::operator()<ns::Part<1> >(ns::Part<1>) const>:
  60:\tpush   %rbp
  61:\tmov    %rsp,%rbp
  64:\tvmovdqu8 %zmm0,-0x40(%rbp){%k1}
  6a:\tdec    %ecx
  6c:\tjne    64 <ns::Framed(int)+0x4>
  6e:\tret

0000000000000070 <ns::Straight(int)>:
  70:\tmov    0x8(%rsp),%rax
  75:\tret
"""
AARCH64 = """
rows.cc.o:     file format elf64-littleaarch64

0000000000000000 <ns::Tile(int)>:
   0:\tstp\tx29, x30, [sp, #-32]!
   4:\tmov\tx29, sp
   8:\tldr\tq0, [sp, #16]
   c:\tldr\tx1, [x29, #24]
  10:\tstr\tq0, [sp]
  14:\tldr\tw2, [sp, x3, lsl #2]
  18:\tsubs\tw3, w3, #0x1
  1c:\tb.ne\t8 <ns::Tile(int)+0x8>  // b.any
  20:\tret
"""


@pytest.fixture
def count(repository: Path, tmp_path: Path):
    """Runs the tool on a listing."""

    def run(listing: str, *flags: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "listing").write_text(listing)
        objdump = tmp_path / "objdump"
        objdump.write_text(f"#!/bin/sh\ncat {tmp_path}/listing\n")
        objdump.chmod(0o755)
        command = [sys.executable, repository / "tools" / "count_spills.py", "libkernels.a", f"--objdump={objdump}"]
        return subprocess.run([*command, *flags], capture_output=True, text=True, check=False)

    return run


def test_loops_and_limits(count) -> None:
    done = count(X86, "--json", "spills.json", "--limits", "limits.json", "--write_limits")
    assert done.returncode == 0, done.stderr
    counted = {"file": "kernels/rows.cc", "loads": 3, "stores": 3, "vectors": 2, "instructions": 12}
    framed = {"file": "kernels/rows.cc", "loads": 0, "stores": 1, "vectors": 1, "instructions": 3}
    other = {"function": "Tile<Rule<2>, 2>", "file": "kernels/rows.cc", "loads": 0, "stores": 0, "vectors": 0}
    other["instructions"] = 2
    document = json.loads(Path("spills.json").read_text())
    assert document == {
        "kernels": [{"function": "Framed<Part<1> >", **framed}, {"function": "Tile<Rule<1>, 2>", **counted}, other]
    }
    assert "| kernels/rows.cc | Tile<Rule<1>, 2> | 12 | 3 | 3 | 2 |" in done.stdout.splitlines()

    limits = json.loads(Path("limits.json").read_text())
    assert limits == {"kernels/rows.cc": {"Framed<Part<1> >": 1, "Tile<Rule<1>, 2>": 6}}
    assert count(X86, "--limits", "limits.json").returncode == 0
    limits["kernels/rows.cc"] = {"Tile<Rule<1>, 2>": 5, "Gone": 1}
    Path("limits.json").write_text(json.dumps(limits))
    done = count(X86, "--limits", "limits.json")
    assert done.returncode == 4
    for fault in (
        "Tile<Rule<1>, 2> in kernels/rows.cc has 6 spills",
        "Framed<Part<1> > in kernels/rows.cc has 1 spills",
        "Gone in kernels",
    ):
        assert fault in done.stderr


def test_aarch64(count) -> None:
    done = count(AARCH64)
    assert done.returncode == 0, done.stderr
    assert "| rows.cc | Tile | 6 | 2 | 1 | 2 |" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("limits", "flags", "complaint"),
    [
        ("[]", ["--limits", "l"], 'expected {"file.cc"'),
        ("no JSON", ["--limits", "l"], "expected JSON"),
        ("{}", ["--limits", "absent"], "absent"),
        ("{}", ["--write_limits"], "needs --limits"),
        ("{}", ["--objdump", "absent"], "install binutils"),
        ("{}", ["--objdump", "false"], "false failed"),
        ("{}", ["--objdump", "true"], "no function with a loop"),
    ],
)
def test_bad_input(count, limits: str, flags: list[str], complaint: str) -> None:
    Path("l").write_text(limits)
    done = count(X86, *flags)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr
