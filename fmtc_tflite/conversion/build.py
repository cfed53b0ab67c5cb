"""From codings to the converted model."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fmtc_tflite.conversion.map_coding import MapCoding
from fmtc_tflite.graph.coded_maps import coded_maps
from fmtc_tflite.graph.edits.insert_codec import SiteCopy, SiteInsertion, insert_codec
from fmtc_tflite.graph.model import Buffer, Op, Subgraph
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.graph.names import REFIT_METADATA_NAME
from fmtc_tflite.graph.operators.window import operand
from fmtc_tflite.graph.sites import Site, find_sites
from fmtc_tflite.regions.restoration import FoldedOp, with_original


@dataclass(frozen=True, eq=False)
class Refit:
    """New constants of a convolution, of the types, shapes and scales that it had.

    Attributes:
      op: its number in the original subgraph.
      tensor: what it writes.
      weights: int8.
      biases: int32.
      error_ratio: mean squared error of its sums, over what it was with the original's constants.
    """

    op: int
    tensor: str
    weights: np.ndarray
    biases: np.ndarray
    error_ratio: float


def build_converted(content: bytes, codings: Sequence[MapCoding], refits: Sequence[Refit] = ()) -> Model:
    """The model, loaded anew, with ENCODE and DECODE inserted at every coded map, and what says one again left out.

    Args:
      content: the original model.
      codings: one per candidate of some subgraphs, in the order in which find_sites gives them.
      refits: of the main subgraph.
    """
    model = load_model(content)
    refit_into(model.subgraphs[0], refits)
    insert_into(model, codings)
    return model


def refit_into(subgraph: Subgraph, refits: Sequence[Refit]) -> None:
    """Gives convolutions of a subgraph that nothing was done to their new constants, in place."""
    for refit in refits:
        op = subgraph.ops[refit.op]
        for number, values in ((1, refit.weights), (2, refit.biases)):
            operand(op, number).buffer.data = np.frombuffer(values.tobytes(), np.uint8)


def insert_into(model: Model, codings: Sequence[MapCoding]) -> None:
    """The same in place, in a copy of the model that nothing was done to."""
    subgraphs = {c.site.subgraph.index for c in codings}
    sites = [site for site in find_sites(model) if site.subgraph.index in subgraphs]
    copies: dict[Site, list[SiteCopy]] = {}
    for site, c in zip(sites, codings, strict=True):
        if c.treated.copy is not None and c.treated.copy.site is not None:
            copies.setdefault(c.treated.copy.site, []).append(SiteCopy(site, c.treated.copy.view))
    insertions = [
        SiteInsertion(
            replace(site, consumers=_same_consumers(c.site, site)),
            c.info.to_bytes(),
            c.item_capacity,
            c.folded,
            c.treated.kernels if c.folded else None,
            c.rotated,
            copies.get(c.site, ()),
        )
        for site, c in zip(sites, codings, strict=True)
        if c.coded and c.info is not None
    ]
    insert_codec(model, insertions)


def _same_consumers(of: Site, there: Site) -> tuple[Op, ...]:
    """Those ops of a copy of a site's subgraph that are its consumers; a site may have fewer than its tensor."""
    ops = dict(zip(of.subgraph.ops, there.subgraph.ops, strict=True))
    return tuple(ops[op] for op in of.consumers)


def finished_file(
    content: bytes,
    converted: Model,
    buffers: Sequence[Buffer],
    codings: Sequence[MapCoding],
    refits: Sequence[Refit] = (),
) -> bytes:
    """The file of a finished model, with what the original comes back from where ops have left the graph.

    Where weights were changed, it says so instead: the original does not come back.

    Args:
      content: the original model.
      buffers: those of `converted` before it was edited, in the file's order.

    Raises:
      VerificationError: the original does not come back.
    """
    if refits:
        converted.metadata[REFIT_METADATA_NAME] = json.dumps([r.tensor for r in refits]).encode()
        return converted.to_bytes()
    ops = {
        (c.site.subgraph.index, c.site.name): c.site.subgraph.ops.index(c.site.producer) for c in codings if c.folded
    }
    if not ops:
        return converted.to_bytes()
    maps = [(subgraph.index, m) for subgraph in converted.subgraphs for m in coded_maps(subgraph) if m.is_folded]
    folded = [FoldedOp(index, ops[index, m.name], m.side.buffer) for index, m in maps]
    return with_original(content, converted, buffers, folded=folded)


def only(codings: Sequence[MapCoding], chosen: Collection[Site]) -> list[MapCoding]:
    """The codings with all but the chosen maps left out."""
    return [c if c.site in chosen else MapCoding(c.treated.skipped("left out")) for c in codings]
