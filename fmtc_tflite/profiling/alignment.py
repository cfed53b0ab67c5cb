"""Which op of the original each op of a converted graph stands for, so that pictures of the two align."""

from __future__ import annotations

from fmtc_tflite.graph.coded_maps import is_codec_op
from fmtc_tflite.graph.model import Subgraph
from fmtc_tflite.graph.names import ENCODE


def original_positions(subgraph: Subgraph, original: Subgraph) -> list[int]:
    """For each op of a converted graph a position among the original's ops; they never go back.

    An encoder is where the op before it is, whose output it codes; a decoder where the op after it is, which reads
    what it writes. The ops that folding took out are where no op of the converted graph is.

    Args:
      original: the graph that it was made from, or itself.
    """
    by_output = {t.name: i for i, op in enumerate(original.ops) for t in op.outputs if t is not None}
    last, found = max(len(original.ops) - 1, 0), list[int | None]()
    for op in subgraph.ops:
        named = [by_output[t.name] for t in op.outputs if t is not None and t.name in by_output]
        found.append(None if is_codec_op(op) or not named else max(named))
    positions, following = [0] * len(found), last
    for i, own in reversed([*enumerate(found)]):
        following = following if own is None else min(following, own)
        positions[i] = following
    before = 0
    for i, op in enumerate(subgraph.ops):
        if found[i] is None and op.opcode == ENCODE:
            positions[i] = before
        before = positions[i] = max(before, positions[i])
    return positions
