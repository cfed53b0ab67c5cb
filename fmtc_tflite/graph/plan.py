"""What to insert, as plain data: decisions in, InsertionPlan out. `rewrite` carries it out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model import Op
from fmtc_tflite.graph.sites import Site

MAX_OPS_BETWEEN_SHARERS = 1


@dataclass(frozen=True, eq=False)
class SiteInsertion:
    """One feature map to be coded.

    Attributes:
        side_information: the constant that both ops read, as `FORMAT.md` defines it.
        item_capacity: bytes of the coded tensor per batch item; its shape is [N, item_capacity].
        folded: the map is not stored. Its decoders read the coded form of what its producer reads, which an earlier
            insertion has, and the producer is taken out, since their synthesis does its work.
    """

    site: Site
    side_information: bytes
    item_capacity: int
    folded: bool = False


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
