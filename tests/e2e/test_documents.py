"""What README.md and docs/ tell a user to type works, on the demo model, and prints what they show."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import documents
from documents import Block, Folder

BLOCKS = documents.blocks()
# A block runs in a folder of its own; Python blocks of a page build on one another.
NEEDS = {"--beam": "apache_beam", "--plots": "matplotlib"}
SHELL = [
    pytest.param(b, marks=[pytest.mark.extras] if any(flag in b.text for flag in NEEDS) else [])
    for b in BLOCKS
    if b.is_program and b.language == "sh"
]
PYTHON = sorted({b.page for b in BLOCKS if b.is_program and b.language == "python"})
SHOWN = [b for b in BLOCKS if b.kind == "shows"]
# Flags of other programs: TFLite's tools, Apache Beam, CMake, CTest, pip, pkg-config, codec_bench.
FOREIGN_FLAGS = {
    *("--external_delegate_path", "--runner", "--direct_running_mode", "--direct_num_workers", "--flink_master"),
    *("--dask_client_address", "--dask_npartitions", "--dask_partition_size", "--hostfile", "--nthreads", "--nworkers"),
    *("--host", "--scheduler-port", "--master", "--hdfs_host", "--hdfs_port", "--hdfs_user"),
    *("--spark_master_url", "--parallelism", "--environment_type", "--environment_config", "--temp_location"),
    *("--project", "--region", "--sdk_container_image", "--requirements_file", "--build", "--test-dir", "--verbose"),
    *("--no-deps", "--help", "--raw", "--network", "--target", "--only", "--install", "--prefix", "--cflags", "--libs"),
    "--accelerator-config",
}
TOOLS = (
    "fmtc-convert",
    "fmtc-eval",
    "fmtc-profile",
    *(f"tools/{t}.py" for t in ("rate_accuracy", "bench_latency", "bench_memory", "bench_regions")),
    *(f"tools/{t}.py" for t in ("micro_arena", "micro_library")),
    *(f"tools/{t}.py" for t in ("count_spills", "dump_maps")),
)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model converted as in the README's first conversion, and coded without loss, in a folder."""
    folder = Folder(tmp_path_factory.mktemp("converted"), Path(), "README.md")
    for flags in ("", "--execution ops --output coded.tflite"):
        result = folder.run(f"fmtc-convert model.tflite {flags}")
        assert result.returncode == 0, result.stdout + result.stderr
    return folder.path


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_shell(block: Block, converted: Path, tmp_path: Path) -> None:
    for flag, package in NEEDS.items():
        if flag in block.text:
            pytest.importorskip(package)
    folder = Folder(tmp_path, converted, block.page)
    for command in block.commands:
        result = folder.run(command)
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
        # What the command says that it writes is there; a folder of pictures is made by the user.
        for name in re.findall(r"--(?:json|csv|html|output|report) (\S+\.\w+)", command):
            assert (tmp_path / name).stat().st_size > 0, f"{command}: no {name}"


@pytest.mark.parametrize("page", PYTHON)
def test_python(page: str, converted: Path, tmp_path: Path) -> None:
    program = "\n".join(b.text for b in BLOCKS if b.page == page and b.is_program and b.language == "python")
    folder = Folder(tmp_path, converted, page)
    folder.provide(program)
    (tmp_path / "program.py").write_text(program)
    result = folder.run(f"{sys.executable} program.py")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("block", SHOWN, ids=str)
def test_what_a_command_shows(block: Block, converted: Path, tmp_path: Path) -> None:
    folder = Folder(tmp_path, converted, block.page)
    result = folder.run(block.value)
    assert "Traceback" not in result.stderr or "python -c" in block.value
    assert (result.returncode != 0) == ("rror: " in block.text), result.stderr
    expected = ".*".join(re.escape(" ".join(part.split())) for part in block.text.split("..."))
    seen = " ".join((result.stdout + result.stderr).split())
    assert re.search(expected, seen), f"{block.value} shows: {seen}"


def test_every_comment_before_a_block_is_understood() -> None:
    """A misspelt marker would run, or skip, what it should not; a program that is not run says why."""
    for page in documents.PAGES:
        markers = re.findall(r"^<!-- (.*?) -->$", page.read_text(), re.M)
        assert len(markers) == sum(b.kind != "" for b in BLOCKS if documents.ROOT / b.page == page), page
    assert [str(b) for b in BLOCKS if b.kind == "not run" and len(b.value) < 10] == []
    assert [str(b) for b in BLOCKS if b.kind == "shows" and b.language != "text"] == []


def test_every_flag_exists(tmp_path: Path) -> None:
    help_of = "; ".join(f"{sys.executable + ' ' if '/' in tool else ''}{tool} --help" for tool in TOOLS)
    known = Folder(tmp_path, Path(), "README.md").run(help_of).stdout
    # Their help needs TensorFlow or Apache Beam; what they define does not.
    extras = [*(documents.ROOT / "examples").glob("*.py"), documents.ROOT / "tools" / "bench_scale_out.py"]
    sources = "".join(path.read_text() for path in extras)
    known += " ".join(f"--{name}" for name in re.findall(r'DEFINE_\w+\(\s*"(\w+)"', sources))
    known += "".join(
        (documents.ROOT / path).read_text() for path in ("custom_ops/fuzz/driver.cc", "tools/without_avx512.py")
    )
    missing = []
    for page in documents.PAGES:
        named = set(re.findall(r"(?<![\w-])--[a-z_]+(?:-[a-z_]+)*(?![\w-])", page.read_text())) - FOREIGN_FLAGS
        missing += [f"{page.name}: {flag}" for flag in named if not re.search(rf"--(\[no\])?{flag[2:]}\b", known)]
    assert missing == []


def test_links_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in documents.PAGES
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_ci_runs_the_two_first_commands(repository: Path) -> None:
    script = repository / ".ci" / "run"
    if not script.exists():
        pytest.skip("no CI script beside the tests (it is not in the sdist)")
    first_two = [b.text.strip() for b in BLOCKS if b.page == "README.md" and b.language == "sh"][:2]
    assert all("pip install" in command for command in first_two)
    assert [command for command in first_two if f'readme_command "{command}"' not in script.read_text()] == []
