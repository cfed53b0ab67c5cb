"""Loading and saving: nothing is lost, constants are aligned, and a saved model is a fixed point."""

from __future__ import annotations

import io
import os
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import model_builder
from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph import model_io, writer
from fmtc_tflite.graph.model_io import load_model
from model_builder import ModelBuilder

REAL_MODELS = (
    "autoencoder_ad01_int8",
    "deeplabv3_mnv2_pascal_uint8",
    "ds_cnn_kws_int8",
    "mobilenet_v1_0.25_96_vww_int8",
    "mobilenet_v2_1.0_224_int8",
    "resnet18_cifar10_64_int8",
    "resnet56_cifar10_int8",
    "resnet8_cifar10_int8",
)
BUILDERS = (model_builder.chain, model_builder.residual, model_builder.with_control_flow)


@pytest.fixture(params=REAL_MODELS)
def real_model(request: pytest.FixtureRequest, real_data: Path) -> bytes:
    return (real_data / "models" / f"{request.param}.tflite").read_bytes()


def unpack(content: bytes) -> schema.ModelT:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))


def pack(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def plain(item: object) -> object:
    """A schema object as nested plain values, for comparison."""
    if isinstance(item, np.ndarray):
        return item.tolist()
    if isinstance(item, list):
        return [plain(part) for part in item]
    if hasattr(item, "__dict__"):
        return {name: plain(value) for name, value in vars(item).items()}
    return item.decode() if isinstance(item, bytes) else item


def buffer_offsets(content: bytes) -> list[int]:
    """File offsets of all constant buffers that have data, inline or in the tail."""
    model = schema.Model.GetRootAs(content)
    base = np.frombuffer(content, np.uint8).ctypes.data
    offsets = []
    for buffer in (model.Buffers(index) for index in range(model.BuffersLength())):
        if buffer.DataLength():
            offsets.append(buffer.DataAsNumpy().ctypes.data - base)
        elif buffer.Offset() > 1:
            offsets.append(buffer.Offset())
    return offsets


def outputs(content: bytes, seed: int = 0) -> list[np.ndarray]:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(seed)
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], rng.integers(0, 2, detail["shape"]).astype(detail["dtype"]))
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def check_round_trip(content: bytes) -> bytes:
    saved = load_model(content).to_bytes()
    assert plain(unpack(saved)) == plain(unpack(content))
    assert load_model(saved).to_bytes() == saved
    offsets = buffer_offsets(saved)
    assert [offset % writer.ALIGNMENT for offset in offsets] == [0] * len(offsets)
    return saved


@pytest.mark.parametrize("build", BUILDERS)
def test_round_trip(build: Callable[[], bytes]) -> None:
    content = build()
    saved = check_round_trip(content)
    for before, after in zip(outputs(content), outputs(saved), strict=True):
        np.testing.assert_array_equal(after, before)


def test_real_models_round_trip(real_model: bytes) -> None:
    check_round_trip(real_model)


def test_builder_leaves_buffers_unaligned() -> None:
    """Otherwise the alignment checks above would prove nothing."""
    assert any(offset % writer.ALIGNMENT for build in BUILDERS for offset in buffer_offsets(build()))


def rare_fields() -> bytes:
    """A model with a value in the fields that ordinary models leave empty. No interpreter runs it."""
    builder = ModelBuilder()
    graph = builder.graph("main")
    x = graph.input("x", [1, 4, 4, 2])
    state = graph.tensor("state", [4], "FLOAT32", is_variable=True)
    sparse = graph.constant("sparse", np.arange(4, dtype=np.int8))
    y = graph.tensor("y", [1, 4, 4, 2])
    op = graph.op("SomeCustomOp", [x, None, state, sparse], [y], custom_options=b"\1\2\3")
    op.mutatingVariableInputs = [False, False, True, False]
    op.intermediates = [sparse.index]
    op.debugMetadataIndex = 3
    op.customOptionsFormat = 0
    composite = graph.op("STABLEHLO_COMPOSITE", [y], [graph.output(graph.tensor("z", [1, 4, 4, 2]))])
    composite.builtinOptions2Type = schema.BuiltinOptions2.StableHLOCompositeOptions
    composite.builtinOptions2 = schema.StableHLOCompositeOptionsT(
        name=b"odml.something", decompositionSubgraphIndex=1, compositeAttributes=np.arange(9, dtype=np.uint8)
    )
    graph.subgraph.debugMetadataIndex = 7
    tensors = graph.subgraph.tensors
    segments = schema.Int32VectorT(np.array([0, 2, 4], np.int32))
    indices = schema.Uint8VectorT(np.array([0, 1, 1, 0], np.uint8))
    dimension = schema.DimensionMetadataT(
        schema.DimensionType.SPARSE_CSR, 0, schema.SparseIndexVector.Int32Vector, segments,
        schema.SparseIndexVector.Uint8Vector, indices,
    )  # fmt: skip
    tensors[sparse.index].sparsity = schema.SparsityParametersT([0], [0], [dimension])
    tensors[sparse.index].externalBuffer = 5
    quantization = tensors[sparse.index].quantization
    quantization.min, quantization.max = np.float32([-1.0]), np.float32([1.0])
    quantization.detailsType = schema.QuantizationDetails.CustomQuantization
    quantization.details = schema.CustomQuantizationT(np.arange(5, dtype=np.uint8))
    tensors[y.index].hasRank = True
    tensors[y.index].variantTensors = [schema.VariantSubTypeT(np.array([2], np.int32), schema.TensorType.INT8, True)]
    decomposition = builder.graph("decomposition")
    decomposition.output(decomposition.input("x", [1, 4, 4, 2]))
    builder.model.metadataBuffer = [builder.buffer(b"old metadata")]
    builder.model.externalBufferGroups = [schema.ExternalBufferGroupT(b"weights.bin")]
    builder.model.externalBuffers = [schema.ExternalBufferT(5, 0, 64, 128, b"none")]
    builder.metadata("twice", b"one")
    builder.metadata("twice", b"two")
    builder.metadata("empty", b"")
    return builder.build()


def test_rare_fields_survive() -> None:
    check_round_trip(rare_fields())


def test_empty_model_survives() -> None:
    builder = ModelBuilder()
    builder.graph()
    builder.model.description = None
    builder.model.metadata = builder.model.signatureDefs = builder.model.buffers = None
    builder.model.operatorCodes = None
    check_round_trip(builder.build())


def test_objects_are_readable() -> None:
    model = load_model(model_builder.residual())
    main = model.subgraphs[0]
    names = {tensor.name: tensor for tensor in main.tensors}
    stem = names["stem"]
    assert (stem.shape, stem.shape_signature, stem.type_name, stem.dtype) == (
        (1, 16, 16, 8), (-1, 16, 16, 8), "INT8", np.dtype(np.int8),
    )  # fmt: skip
    assert (stem.scale, stem.zero_point, stem.data) == (pytest.approx(0.05), -128, None)
    assert [op.opcode for op in main.ops][:3] == ["QUANTIZE", "CONV_2D", "CONV_2D"]
    convolution = main.ops[1]
    assert (convolution.is_custom, convolution.version, convolution.options.strideW) == (False, 3, 1)
    weights = convolution.inputs[1]
    assert weights is not None
    assert weights.data is not None
    assert weights.data.size == 8 * 3 * 3 * 3
    assert main.inputs == [names["image"]]
    signature = model.signatures[0]
    assert (signature.key, signature.subgraph) == ("serving_default", main)
    assert signature.outputs == [("scores", names["scores"])]
    assert model.description == "test model"
    assert model.metadata["min_runtime_version"].rstrip(b"\0") == b"2.3.0"


def test_constants_are_views_of_the_file() -> None:
    model = load_model(model_builder.chain())
    assert all(not buffer.data.flags.owndata for buffer in model.buffers if buffer.data is not None)


def test_path_is_kept_and_named_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(model_builder.chain())
    assert load_model(path).path == path
    path.write_bytes(b"nonsense, and more of it")
    with pytest.raises(ModelFormatError, match=r"model\.tflite: not a TFLite model"):
        load_model(str(path))


def test_no_more_is_read_than_a_model_can_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = model_builder.chain()
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    monkeypatch.setattr(model_io, "MAX_FILE_BYTES", len(content))
    load_model(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ModelFormatError, match=f"larger than {len(content)} bytes"):
        load_model(path)


def test_devices_without_end_are_no_models() -> None:
    with pytest.raises(ModelFormatError, match=r"/dev/zero: not a TFLite model: .* found 00 00 00 00"):
        load_model("/dev/zero")


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    pipe, content = tmp_path / "pipe", model_builder.chain()
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    assert len(load_model(pipe).subgraphs[0].ops) == 3
    writer.join()


def test_metadata_is_a_mapping() -> None:
    content = model_builder.residual()
    model = load_model(content)
    buffers = len(model.buffers)
    model.metadata["fmtc"] = b"one"
    model.metadata["fmtc"] = b"two"
    assert len(model.buffers) == buffers + 1
    again = load_model(model.to_bytes())
    assert list(again.metadata) == ["min_runtime_version", "fmtc"]
    assert (len(again.metadata), again.metadata["fmtc"]) == (2, b"two")
    del again.metadata["fmtc"]
    assert "fmtc" not in again.metadata
    assert again.to_bytes() == load_model(content).to_bytes()
    with pytest.raises(KeyError):
        del again.metadata["fmtc"]


def test_shared_buffer_stays_shared() -> None:
    """Deleting metadata leaves a buffer that a tensor uses too."""
    builder = ModelBuilder()
    graph = builder.graph()
    graph.output(graph.conv(graph.input("x", [1, 4, 4, 2]), 2))
    builder.metadata("shared", b"")
    builder.model.metadata[0].buffer = 1
    model = load_model(builder.build())
    del model.metadata["shared"]
    assert outputs(model.to_bytes())


# Associated files


def with_zip(content: bytes, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", compression) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2021, 3, 4, 5, 6, 8)), data, compression)
    return stream.getvalue()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("offsets", ["from the file", "from the archive"])
def test_associated_files_survive(compression: int, offsets: str) -> None:
    model = model_builder.chain()
    files = {"labels.txt": b"cat\ndog\n" * 50, "sub/vocabulary.txt": b""}
    content = with_zip(model, files, compression) if offsets == "from the file" else model + with_zip(b"", files)
    loaded = load_model(content)
    assert {file.name: file.data for file in loaded.associated_files} == files
    saved = loaded.to_bytes()
    assert load_model(saved).to_bytes() == saved
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
        assert archive.infolist()[0].date_time == (2021, 3, 4, 5, 6, 8)
        assert archive.infolist()[0].header_offset == len(load_model(model).to_bytes())
    assert outputs(saved)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_equal_names_in_the_archive_survive() -> None:
    content = with_zip(with_zip(model_builder.chain(), {"a": b"one"}), {"a": b"two"})
    saved = load_model(content).to_bytes()
    assert [file.data for file in load_model(saved).associated_files] == [b"one", b"two"]


@pytest.mark.parametrize("lost", [1, 10, 30, 60, 100])
def test_truncated_archive(lost: int) -> None:
    content = with_zip(model_builder.chain(), {"labels.txt": b"cat\ndog\n" * 50})
    with pytest.raises(ModelFormatError, match="ZIP of associated files"):
        load_model(content[:-lost])


def test_archive_that_expands_too_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fmtc_tflite.graph.associated_files.MAX_TOTAL_BYTES", 1000)
    content = with_zip(model_builder.chain(), {"zeros": bytes(1001)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelFormatError, match="unpack to 1001 bytes"):
        load_model(content)


# Data in the tail of the file


def to_tail_form(content: bytes, custom_options: bytes = b"") -> bytes:
    """The same model as TensorFlow's converter writes it beyond 2 GB: constants behind the flatbuffer."""
    model = unpack(content)
    constants = {i: b.data.tobytes() for i, b in enumerate(model.buffers) if b.data is not None and b.data.size}
    operator = model.subgraphs[0].operators[0]

    def lay_out(start: int) -> tuple[bytes, bytes]:
        tail = b""
        for index, data in constants.items():
            tail += bytes(-(start + len(tail)) % 16)
            model.buffers[index] = schema.BufferT(None, start + len(tail), len(data))
            tail += data
        if custom_options:
            tail += bytes(-(start + len(tail)) % 16)
            operator.customOptions = None
            operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize = start + len(tail), len(custom_options)
        return pack(model), tail + custom_options

    flatbuffer, _ = lay_out(start=16)
    return b"".join(lay_out(start=len(flatbuffer)))


def test_buffers_in_the_tail_survive() -> None:
    content = model_builder.chain()
    tail_form = to_tail_form(content)
    assert max(buffer_offsets(tail_form)) > max(buffer_offsets(content))
    saved = load_model(tail_form).to_bytes()
    assert load_model(saved).to_bytes() == saved
    assert all(buffer.DataLength() == 0 for buffer in map(schema.Model.GetRootAs(saved).Buffers, range(5)))
    assert all(offset % 16 == 0 for offset in buffer_offsets(saved))
    for before, after in zip(outputs(content), outputs(saved), strict=True):
        np.testing.assert_array_equal(after, before)


def test_large_custom_options_and_archive_survive_in_the_tail() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    graph.op("SomeCustomOp", [graph.input("x", [1, 4, 4, 2])], [graph.output(graph.tensor("y", [1, 4, 4, 2]))])
    options = bytes(range(256)) * 3
    content = with_zip(to_tail_form(builder.build(), options), {"labels.txt": b"cat"})
    model = load_model(content)
    assert model.subgraphs[0].ops[0].custom_options == options
    saved = model.to_bytes()
    assert load_model(saved).to_bytes() == saved
    operator = unpack(saved).subgraphs[0].operators[0]
    start = operator.largeCustomOptionsOffset
    assert (operator.customOptions, start % 16) == (None, 0)
    assert saved[start : start + operator.largeCustomOptionsSize] == options
    assert load_model(saved).associated_files[0].data == b"cat"


def test_models_too_large_for_a_flatbuffer_go_to_the_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    content = model_builder.chain()
    monkeypatch.setattr(writer, "MAX_INLINE_BYTES", 500)
    saved = load_model(content).to_bytes()
    assert all(buffer.in_tail for buffer in load_model(saved).buffers if buffer.size)
    for before, after in zip(outputs(content), outputs(saved), strict=True):
        np.testing.assert_array_equal(after, before)


def test_tail_beyond_the_file() -> None:
    tail_form = to_tail_form(model_builder.chain())
    with pytest.raises(ModelFormatError, match=r"buffer \d+ lies at bytes"):
        load_model(tail_form[:-20])
