"""Builds small .tflite models for tests, with the schema's own object API and nothing of the package under test.

    builder = ModelBuilder()
    graph = builder.graph("main")
    x = graph.input("x", [1, 16, 16, 3])
    y = graph.conv(x, 8, kernel=3, activation="RELU6", name="features")
    graph.output(graph.conv(y, 4))
    content = builder.build()

Weights are random with a fixed seed, and the models run in the stock interpreters. As most writers in Python do, it
leaves constant buffers unaligned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

ACTIVATION = schema.ActivationFunctionType
OPERATOR = schema.BuiltinOperator


@dataclass(frozen=True)
class Ref:
    """A tensor of a graph under construction."""

    index: int
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


class ModelBuilder:
    """A model of one or more graphs; `model` is the schema object, open to any change before build()."""

    def __init__(self, seed: int = 0) -> None:
        self.model = schema.ModelT(
            version=3,
            operatorCodes=[],
            subgraphs=[],
            description=b"test model",
            buffers=[schema.BufferT()],
            metadata=[],
            signatureDefs=[],
        )
        self.rng = np.random.default_rng(seed)

    def graph(self, name: str = "main") -> GraphBuilder:
        """Adds a subgraph."""
        self.model.subgraphs.append(schema.SubGraphT(tensors=[], inputs=[], outputs=[], operators=[], name=name))
        return GraphBuilder(self, len(self.model.subgraphs) - 1)

    def buffer(self, data: np.ndarray | bytes) -> int:
        """Adds a constant buffer and returns its index."""
        content = data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
        self.model.buffers.append(schema.BufferT(data=np.frombuffer(content, np.uint8)))
        return len(self.model.buffers) - 1

    def metadata(self, name: str, data: bytes) -> None:
        self.model.metadata.append(schema.MetadataT(name=name.encode(), buffer=self.buffer(data)))

    def signature(self, key: str, graph: GraphBuilder, inputs: dict[str, Ref], outputs: dict[str, Ref]) -> None:
        def maps(tensors: dict[str, Ref]) -> list[Any]:
            return [schema.TensorMapT(name=name.encode(), tensorIndex=ref.index) for name, ref in tensors.items()]

        self.model.signatureDefs.append(schema.SignatureDefT(maps(inputs), maps(outputs), key.encode(), graph.index))

    def operator_code(self, opcode: str, version: int = 1) -> int:
        """Index of the code of a builtin ('CONV_2D') or, if no builtin has that name, of a custom operator."""
        builtin = getattr(OPERATOR, opcode, OPERATOR.CUSTOM)
        custom = opcode.encode() if builtin == OPERATOR.CUSTOM else None
        for index, code in enumerate(self.model.operatorCodes):
            if (code.builtinCode, code.customCode, code.version) == (builtin, custom, version):
                return index
        code = schema.OperatorCodeT(min(builtin, 127), custom, version, builtin)
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def build(self) -> bytes:
        builder = flatbuffers.Builder(1024)
        self.model.metadata = self.model.metadata or None  # writers leave out what they do not have
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


class GraphBuilder:
    """Adds tensors and ops to one subgraph. Ops run in the order in which they are added."""

    def __init__(self, builder: ModelBuilder, index: int) -> None:
        self.builder = builder
        self.index = index
        self.subgraph = builder.model.subgraphs[index]

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str = "INT8",
        *,
        scale: float | Sequence[float] = 0.05,
        zero_point: int = 0,
        signature: Sequence[int] | None = None,
        data: np.ndarray | bytes | None = None,
        is_variable: bool = False,
    ) -> Ref:
        """Adds a tensor; integers of 8 and 16 bits and int32 constants are quantized, several scales mean axis 0."""
        scales = np.atleast_1d(np.array(scale, np.float32))
        quantization = None
        if dtype in ("INT4", "INT8", "UINT8", "INT16") or (dtype == "INT32" and data is not None and scales.all()):
            zero_points = np.full(len(scales), zero_point, np.int64)
            quantization = schema.QuantizationParametersT(scale=scales, zeroPoint=zero_points)
        self.subgraph.tensors.append(
            schema.TensorT(
                shape=np.array(shape, np.int32),
                type=getattr(schema.TensorType, dtype),
                buffer=0 if data is None else self.builder.buffer(data),
                name=name.encode(),
                quantization=quantization,
                isVariable=is_variable,
                shapeSignature=None if signature is None else np.array(signature, np.int32),
            )
        )
        return Ref(len(self.subgraph.tensors) - 1, tuple(shape), dtype, float(scales[0]), zero_point)

    def input(self, name: str, shape: Sequence[int], dtype: str = "INT8", **options: Any) -> Ref:
        ref = self.tensor(name, shape, dtype, **options)
        self.subgraph.inputs.append(ref.index)
        return ref

    def output(self, ref: Ref) -> Ref:
        self.subgraph.outputs.append(ref.index)
        return ref

    def constant(self, name: str, values: np.ndarray, scale: float | Sequence[float] = 0.05) -> Ref:
        return self.tensor(name, values.shape, values.dtype.name.upper(), scale=scale, data=values)

    def op(
        self,
        opcode: str,
        inputs: Sequence[Ref | None],
        outputs: Sequence[Ref],
        options: Any = None,
        *,
        custom_options: bytes | None = None,
        version: int = 1,
    ) -> Any:
        """Adds an op and returns its schema object. `options` is an object such as schema.AddOptionsT()."""
        kind = type(options).__name__.removesuffix("T")
        operator = schema.OperatorT(
            opcodeIndex=self.builder.operator_code(opcode, version),
            inputs=[-1 if ref is None else ref.index for ref in inputs],
            outputs=[ref.index for ref in outputs],
            builtinOptionsType=0 if options is None else getattr(schema.BuiltinOptions, kind),
            builtinOptions=options,
            customOptions=None if custom_options is None else np.frombuffer(custom_options, np.uint8),
        )
        self.subgraph.operators.append(operator)
        return operator

    def _result(self, name: str, opcode: str, shape: Sequence[int], x: Ref, **options: Any) -> Ref:
        """The output tensor: of the type and quantization of x unless told otherwise."""
        name = name or f"{opcode.lower()}_{len(self.subgraph.operators)}"
        return self.tensor(name, shape, x.dtype, **{"scale": x.scale, "zero_point": x.zero_point, **options})

    def conv(
        self,
        x: Ref,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        activation: str = "NONE",
        name: str = "",
        **of: Any,
    ) -> Ref:
        """CONV_2D with SAME padding; keyword arguments go to the output tensor."""
        batch, height, width, depth = x.shape
        rng = self.builder.rng
        result = self._result(name, "CONV_2D", (batch, -(-height // stride), -(-width // stride), channels), x, **of)
        prefix = f"conv_{len(self.subgraph.operators)}"
        if x.dtype == "FLOAT32":
            weights = rng.standard_normal((channels, kernel, kernel, depth)).astype(np.float32)
            bias = np.zeros(channels, np.float32)
        else:
            weights = rng.integers(-127, 128, (channels, kernel, kernel, depth)).astype(x.dtype.lower())
            bias = rng.integers(-100, 100, channels).astype(np.int32)
        filters = self.constant(f"{prefix}/weights", weights, 0.01)
        biases = self.constant(f"{prefix}/bias", bias, x.scale * 0.01)
        options = schema.Conv2DOptionsT(
            strideW=stride, strideH=stride, fusedActivationFunction=getattr(ACTIVATION, activation)
        )
        self.op("CONV_2D", [x, filters, biases], [result], options, version=3)
        return result

    def unary(self, opcode: str, x: Ref, options: Any = None, name: str = "", **of: Any) -> Ref:
        """An op whose output has its input's shape, such as RELU or SOFTMAX."""
        result = self._result(name, opcode, x.shape, x, **of)
        self.op(opcode, [x], [result], options, version=2)
        return result

    def binary(self, opcode: str, a: Ref, b: Ref, options: Any = None, name: str = "", **of: Any) -> Ref:
        """An elementwise op of two tensors of equal shape, such as MUL."""
        result = self._result(name, opcode, a.shape, a, **of)
        self.op(opcode, [a, b], [result], options, version=2)
        return result

    def add(self, a: Ref, b: Ref, activation: str = "NONE", name: str = "", **of: Any) -> Ref:
        options = schema.AddOptionsT(fusedActivationFunction=getattr(ACTIVATION, activation))
        return self.binary("ADD", a, b, options, name, **of)

    def max_pool(self, x: Ref, size: int = 2, name: str = "") -> Ref:
        batch, height, width, depth = x.shape
        result = self._result(name, "MAX_POOL_2D", (batch, height // size, width // size, depth), x)
        options = schema.Pool2DOptionsT(
            padding=schema.Padding.VALID, strideW=size, strideH=size, filterWidth=size, filterHeight=size
        )
        self.op("MAX_POOL_2D", [x], [result], options, version=2)
        return result

    def reshape(self, x: Ref, shape: Sequence[int], name: str = "") -> Ref:
        result = self._result(name, "RESHAPE", shape, x)
        values = np.array(shape, np.int32)
        target = self.tensor(f"shape_{len(self.subgraph.operators)}", values.shape, "INT32", scale=0, data=values)
        self.op("RESHAPE", [x, target], [result], schema.ReshapeOptionsT(values))
        return result

    def quantize(self, x: Ref, dtype: str = "INT8", name: str = "", **of: Any) -> Ref:
        """QUANTIZE, from float32 or between scales and types."""
        result = self.tensor(name or f"quantize_{len(self.subgraph.operators)}", x.shape, dtype, **of)
        self.op("QUANTIZE", [x], [result], schema.QuantizeOptionsT(), version=2)
        return result

    def dequantize(self, x: Ref, name: str = "") -> Ref:
        result = self.tensor(name or f"dequantize_{len(self.subgraph.operators)}", x.shape, "FLOAT32")
        self.op("DEQUANTIZE", [x], [result], schema.DequantizeOptionsT(), version=2)
        return result


def chain(channels: Sequence[int] = (8, 8, 4), size: int = 16, **of: Any) -> bytes:
    """A plain int8 chain of 3x3 convolutions with ReLU6 on a [1, size, size, 3] input; the last one is the output."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, size, size, 3])
    for number, count in enumerate(channels):
        x = graph.conv(x, count, kernel=3, activation="RELU6", name=f"features_{number}", zero_point=-128, **of)
    graph.output(x)
    return builder.build()


def residual() -> bytes:
    """An int8 network with a branch, a tensor that is read early and late, pooling, reshape and a float boundary."""
    builder = ModelBuilder()
    graph = builder.graph("main")
    image = graph.input("image", [1, 16, 16, 3], "FLOAT32", signature=[-1, 16, 16, 3])
    x = graph.quantize(image, name="quantized", signature=[-1, 16, 16, 3])
    stem = graph.conv(x, 8, 3, activation="RELU", name="stem", zero_point=-128, signature=[-1, 16, 16, 8])
    a = graph.conv(stem, 8, 3, activation="RELU6", name="a", zero_point=-128, signature=[-1, 16, 16, 8])
    b = graph.conv(a, 8, 3, name="b", signature=[-1, 16, 16, 8])
    c = graph.conv(b, 8, 1, name="c", signature=[-1, 16, 16, 8])
    total = graph.add(stem, c, "RELU", name="sum", zero_point=-128, signature=[-1, 16, 16, 8])
    pooled = graph.max_pool(total, 2, name="pooled")
    flat = graph.reshape(pooled, [1, 512], name="flat")
    scores = graph.output(graph.dequantize(flat, name="scores"))
    builder.signature("serving_default", graph, {"image": image}, {"scores": scores})
    builder.metadata("min_runtime_version", b"2.3.0\0\0\0\0\0\0\0\0\0\0\0")
    return builder.build()


def with_control_flow() -> bytes:
    """`main` runs an IF whose branches each hold a convolution; feature maps lie in all three subgraphs."""
    builder = ModelBuilder()
    graph = builder.graph("main")
    shape = [1, 8, 8, 4]
    for name in ("then_branch", "else_branch"):
        branch = builder.graph(name)
        x = branch.input("x", shape)
        branch.output(branch.conv(branch.conv(x, 4, 3, name=f"{name}/features"), 4))
    x = graph.input("x", shape)
    condition = graph.input("condition", [1], "BOOL")
    before = graph.conv(x, 4, 3, name="before")
    after = graph.tensor("after", shape)
    graph.op("IF", [condition, before], [after], schema.IfOptionsT(thenSubgraphIndex=1, elseSubgraphIndex=2))
    graph.output(graph.conv(after, 4))
    return builder.build()


def operators() -> bytes:
    """An int8 classifier with one of each operator that the package looks into."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 16, 16, 3]), 8, 3, activation="RELU6", name="stem", zero_point=-128)
    weights = builder.rng.integers(-127, 128, (1, 3, 3, 8)).astype(np.int8)
    bias = builder.rng.integers(-100, 100, 8).astype(np.int32)
    constants = [graph.constant("depthwise/w", weights, 0.01), graph.constant("depthwise/b", bias, x.scale * 0.01)]
    y = graph.tensor("depthwise", x.shape, scale=x.scale)
    stride_one = schema.DepthwiseConv2DOptionsT(strideW=1, strideH=1, depthMultiplier=1)
    graph.op("DEPTHWISE_CONV_2D", [x, *constants], [y], stride_one, version=3)
    pool = schema.Pool2DOptionsT(padding=schema.Padding.VALID, strideW=2, strideH=2, filterWidth=2, filterHeight=2)
    pooled = graph.tensor("pooled", [1, 8, 8, 8], scale=x.scale)
    graph.op("AVERAGE_POOL_2D", [y], [pooled], pool, version=2)
    padded = graph.tensor("padded", [1, 10, 9, 8], scale=x.scale)
    amounts = np.array([[0, 0], [1, 1], [0, 1], [0, 0]], np.int32)
    graph.op("PAD", [pooled, graph.constant("amounts", amounts, 0)], [padded], schema.PadOptionsT(), version=2)
    sliced = graph.tensor("sliced", [1, 5, 8, 8], scale=x.scale)
    ranges = [graph.constant(f"range_{i}", np.array(v, np.int32), 0) for i, v in enumerate(_RANGES)]
    graph.op("STRIDED_SLICE", [padded, *ranges], [sliced], schema.StridedSliceOptionsT(), version=2)
    resized = graph.tensor("resized", [1, 8, 8, 8], scale=x.scale)
    size = graph.constant("size", np.array([8, 8], np.int32), 0)
    graph.op("RESIZE_BILINEAR", [sliced, size], [resized], schema.ResizeBilinearOptionsT(), version=2)
    joined = graph.tensor("joined", [1, 8, 8, 16], scale=x.scale)
    graph.op("CONCATENATION", [resized, pooled], [joined], schema.ConcatenationOptionsT(axis=3), version=2)
    wide = graph.conv(joined, 24, name="wide", activation="RELU", zero_point=-128)
    gated = graph.binary("MUL", wide, wide, schema.MulOptionsT(), name="gated")
    rest = graph.binary("SUB", wide, gated, schema.SubOptionsT(), name="rest")
    top = graph.max_pool(rest, 2, name="top")
    features = graph.tensor("features", [1, 24], scale=x.scale)
    axes = graph.constant("axes", np.array([1, 2], np.int32), 0)
    graph.op("MEAN", [top, axes], [features], schema.ReducerOptionsT(), version=2)
    dense = graph.constant("dense", builder.rng.integers(-127, 128, (10, 24)).astype(np.int8), 0.01)
    logits = graph.tensor("logits", [1, 10])
    graph.op("FULLY_CONNECTED", [features, dense, None], [logits], schema.FullyConnectedOptionsT(), version=4)
    scores = graph.unary("SOFTMAX", logits, schema.SoftmaxOptionsT(beta=1.0), "scores", scale=1 / 256, zero_point=-128)
    graph.output(scores)
    return builder.build()


_RANGES = ([0, 0, 0, 0], [1, 10, 8, 8], [1, 2, 1, 1])


def softmaxes() -> bytes:
    """A map between two ops that regions do not compute."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 32, 32, 8])
    for name in ("a", "b"):
        y = graph.tensor(name, x.shape, scale=1 / 256, zero_point=-128)
        graph.op("SOFTMAX", [x], [y], schema.SoftmaxOptionsT(beta=1.0), version=2)
        x = y
    graph.output(x)
    return builder.build()
