"""What happens to an output of every kind, and what is said of it."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fmtc_tflite import files
from fmtc_tflite.errors import FmtcError, OutputExistsError, UsageError
from fmtc_tflite.files import account, check_writable, in_folder, keep, keeps, write_all, written


@pytest.fixture(autouse=True)
def _nothing_written_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_published", {})
    monkeypatch.setattr(files, "_kept", {})


def write(name: str, data: bytes = b"new", overwrite: bool = False) -> None:
    write_all([(Path(name), data)], overwrite)


def refused(name: str, text: str, kind: type[FmtcError] = UsageError) -> None:
    """Both before the work and after it, with --overwrite as well as without."""
    for overwrite in (False, True) if kind is UsageError else (False,):
        with pytest.raises(kind, match=text):
            check_writable([Path(name)], overwrite)
        with pytest.raises(kind, match=text):
            write(name, overwrite=overwrite)


def no_remains() -> bool:
    return not [path for path in Path().rglob("*") if files.is_temporary(path.name)]


def test_new_files_and_replaced_ones() -> None:
    write("a")
    assert Path("a").read_bytes() == b"new"
    assert stat.S_IMODE(Path("a").stat().st_mode) == 0o666 & ~umask()
    refused("a", "a exists; pass --overwrite", OutputExistsError)
    Path("a").chmod(0o640)
    write("a", b"newer", overwrite=True)
    assert Path("a").read_bytes() == b"newer"
    assert stat.S_IMODE(Path("a").stat().st_mode) == 0o640
    assert no_remains()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_link_to_a_file_is_followed_and_stays() -> None:
    Path("folder").mkdir()
    Path("folder/a").write_bytes(b"old")
    Path("folder/a").chmod(0o600)
    Path("link").symlink_to("chain")
    Path("chain").symlink_to("folder/a")
    refused("link", "exists", OutputExistsError)
    write("link", overwrite=True)
    assert Path("link").is_symlink()
    assert not Path("folder/a").is_symlink()
    assert Path("folder/a").read_bytes() == b"new"
    assert stat.S_IMODE(Path("folder/a").stat().st_mode) == 0o600
    assert no_remains()


def test_links_to_nothing_and_loops() -> None:
    Path("nowhere").symlink_to("absent")
    refused("nowhere", "nowhere is a link to absent, which does not exist")
    Path("loop").symlink_to("loop")
    refused("loop", "cannot write loop: Too many levels")
    refused("loop/a", "cannot write loop/a: Too many levels")
    assert os.readlink("nowhere") == "absent"
    assert os.readlink("loop") == "loop"
    assert sorted(os.listdir()) == ["loop", "nowhere"]


def test_what_is_no_file_is_refused() -> None:
    Path("folder").mkdir()
    refused("folder", "is a folder")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        refused("socket", "is a socket")
    Path("file").write_bytes(b"")
    refused("file/new/a", "cannot write file/new/a: Not a directory")
    refused("file/a", "cannot write file/a: Not a directory")
    refused("x" * 300, "File name too long")
    refused("nul\0", "null")


def test_folders_are_made() -> None:
    write("new/folders/a")
    assert Path("new/folders/a").read_bytes()
    assert in_folder("new/", "b") == in_folder("new", "b") == Path("new/b")
    assert in_folder("c", "b") == Path("c")


def test_folders_that_get_nothing_do_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FmtcError, match="cannot write new/folders/a: No space left on device; nothing was written"):
        write("new/folders/a")
    assert os.listdir() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_devices(tmp_path: Path) -> None:
    try:
        os.mknod("null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod("block", stat.S_IFBLK | 0o600, os.makedev(240, 200))
    except OSError as error:
        pytest.skip(f"no devices here: {error}")
    for overwrite in (False, True):
        write("null", overwrite=overwrite)
        assert stat.S_ISCHR(os.lstat("null").st_mode)
    refused("block", "is a block device")


@pytest.mark.parametrize("name", ["/dev/null", "link"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_dev_null(name: str, overwrite: bool) -> None:
    Path("link").symlink_to("/dev/null")
    write(name, overwrite=overwrite)
    assert Path("/dev/null").is_char_device()
    assert Path("link").is_symlink()
    write_all([(Path("/dev/null"), b"a"), (Path("/dev/null"), b"b")], overwrite)  # more than once, as it holds nothing


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk() -> None:
    with pytest.raises(FmtcError, match=r"cannot write /dev/full: No space left on device; written: a, b$"):
        write_all([(Path("/dev/full"), b"x"), (Path("a"), b"a"), (Path("b"), b"b")], False)
    assert Path("a").read_bytes() + Path("b").read_bytes() == b"ab"
    assert written() == [Path("a"), Path("b")]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_fifo_is_written_into(overwrite: bool) -> None:
    os.mkfifo("fifo")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(Path("fifo").read_bytes()))
    reader.start()
    check_writable([Path("fifo")], overwrite)  # must not open it: the reader would take that for the end
    write("fifo", b"x" * 200_000, overwrite)
    reader.join()
    assert got == [b"x" * 200_000]
    assert Path("fifo").is_fifo()


def test_a_fifo_that_nobody_reads_to_the_end() -> None:
    os.mkfifo("fifo")
    reader = threading.Thread(target=lambda: os.close(os.open("fifo", os.O_RDONLY)))
    reader.start()
    with pytest.raises(FmtcError, match=r"cannot write fifo: Broken pipe; written: a$"):
        write_all([(Path("fifo"), b"x" * 1_000_000), (Path("a"), b"a")], False)
    reader.join()
    assert Path("a").read_bytes() == b"a"


WRITER = """
import sys
from pathlib import Path
from fmtc_tflite.files import write_all
print("before")
for name in sys.argv[1:]:
    write_all([(Path(name), b"data\\n")], False)
print("after")
"""


@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1", "/dev/fd/1", "link"])
@pytest.mark.parametrize("to_file", [False, True])
def test_descriptors_are_written_into(name: str, to_file: bool) -> None:
    Path("link").symlink_to("/proc/self/fd/1")
    command = [sys.executable, "-c", WRITER, name]
    if to_file:
        with open("file", "wb") as file:
            subprocess.run(command, stdout=file, check=True)
        text = Path("file").read_text()
        assert sorted(os.listdir()) == ["file", "link"]
    else:
        text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert text == "before\ndata\nafter\n"
    assert os.readlink("link") == "/proc/self/fd/1"


def test_a_descriptor_that_cannot_be_written() -> None:
    refused("/dev/fd/999", "Bad file descriptor")
    with open("/dev/null", "rb") as file:
        refused(f"/dev/fd/{file.fileno()}", "open for reading only")


def test_names_as_long_as_names_can_be() -> None:
    name = "n" * 255
    write(name)
    write(name, b"newer", overwrite=True)
    assert Path(name).read_bytes() == b"newer"
    deep = Path("/".join(["d" * 200] * 18))
    deep.mkdir(parents=True)
    room = os.pathconf(".", "PC_PATH_MAX") - 2 - len(str(deep))
    write(str(deep / ("x" * min(room, 255))))


def test_permissions(tmp_path: Path) -> None:
    """As a user who is not root, whom permissions do not bind."""
    script = """
import os, sys
from pathlib import Path
from fmtc_tflite.errors import FmtcError
from fmtc_tflite.files import check_writable
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
for name in sys.argv[1:]:
    try:
        check_writable([Path(name)], True)
    except FmtcError as error:
        print(error)
"""
    tmp_path.chmod(0o755)
    for name, mode in (("closed", 0o000), ("read_only", 0o555), ("open", 0o777)):
        Path(name).mkdir()
        Path(name).chmod(mode)
    Path("open/file").write_bytes(b"")
    Path("open/file").chmod(0o444)
    command = [sys.executable, "-c", script, "closed/a", "read_only/a", "open/file", "open/new"]
    result = subprocess.run(command, capture_output=True, text=True)
    Path("closed").chmod(0o700)
    assert result.stdout.splitlines() == [
        "cannot write closed/a: Permission denied; name another file",
        "folder read_only is not writable; name another file",
        "open/file may not be written; name another file",
    ], result.stderr


def test_outputs_that_are_one_file_or_an_input() -> None:
    Path("link").symlink_to("a")
    Path("a").write_bytes(b"old")
    with pytest.raises(UsageError, match="are the same file"):
        check_writable([Path("a"), Path("./link")], True)
    with pytest.raises(UsageError, match="would replace a itself"):
        check_writable([Path("link")], True, [Path("a")])
    assert Path("a").read_bytes() == b"old"


def test_all_are_complete_before_the_first_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a").write_bytes(b"old")
    calls = []

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(FmtcError, match=r"cannot write b: No space left on device; nothing was written$"):
        write_all([(Path("a"), b"new"), (Path("b"), b"new")], True)
    assert Path("a").read_bytes() == b"old"
    assert os.listdir() == ["a"]
    assert written() == []
    assert account() == "nothing was written"


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_that_appears_meanwhile_is_not_replaced(monkeypatch: pytest.MonkeyPatch, has_links: bool) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    if not has_links:
        monkeypatch.setattr(os, "link", no_links)
    stage = files._stage

    def another_is_faster(target: files._Target, *arguments: object) -> files._Staged:
        if target.path.name == "b":
            target.path.write_bytes(b"theirs")
        return stage(target, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "_stage", another_is_faster)
    with pytest.raises(OutputExistsError, match=r"b was written by another process meanwhile.*; written: a$"):
        write_all([(Path("a"), b"ours"), (Path("b"), b"ours"), (Path("c"), b"ours")], False)
    assert Path("a").read_bytes() == b"ours"
    assert Path("b").read_bytes() == b"theirs"
    assert sorted(os.listdir()) == ["a", "b"]
    assert written() == [Path("a")]
    assert account() == "written: a"


def test_a_file_system_without_hard_links_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", fail)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(FmtcError, match=r"cannot write a: Input/output error; nothing was written$"):
        write("a")
    assert os.listdir() == []


def test_an_interrupt_between_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def interrupted(source: str, name: str, **options: object) -> None:
        if name == "b":
            raise KeyboardInterrupt
        link(source, name, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_all([(Path("a"), b"a"), (Path("b"), b"b")], False)
    assert os.listdir() == ["a"]
    assert account() == "written: a"


def test_what_is_kept_for_the_next_run() -> None:
    keeps(Path("store"))
    assert account() == "nothing was written"
    keep(Path("store"), b"1")
    keep(Path("store"), b"2")
    assert Path("store").read_bytes() == b"2"
    assert written() == []
    assert account() == "no output was written; the same command goes on from what is kept in store"
    write("a")
    assert account() == "written: a"
    Path("a").unlink()
    Path("store").unlink()
    assert account() == "nothing was written"


def test_many_at_once_to_one_output() -> None:
    """Without the permission to replace, one of them writes, and the others say that it was not they."""
    script = """
import sys
from pathlib import Path
from fmtc_tflite.errors import OutputExistsError
from fmtc_tflite.files import account, write_all
name, content = sys.argv[1:]
sys.stdin.read()
try:
    write_all([(Path(name), content.encode() * 100_000), (Path(name + ".json"), content.encode())], False)
except OutputExistsError:
    assert account() == "nothing was written"
    sys.exit(2)
"""
    for turn in range(10):
        start = {"stdin": subprocess.PIPE, "text": True}
        command = [sys.executable, "-c", script, f"out{turn}"]
        processes = [subprocess.Popen([*command, str(i)], **start) for i in range(4)]  # type: ignore[call-overload]
        for process in processes:
            process.stdin.close()
        codes = [process.wait() for process in processes]
        assert sorted(codes) == [0, 2, 2, 2]
        winner = str(codes.index(0))
        assert Path(f"out{turn}").read_text() == winner * 100_000
        assert Path(f"out{turn}.json").read_text() == winner
    assert no_remains()
