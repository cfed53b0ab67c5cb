"""Apache Beam pipelines give what one process gives, to the last bit."""

from __future__ import annotations

import importlib
import importlib.resources
import json
import os
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fmtc_tflite import api
from fmtc_tflite.calibration import kept_statistics, passes
from fmtc_tflite.calibration.store import CalibrationStore
from fmtc_tflite.data.opening import open_calibration_data
from fmtc_tflite.errors import CalibrationError, FmtcError, UsageError
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.types import CalibrationOptions, ConvertOptions, EvaluateOptions

pytest.importorskip("apache_beam")
from fmtc_tflite import beam
from fmtc_tflite.beam import job_folder, running, shards
from fmtc_tflite.beam.shards import cut

pytestmark = pytest.mark.extras

DEMO = importlib.resources.files("fmtc_tflite") / "demo"
MODEL = (DEMO / "demo_int8.tflite").read_bytes()
PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


@given(st.integers(1, 3_000_000), st.sampled_from([8, 64]))
def test_shards_grow_with_the_data(count: int, least: int) -> None:
    shards = cut(count, least)
    assert [first for first, _ in shards] == [0, *(end for _, end in shards[:-1])]
    assert shards[-1][1] == count
    assert len(shards) <= 500
    assert all((end - first) % least == 0 for first, end in shards[:-1])
    assert len(shards) == -(-count // least) or shards[0][1] > least


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 labelled samples: three shards of a calibration, five of an evaluation."""
    path = tmp_path_factory.mktemp("data") / "samples.npz"
    demo = np.load(str(DEMO / "demo_samples.npz"))
    np.savez(path, x=demo["x"][:150], y=np.arange(150) % 10)
    return path


def options(data: Path, arguments: tuple[str, ...] | None) -> ConvertOptions:
    return ConvertOptions(CalibrationOptions(data=data, seed=2, beam=arguments), num_threads=1, execution="ops")


def calibrated(path: Path, wanted: ConvertOptions, with_beam: bool = True) -> bytes:
    """A store with everything that a conversion of all maps looks for."""
    model = load_model(MODEL)
    sites = [site for site in find_sites(model) if site.skipped_reason is None]
    build, _ = open_calibration_data(model, wanted.calibration)
    covariances = [i % 2 == 0 for i in range(len(sites))]
    with CalibrationStore(path, {"MODEL": "demo"}) as store:
        if with_beam:
            beam.calibrate(store, ModelFile(model, MODEL), sites, build, covariances, wanted)
        kept_statistics.value_statistics(store, ModelFile(model, MODEL), sites, build, covariances, 1)
        chosen = kept_statistics.gradient_samples(model, build)
        kept_statistics.sensitivities(
            store, ModelFile(model, MODEL), sites, chosen, wanted.output_kind, wanted.calibration.seed, 1
        )
    return path.read_bytes()


@pytest.mark.parametrize("arguments", [(), PROCESSES])
def test_a_calibration_equals_that_of_one_process(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    expected = calibrated(tmp_path / "alone.npz", options(data, None), with_beam=False)
    wanted = options(data, arguments)
    assert calibrated(tmp_path / "beam.npz", wanted) == expected
    with monkeypatch.context() as patch:  # everything is in the file now
        patch.setattr(running, "_pipeline_options", lambda arguments, shards: 1 / 0)
        patch.setattr(passes, "value_statistics", lambda *arguments: 1 / 0)
        patch.setattr(kept_statistics, "measure_sensitivities", lambda *arguments: 1 / 0)
        calibrated(tmp_path / "beam.npz", wanted)


def evaluated(folder: Path, data: Path, arguments: tuple[str, ...] | None) -> tuple[dict, bytes]:
    (folder / "model.tflite").write_bytes(MODEL)
    result = api.evaluate(
        folder / "model.tflite",
        folder / "model.tflite",
        options=EvaluateOptions(data, num_threads=1, beam=arguments),
        json_file=folder / "result.json",
        predictions_file=folder / "predictions.csv",
        overwrite=True,
    )
    assert json.loads((folder / "result.json").read_text()) == result
    return result, (folder / "predictions.csv").read_bytes()


@pytest.mark.parametrize("arguments", [(), PROCESSES])
def test_an_evaluation_equals_that_of_one_process(data: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    expected, lines = evaluated(tmp_path, data, None)
    found, found_lines = evaluated(tmp_path, data, arguments)
    assert found.pop("timing")["num_workers"] is None
    expected.pop("timing")
    assert found == expected
    assert found_lines == lines


NO_IMAGE = r"^\S*3\.png: got no readable image"


def images_with_a_damaged_one(folder: Path) -> Path:
    folder.mkdir()
    height, width = load_model(MODEL).subgraphs[0].inputs[0].shape[1:3]
    for i in range(6):
        Image.new("RGB", (width, height), (40 * i, 0, 0)).save(folder / f"{i}.png")
    (folder / "3.png").write_bytes(b"no image")
    return folder


@pytest.mark.parametrize("arguments", [(), PROCESSES])
def test_unreadable_images_are_left_out_as_by_one_process(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "model.tflite").write_bytes(MODEL)
    images = images_with_a_damaged_one(tmp_path / "images")

    def evaluated(arguments: tuple[str, ...] | None, most: int) -> dict[str, Any]:
        wanted = EvaluateOptions(images, skip_unreadable=True, max_unreadable=most, num_threads=1, beam=arguments)
        return api.evaluate(tmp_path / "model.tflite", tmp_path / "model.tflite", options=wanted)

    expected, found = evaluated(None, 1), evaluated(arguments, 1)
    assert (found["model"], found["comparison"], found["data"]) == (
        expected["model"],
        expected["comparison"],
        expected["data"],
    )
    with pytest.raises(CalibrationError, match=r"got 1 unreadable images of 6, expected 0 at most: \S+3\.png"):
        evaluated(arguments, 0)


@pytest.fixture
def job_server(tmp_path: Path) -> Iterator[str]:
    """Address of a server of Beam's job API, which is what Flink's and Spark's runners talk to."""
    port_file, log = tmp_path / "port", tmp_path / "log"
    command = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--port_file", str(port_file), "--staging_dir", str(tmp_path / "staging")],
            stdout=output,
            stderr=output,
        )
    try:
        while not (port_file.exists() and port_file.read_text()):
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        yield f"localhost:{port_file.read_text()}"
    finally:
        server.kill()
        server.wait()


def test_a_job_server_runs_the_pipelines(data: Path, tmp_path: Path, job_server: str) -> None:
    arguments = (
        "--runner=PortableRunner",
        f"--job_endpoint={job_server}",
        "--environment_type=LOOPBACK",
        f"--temp_location={tmp_path / 'shared'}",
    )
    expected, lines = evaluated(tmp_path, data, None)
    found, found_lines = evaluated(tmp_path, data, arguments)
    assert (found["model"], found["comparison"], found_lines) == (expected["model"], expected["comparison"], lines)
    expected_store = calibrated(tmp_path / "alone.npz", options(data, None), with_beam=False)
    assert calibrated(tmp_path / "beam.npz", options(data, arguments)) == expected_store
    with pytest.raises(CalibrationError, match=NO_IMAGE):
        evaluated(tmp_path, images_with_a_damaged_one(tmp_path / "images"), arguments)


def test_results_go_through_the_shared_folder_and_leave_nothing_there(data: Path, tmp_path: Path) -> None:
    evaluated(tmp_path, data, (f"--temp_location={tmp_path / 'shared'}",))
    assert list((tmp_path / "shared").iterdir()) == []


def test_what_is_finished_is_not_done_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = (f"--temp_location={tmp_path / 'shared'}",)
    expected, lines = evaluated(tmp_path, data, None)
    written, put = list[int](), job_folder.JobFolder.put_result

    def put_two(self: job_folder.JobFolder, number: int, state: Any) -> int:
        if len(written) == 2:
            raise FmtcError("no more")
        written.append(number)
        return put(self, number, state)

    with monkeypatch.context() as patch:
        patch.setattr(job_folder.JobFolder, "put_result", put_two)
        with pytest.raises(FmtcError, match="no more"):
            evaluated(tmp_path, data, arguments)
    (folder,) = (tmp_path / "shared").iterdir()
    assert len(list(folder.glob("result-*.npz"))) == 2
    again: list[int] = []
    monkeypatch.setattr(
        job_folder.JobFolder, "put_result", lambda self, i, state: again.append(i) or put(self, i, state)
    )
    found, found_lines = evaluated(tmp_path, data, arguments)
    assert "2 of 3 shards were finished by an earlier run" in caplog.text
    assert set(again).isdisjoint(written)
    assert len(again) == 1
    assert (found["model"], found["comparison"], found_lines) == (expected["model"], expected["comparison"], lines)
    assert not folder.exists()


@pytest.mark.parametrize("arguments", [(), PROCESSES])
def test_counters_and_the_bar_tell_of_every_sample(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    pipelines: list[Any] = []
    bars: list[list[int]] = []

    class Running(running._Running):
        def __init__(self, *given: Any) -> None:
            pipelines.append(self)
            super().__init__(*given)

    @contextmanager
    def progress(_: object, name: str, total: int, done: int) -> Iterator[Any]:
        bars.append([total, done])
        yield types.SimpleNamespace(update=bars[-1].append)

    monkeypatch.setattr(running, "_Running", Running)
    monkeypatch.setattr(running, "progress", progress)
    images = images_with_a_damaged_one(tmp_path / "images")
    (tmp_path / "model.tflite").write_bytes(MODEL)
    for source, options in ((images, {"skip_unreadable": True}), (data, {})):
        wanted = EvaluateOptions(source, num_threads=1, beam=arguments, **options)
        api.evaluate(tmp_path / "model.tflite", options=wanted)
    found = [
        {each.key.metric.name: each.committed for each in pipeline._result.metrics().query()["counters"]}
        for pipeline in pipelines
    ]
    written = [counts.pop("result bytes") for counts in found]
    assert found == [{"samples": n, "unreadable": bad} for n, bad in ((6, 1), (5, 0), (150, 0))]
    assert all(size > 100 for size in written)
    assert written[2] > written[1]
    assert [total for total, *_ in bars] == [6, 5, 150]
    assert [sum(steps) for _, *steps in bars] == [6, 5, 150], "each gets to its end"


def test_results_of_other_samples_are_refused(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put = job_folder.JobFolder.put_result
    monkeypatch.setattr(
        job_folder.JobFolder, "put_result", lambda self, i, state: put(self, i, {**state, shards.COUNT: np.array(1)})
    )
    with pytest.raises(FmtcError, match="has results of other samples"):
        evaluated(tmp_path, data, (f"--temp_location={tmp_path / 'shared'}",))


def test_a_damaged_model_in_the_folder_is_found(tmp_path: Path) -> None:
    folder = job_folder.JobFolder(str(tmp_path))
    digest = folder.put_model(MODEL)
    assert folder.model(digest) == MODEL
    (tmp_path / f"model-{digest}").write_bytes(MODEL[:-1])
    with pytest.raises(FmtcError, match="is damaged"):
        folder.model(digest)
    with pytest.raises(FmtcError, match="do all machines share it"):
        folder.shard(3)


@pytest.mark.parametrize("damaged", [b"", b"PK\x03\x04", b"no archive"])
def test_a_damaged_result_in_the_folder_is_found(tmp_path: Path, damaged: bytes) -> None:
    folder = job_folder.JobFolder(str(tmp_path))
    folder.put_result(7, {"a": np.arange(1000)})
    assert folder.finished() == {7}
    whole = (tmp_path / "result-000007.npz").read_bytes()
    assert np.array_equal(folder.result(7)["a"], np.arange(1000))
    for content in (damaged, whole[:200] + bytes(20) + whole[220:], whole[:-30]):
        (tmp_path / "result-000007.npz").write_bytes(content)
        with pytest.raises(FmtcError, match=r"result-000007\.npz is damaged \(.*\); delete it and go on"):
            folder.result(7)


def test_only_unfinished_files_are_removed(tmp_path: Path) -> None:
    folder = job_folder.JobFolder(str(tmp_path))
    folder.put_result(7, {"a": np.arange(1000)})
    (tmp_path / "0123.tmp").write_bytes(b"half")
    folder.remove_unfinished()
    folder.remove_unfinished()
    assert [path.name for path in tmp_path.iterdir()] == ["result-000007.npz"]


def test_the_time_that_a_pipeline_may_take(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.tflite").write_bytes(MODEL)
    monkeypatch.setattr(running, "_LOOK_SECONDS", 0.01)
    with pytest.raises(FmtcError, match=r"--beam_timeout: the pipeline has run for 0\.1 s"):
        api.evaluate(tmp_path / "model.tflite", options=EvaluateOptions(data, beam=(), beam_timeout=0.1))


def test_freed_memory_is_kept_where_a_variable_says_otherwise() -> None:
    """Dask sets it for its workers."""
    program = """
import resource, sys
import numpy as np
from fmtc_tflite.beam import shards
if sys.argv[1:]:
    shards._keep_freed_memory()
np.ones(1 << 20, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    np.ones(1 << 20, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

    def faults(*arguments: str) -> int:
        environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}
        command = [sys.executable, "-c", program, *arguments]
        return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    assert 10 * faults("kept") < faults()


def test_workers_of_another_version_are_found(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "__version__", "0.0.1")  # of this process; workers have their own
    for run in (
        lambda: calibrated(tmp_path / "s.npz", options(data, PROCESSES)),
        lambda: evaluated(tmp_path, data, PROCESSES),
    ):
        with pytest.raises(UsageError, match=r"a worker differs .*: fmtc-tflite \S+, was 0\.0\.1; install the same"):
            run()


def test_workers_that_see_other_data_are_found(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.npz"
    mine.write_bytes(data.read_bytes())
    put = job_folder.JobFolder.put_shard

    def put_and_change(self: job_folder.JobFolder, number: int, shard: Any) -> None:
        put(self, number, shard)
        mine.write_bytes(mine.read_bytes()[:-1] + b"?")

    monkeypatch.setattr(job_folder.JobFolder, "put_shard", put_and_change)
    with pytest.raises(UsageError, match=r"a worker differs .*: \S+mine\.npz is another file;"):
        calibrated(tmp_path / "s.npz", options(mine, ()))
    mine.write_bytes(data.read_bytes())
    with pytest.raises(UsageError, match=r"a worker differs .*: \S+mine\.npz is another file;"):
        evaluated(tmp_path, mine, ())


def test_data_given_by_a_relative_path(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, lines = evaluated(tmp_path, data, None)
    monkeypatch.chdir(data.parent)
    found, found_lines = evaluated(tmp_path, Path(data.name), PROCESSES)
    assert (found["comparison"], found_lines) == (
        expected["comparison"],
        lines.replace(str(data).encode(), b"samples.npz"),
    )


@pytest.mark.parametrize("arguments", [(), PROCESSES])
def test_an_error_in_a_worker_is_told_as_it_would_be_here(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CalibrationError, match=NO_IMAGE):
        evaluated(tmp_path, images_with_a_damaged_one(tmp_path / "images"), arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--runer=FlinkRunner",), "Beam knows no option --runer"),
        (("--direct_num_workers=x",), "invalid int value"),
        (("--runner=SparkRunner",), "needs --temp_location as well"),
        (
            ("--runner=DaskRunner", "--dask_workers=2"),
            "Beam knows no option --dask_workers|Dask's runner does not load",
        ),
        (("--runner=NoSuchRunner", "--temp_location=x"), "Unexpected pipeline runner: NoSuchRunner"),
    ],
)
def test_options_that_will_not_do(data: Path, tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    with pytest.raises(FmtcError, match=text):
        evaluated(tmp_path, data, arguments)


def test_beam_with_options_that_exclude_it(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="drop --num_workers"):
        replace(EvaluateOptions(data, beam=()), num_workers=2).check()
    with pytest.raises(UsageError, match="drop --resume_dir"):
        api.evaluate(tmp_path / "m.tflite", options=EvaluateOptions(data, beam=()), resume_dir=tmp_path)
    with pytest.raises(UsageError, match="needs --calibration_data and --calibration_store"):
        options(data, ()).check()


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    for name in [name for name in sys.modules if name.startswith("fmtc_tflite.beam")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UsageError, match=r"run `pip install 'apache-beam>=2.60'`"):
        importlib.import_module("fmtc_tflite.beam")
