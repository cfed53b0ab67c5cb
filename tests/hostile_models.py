"""Small models on which a tool once crashed, hung, showed a traceback or claimed something wrong.

All that have an input take pictures of 16 x 16 pixels.

`python tests/hostile_models.py FOLDER` writes them all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

import coded_models
import model_builder
from model_builder import ModelBuilder
from model_mutator import pack, unpack

Tree = Any  # schema.ModelT


def changed(content: bytes, change: Callable[[Tree], Any]) -> bytes:
    """A model after a change of its schema objects."""
    tree = unpack(content)
    change(tree)
    return pack(tree)


def chain(change: Callable[[Tree], Any]) -> bytes:
    return changed(model_builder.chain(), change)


def coded(change: Callable[[Tree], Any]) -> bytes:
    """A converted chain; ops: CONV_2D, ENCODE, DECODE, CONV_2D, ENCODE, DECODE, CONV_2D."""
    return changed(coded_models.converted(model_builder.chain()).to_bytes(), change)


def tensor(tree: Tree, name: str) -> Any:
    return next(t for t in tree.subgraphs[0].tensors if t.name == name.encode())


def ops(tree: Tree) -> list[Any]:
    return list(tree.subgraphs[0].operators)


def _reorder(tree: Tree, places: tuple[int, ...]) -> None:
    found = ops(tree)
    tree.subgraphs[0].operators = [found[place] for place in places]


def _add_metadata(tree: Tree, text: bytes) -> None:
    tree.buffers.append(schema.BufferT(data=np.frombuffer(text, np.uint8)))
    tree.metadata = [*(tree.metadata or []), schema.MetadataT(b"fmtc_conversion", len(tree.buffers) - 1)]


def _make_constant(tree: Tree, name: str) -> None:
    target = tensor(tree, name)
    tree.buffers.append(schema.BufferT(data=np.zeros(int(np.prod(target.shape)), np.uint8)))
    target.buffer = len(tree.buffers) - 1


def _without_options(tree: Tree) -> None:
    op = ops(tree)[0]
    op.builtinOptions, op.builtinOptionsType = None, 0


def _custom_code_that_is_no_text(tree: Tree) -> None:
    code = tree.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"\xff\xfe"


def alias_heap_overflow() -> bytes:
    """A decoder whose output may get the memory of what it decodes: that is a graph input, read by nobody else."""

    def change(tree: Tree) -> None:
        graph, decode = tree.subgraphs[0], ops(tree)[2]
        graph.inputs = np.array([decode.inputs[0]], np.int32)
        _reorder(tree, (2, 3, 4, 5, 6))

    return coded(change)


def depthwise_without_bias() -> bytes:
    """The runtime's kernel takes the bias for granted."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 16, 16, 3]), 8, 3, name="first")
    weights = graph.constant("weights", builder.rng.integers(-127, 128, (1, 3, 3, 8)).astype(np.int8), [0.01] * 8)
    graph.subgraph.tensors[weights.index].quantization.quantizedDimension = 3
    y = graph.tensor("second", x.shape, scale=x.scale)
    options = schema.DepthwiseConv2DOptionsT(strideW=1, strideH=1, depthMultiplier=1)
    graph.op("DEPTHWISE_CONV_2D", [x, weights], [y], options, version=3)
    graph.output(graph.conv(y, 4, name="third"))
    return builder.build()


def tensor_without_scale() -> bytes:
    """The runtime divides by a scale that is not there, and aborts."""

    def change(tree: Tree) -> None:
        parameters = tensor(tree, "c").quantization
        parameters.scale = np.zeros(0, np.float32)
        parameters.min, parameters.max = np.array([np.nan], np.float32), np.array([np.inf, 1], np.float32)

    return changed(model_builder.residual(), change)


def no_filter() -> bytes:
    """A pooling over windows without a pixel, and a fidelity measure over its empty output."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 16, 16, 3]), 8, 3, name="first")
    x = graph.conv(x, 8, 3, name="second")
    pooled = graph.tensor("pooled", [1, 1, 1, 8], scale=x.scale)
    valid = schema.Padding.VALID
    options = schema.Pool2DOptionsT(padding=valid, strideW=16, strideH=16, filterWidth=16, filterHeight=0)
    graph.op("AVERAGE_POOL_2D", [x], [pooled], options, version=2)
    graph.output(graph.reshape(pooled, [1, 8]))
    return builder.build()


def _escapes(tree: Tree) -> None:
    for number, item in enumerate(tree.subgraphs[0].tensors):
        item.name = b"\x1b[31mred\x1b]0;title\x07\n=1+2,%d</script><script>" % number


MODELS: dict[str, Callable[[], bytes]] = {
    "alias_heap_overflow": alias_heap_overflow,
    "batch_65536": lambda: chain(lambda m: setattr(tensor(m, "x"), "shape", [65536, 16, 16, 3])),
    "capacity_2GiB": lambda: coded(lambda m: setattr(tensor(m, "features_0/fmtc_coded"), "shape", [1, 2**31 - 1])),
    "const_output_decode": lambda: coded(lambda m: _make_constant(m, "features_0/fmtc_decoded")),
    "conv_without_options": lambda: chain(_without_options),
    "escape_in_names": lambda: chain(_escapes),
    "fidelity_reshape": no_filter,
    "metadata_deep_json": lambda: coded(lambda m: _add_metadata(m, b'{"sites":' + b"[" * 100_000)),
    "metadata_of_wrong_types": lambda: coded(lambda m: _add_metadata(m, b'{"sites":[{"coded_bytes":7}],"totals":3}')),
    "profile_bad_side_info": lambda: coded(
        lambda m: setattr(
            m.buffers[tensor(m, "features_0/fmtc_side_information").buffer], "data", np.zeros(64, np.uint8)
        )
    ),
    "profile_keyerror": lambda: coded(lambda m: _reorder(m, (0, 2, 1, 3, 4, 5, 6))),
    "restore_keyerror": lambda: coded(lambda m: setattr(ops(m)[4], "inputs", ops(m)[5].outputs[[0, 0]])),
    "runtime_message_not_utf8": lambda: changed(model_builder.residual(), _custom_code_that_is_no_text),
    "runtime_refuses_invoke": lambda: chain(lambda m: setattr(m.buffers[1], "data", None)),
    "runtime_refuses_open": lambda: chain(lambda m: setattr(tensor(m, "conv_1/weights"), "shape", [8, 3, 9, 8])),
    "runtime_refuses_prepare": lambda: chain(lambda m: setattr(tensor(m, "features_2").quantization, "scale", [0.0])),
    "runtime_sigabrt": tensor_without_scale,
    "runtime_sigsegv": depthwise_without_bias,
    "stride_zero": lambda: chain(lambda m: setattr(ops(m)[0].builtinOptions, "strideH", 0)),
    "unsorted_ops": lambda: chain(lambda m: _reorder(m, (0, 2, 1))),
}


def main() -> None:
    folder = Path(sys.argv[1])
    for name, build in MODELS.items():
        (folder / f"{name}.tflite").write_bytes(build())


if __name__ == "__main__":
    main()
