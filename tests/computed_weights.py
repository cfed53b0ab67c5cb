"""A network in which the weights of one convolution come in a form that is no plain int8 constant."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_builder import GraphBuilder, ModelBuilder, Ref

WEIGHT_SCALE = 0.02
_OPTIONS = schema.Conv2DOptionsT(strideW=1, strideH=1, fusedActivationFunction=schema.ActivationFunctionType.RELU)
MakeWeights = Callable[[GraphBuilder, np.ndarray], Ref]


def network(form: str, groups: int = 1) -> bytes:
    """stem -> middle -> before -> scores, [1, 16, 16, 3] in, all int8; the weights of 'middle' are in the given form.

    Args:
      form: a key of FORMS: what the network computes does not depend on it ('float' apart).
      groups: of the middle convolution.
    """
    builder = ModelBuilder(seed=2)
    graph = builder.graph()
    x = graph.input("x", [1, 16, 16, 3], scale=1 / 64)
    x = graph.conv(x, 8, 3, activation="RELU", name="stem", scale=0.05, zero_point=-128)
    values = builder.rng.integers(-7, 8, (8, 3, 3, 8 // groups)).astype(np.int8)
    x = FORMS[form](graph, x, values)
    x = graph.conv(x, 6, 3, stride=2, name="before", scale=0.2)
    pooled = graph.tensor("pooled", [1, 6], scale=0.2)
    graph.op("MEAN", [x, graph.constant("axes", np.array([1, 2], np.int32), 0)], [pooled], schema.ReducerOptionsT())
    graph.output(pooled)
    return builder.build()


def _integer_conv(make: MakeWeights) -> Callable[[GraphBuilder, Ref, np.ndarray], Ref]:
    def build(graph: GraphBuilder, x: Ref, values: np.ndarray) -> Ref:
        weights = make(graph, values)
        bias = graph.constant("bias", np.arange(len(values), dtype=np.int32) * 10, x.scale * WEIGHT_SCALE)
        y = graph.tensor("middle", (*x.shape[:3], len(values)), scale=0.05, zero_point=-128)
        graph.op("CONV_2D", [x, weights, bias], [y], _OPTIONS, version=3)
        return y

    return build


def _float_conv(graph: GraphBuilder, x: Ref, values: np.ndarray) -> Ref:
    weights = graph.dequantize(graph.constant("stored", values, WEIGHT_SCALE), name="weights")
    bias = graph.tensor("bias", (len(values),), "FLOAT32", data=np.zeros(len(values), np.float32))
    y = graph.tensor("real", (*x.shape[:3], len(values)), "FLOAT32")
    graph.op("CONV_2D", [graph.dequantize(x), weights, bias], [y], _OPTIONS, version=1)
    return graph.quantize(y, name="middle", scale=0.05, zero_point=-128)


def _plain(graph: GraphBuilder, values: np.ndarray) -> Ref:
    return graph.constant("weights", values, WEIGHT_SCALE)


def _four_bits(graph: GraphBuilder, values: np.ndarray) -> Ref:
    halves = values.reshape(-1, 2).view(np.uint8) & 15
    packed = halves[:, 0] | halves[:, 1] << 4
    return graph.tensor("weights", values.shape, "INT4", scale=WEIGHT_SCALE, data=packed)


def _transposed(graph: GraphBuilder, values: np.ndarray) -> Ref:
    stored = graph.constant("stored", np.ascontiguousarray(values.transpose(1, 2, 3, 0)), WEIGHT_SCALE)
    order = graph.constant("order", np.array([3, 0, 1, 2], np.int32), 0)
    weights = graph.tensor("weights", values.shape, scale=WEIGHT_SCALE)
    graph.op("TRANSPOSE", [stored, order], [weights], schema.TransposeOptionsT(), version=2)
    return weights


def _sparse(graph: GraphBuilder, values: np.ndarray) -> Ref:
    """Dense but for the last axis, whose zeros are left out."""
    rows = values.reshape(-1, values.shape[3])
    kept = rows != 0
    stored = graph.constant("stored", rows[kept], WEIGHT_SCALE)
    tensor = graph.subgraph.tensors[stored.index]
    tensor.shape = np.array(values.shape, np.int32)
    dense = [schema.DimensionMetadataT(denseSize=size) for size in values.shape[:3]]
    segments = schema.Int32VectorT(values=np.append(0, kept.sum(1).cumsum()).astype(np.int32))
    indices = schema.Int32VectorT(values=np.nonzero(kept)[1].astype(np.int32))
    vector, kind = schema.SparseIndexVector.Int32Vector, schema.DimensionType.SPARSE_CSR
    tensor.sparsity = schema.SparsityParametersT(
        traversalOrder=list(range(4)),
        dimMetadata=[*dense, schema.DimensionMetadataT(kind, 0, vector, segments, vector, indices)],
    )
    weights = graph.tensor("weights", values.shape, scale=WEIGHT_SCALE)
    graph.op("DENSIFY", [stored], [weights], schema.DensifyOptionsT())
    assert prod(values.shape) > len(rows[kept])
    return weights


FORMS: dict[str, Callable[[GraphBuilder, Ref, np.ndarray], Ref]] = {
    "plain": _integer_conv(_plain),
    "four bits": _integer_conv(_four_bits),
    "transposed": _integer_conv(_transposed),
    "sparse": _integer_conv(_sparse),
    "float": _float_conv,
}
