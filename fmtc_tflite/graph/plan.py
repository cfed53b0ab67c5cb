"""What to insert, as plain data: decisions in, InsertionPlan out. `rewrite` carries it out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model import Op
from fmtc_tflite.graph.sites import Site

MAX_OPS_BETWEEN_SHARERS = 1


@dataclass(frozen=True, eq=False)
class RotatedConvolution:
    """Constants of a CONV_2D that emits r transform coefficients instead of the feature map.

    Attributes:
        weights: int8 [r, kernel height, kernel width, input channels], symmetric.
        weight_scales: float32 [r].
        bias: int32 [r].
        scale: of the coefficients, whose zero point is 0.
    """

    weights: np.ndarray
    weight_scales: np.ndarray
    bias: np.ndarray
    scale: float


@dataclass(frozen=True, eq=False)
class SiteInsertion:
    """One feature map to be coded.

    Attributes:
        side_information: the constant that both ops read, as `FORMAT.md` defines it.
        item_capacity: bytes of the coded tensor per batch item; its shape is [N, item_capacity].
        folded: the map is not stored. Its decoders read the coded form of what its producer reads, which an earlier
            insertion has, and the producer is taken out, since their synthesis does its work.
        rotated: the producer, a CONV_2D, gets these constants and no activation, and what it then writes is encoded.
    """

    site: Site
    side_information: bytes
    item_capacity: int
    folded: bool = False
    rotated: RotatedConvolution | None = None


@dataclass(frozen=True)
class InsertionPlan:
    """All feature maps to be coded, each at most once, in execution order."""

    insertions: tuple[SiteInsertion, ...]


def plan_decodes(consumers: Iterable[Op], view: GraphView) -> list[list[Op]]:
    """Groups the consumers of a map (in execution order) by the decode they share.

    A consumer shares the previous consumer's decode if at most one op lies between them; otherwise it gets a decode of
    its own, so that in between only the coded form lives.
    """
    groups: list[list[Op]] = []
    previous = None
    for op in consumers:
        position = view.position(op)
        if previous is not None and position - previous - 1 <= MAX_OPS_BETWEEN_SHARERS:
            groups[-1].append(op)
        else:
            groups.append([op])
        previous = position
    return groups
