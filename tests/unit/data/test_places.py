"""Images in an object store: a server of S3's protocol on this machine."""

from __future__ import annotations

import contextlib
import importlib.resources
import io
import pickle
import socket
import tarfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tfrecords
from fmtc_tflite import api
from fmtc_tflite.data import places
from fmtc_tflite.data.opening import Dataset, open_dataset
from fmtc_tflite.data.preprocess import InputSpec, Preprocessing
from fmtc_tflite.errors import CalibrationError
from fmtc_tflite.types import EvaluateOptions

pytestmark = pytest.mark.extras

DEMO = importlib.resources.files("fmtc_tflite") / "demo"
SPEC = InputSpec("pixels", (1, 6, 5, 3), np.dtype(np.uint8), 1.0, 0)


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("s3://bucket/a b", "s3://bucket/a b"),
        (Path("gs://bucket/x"), "gs://bucket/x"),  # which is gs:/bucket/x
        ("images/", None),
        ("/data/a:b/c", None),
        (Path("a.csv"), None),
    ],
)
def test_urls(path: str | Path, url: str | None) -> None:
    assert places.url(path) == url
    assert places.absolute(path) == (url or str(Path(path).absolute()))


@pytest.fixture(scope="module")
def store() -> Iterator[Any]:
    """A client of a bucket `data`."""
    pytest.importorskip("apache_beam")
    boto3, server = pytest.importorskip("boto3"), pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket="data")
        yield client
    server.stop()


@pytest.fixture(scope="module")
def images(store: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of images, in a folder and under s3://data/images."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/.hidden.png", "dog/notes.txt"):
        path = folder / "classes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 5, 3)).astype(np.uint8)).save(path, "png")
    (folder / "list.csv").write_text("file,label\nclasses/dog/1.png,7\nclasses/cat/2.png,3\n")
    (folder / "tars").mkdir()
    with tarfile.open(folder / "tars" / "1.tar", "w") as archive:
        for i, name in enumerate(("cat/1.png", "dog/1.png")):
            archive.add(folder / "classes" / name, f"{i}.png")
            label = tarfile.TarInfo(f"{i}.cls")
            label.size = 1
            archive.addfile(label, io.BytesIO(b"%d" % i))
    (folder / "records").mkdir()
    for i, name in enumerate(("cat/1.png", "dog/1.png")):
        row = {"image": (folder / "classes" / name).read_bytes(), "label": i}
        tfrecords.write(folder / "records" / f"train-0000{i}-of-00002", [tfrecords.example(row)])
        column = {"image": [row["image"]], "label": [i]}
        parquet.write_table(arrow.table(column), folder / "records" / f"{i}.parquet")
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        store.upload_file(str(path), "data", f"images/{path.relative_to(folder)}")
    return folder


def opened(path: str | Path) -> Dataset:
    return open_dataset(path, input_specs=[SPEC], preprocessing=Preprocessing("raw"))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        *(("classes/cat", 2), ("list.csv", 2), ("tars", 2), ("tars/1.tar", 2), ("classes", 3)),
        *(("records/train-*", 2), ("records/*.parquet", 2), ("records/train-00001-of-00002", 1)),
    ],
)
def test_images_of_a_bucket_are_those_of_a_folder(images: Path, name: str, count: int) -> None:
    expected, found = opened(images / name), opened(f"s3://data/images/{name}")
    assert len(expected) == len(found) == count
    assert (found.labels is None) == (name == "classes/cat")
    assert np.array_equal(expected.labels, found.labels)
    if name.partition("/")[0] not in ("tars", "records"):
        assert expected.fingerprint() == found.fingerprint()
    part = pickle.loads(pickle.dumps(found.part(np.arange(1, len(found)))))
    for one, other in zip(expected.subset(np.arange(1, len(found))), part, strict=True):
        assert np.array_equal(one["pixels"], other["pixels"])
    assert part.file_states(anew=True) == part.file_states()


def test_an_evaluation_between_buckets(images: Path, store: Any, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes((DEMO / "demo_int8.tflite").read_bytes())

    def evaluated(data: str | Path, arguments: tuple[str, ...] | None) -> dict[str, Any]:
        options = EvaluateOptions(data, num_threads=1, beam=arguments)
        return api.evaluate(tmp_path / "model.tflite", tmp_path / "model.tflite", options=options)

    processes = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    expected = evaluated(images / "list.csv", None)
    found = evaluated("s3://data/images/list.csv", (*processes, "--temp_location=s3://data/jobs"))
    assert (found["model"], found["comparison"]) == (expected["model"], expected["comparison"])
    assert "Contents" not in store.list_objects_v2(Bucket="data", Prefix="jobs/"), "all is removed in the end"


def test_what_is_not_in_a_bucket(images: Path, store: Any) -> None:
    with pytest.raises(CalibrationError, match="s3://data/nothing: got no images"):
        opened("s3://data/nothing")
    with pytest.raises(CalibrationError, match="cannot be listed"):
        opened("unknown://bucket/images")
    store.put_object(Bucket="data", Key="images/wrong.csv", Body=b"file\ncat/3.png\n")
    with pytest.raises(CalibrationError, match=r"wrong\.csv, line 2: got 'cat/3\.png', which does not exist in s3:"):
        opened("s3://data/images/wrong.csv")
    store.delete_object(Bucket="data", Key="images/wrong.csv")


@pytest.fixture
def google_store(images: Path) -> Iterator[Any]:
    """A client of a bucket `data` of an emulator of Google's Cloud Storage, with the same images."""
    storage = pytest.importorskip("google.cloud.storage")
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = emulator.create_server("127.0.0.1", port, in_memory=True)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        patch.setenv("NO_GCE_CHECK", "true")
        client = storage.Client.create_anonymous_client()
        bucket = client.create_bucket("data")
        for path in [path for path in images.rglob("*") if path.is_file()]:
            bucket.blob(f"images/{path.relative_to(images)}").upload_from_filename(str(path))
        yield client
    server.stop()


def test_google_cloud_storage(google_store: Any, images: Path, tmp_path: Path) -> None:
    for name in ("classes", "list.csv", "tars", "records/train-*", "records/*.parquet"):
        expected, found = opened(images / name), opened(f"gs://data/images/{name}")
        assert np.array_equal(expected.labels, found.labels)
        for one, other in zip(expected, found, strict=True):
            assert np.array_equal(one["pixels"], other["pixels"])
    (tmp_path / "model.tflite").write_bytes((DEMO / "demo_int8.tflite").read_bytes())

    def evaluated(data: str | Path, arguments: tuple[str, ...] | None) -> dict[str, Any]:
        return api.evaluate(tmp_path / "model.tflite", options=EvaluateOptions(data, num_threads=1, beam=arguments))

    expected = evaluated(images / "list.csv", None)
    found = evaluated("gs://data/images/list.csv", ("--temp_location=gs://data/jobs",))
    assert found["model"] == expected["model"]
    assert list(google_store.list_blobs("data", prefix="jobs")) == []


class HdfsClient:
    """Of the WebHDFS client's functions those that reading takes, over a folder of this machine."""

    root = Path()

    def __init__(self, url: str, user: str) -> None:
        assert (url, user) == ("http://namenode:9870", "me")

    def status(self, path: str, strict: bool = True) -> dict[str, Any] | None:
        found = self.root / path.lstrip("/")
        if not found.exists():
            assert not strict
            return None
        kind = "DIRECTORY" if found.is_dir() else "FILE"
        return {"length": found.stat().st_size, "modificationTime": 0, "type": kind}

    def list(self, path: str, status: bool) -> list[tuple[str, Any]]:
        assert status
        return [(each.name, self.status(f"{path}/{each.name}")) for each in (self.root / path.lstrip("/")).iterdir()]

    def read(self, path: str, offset: int, length: int) -> Any:
        content = (self.root / path.lstrip("/")).read_bytes()
        return contextlib.nullcontext(io.BytesIO(content[offset : offset + length]))


def test_hdfs_is_reached_as_the_pipelines_options_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filesystem = pytest.importorskip("apache_beam.io.hadoopfilesystem")
    monkeypatch.setattr(filesystem, "hdfs", types.SimpleNamespace(InsecureClient=HdfsClient))
    monkeypatch.setattr(HdfsClient, "root", tmp_path)
    demo = np.load(str(DEMO / "demo_samples.npz"))["x"][:6]
    (tmp_path / "records").mkdir()
    for number in range(2):
        contents = [io.BytesIO() for _ in range(3)]
        for content, pixels in zip(contents, demo[3 * number :], strict=False):
            Image.fromarray(pixels.squeeze()).save(content, "png")
        examples = [tfrecords.example({"image": content.getvalue(), "label": 1}) for content in contents]
        tfrecords.write(tmp_path / "records" / f"test-0000{number}-of-00002", examples)
    (tmp_path / "model.tflite").write_bytes((DEMO / "demo_int8.tflite").read_bytes())

    def evaluated(data: str | Path, *arguments: str) -> dict[str, Any]:
        return api.evaluate(tmp_path / "model.tflite", options=EvaluateOptions(data, num_threads=1, beam=arguments))

    expected = evaluated(tmp_path / "records")
    options = ("--hdfs_host=namenode", "--hdfs_port=9870", "--hdfs_user=me")
    for data in ("hdfs://records", "hdfs://records/test-*"):
        assert evaluated(data, *options)["model"] == expected["model"]
    with pytest.raises(CalibrationError, match=r"hdfs://records/\*\*: cannot be listed \(.*hdfs_host is not set"):
        evaluated("hdfs://records")
