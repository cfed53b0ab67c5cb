"""From codings to the converted model."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fmtc_tflite.conversion.map_coding import MapCoding
from fmtc_tflite.graph.edits.insert_codec import SiteCopy, SiteInsertion, insert_codec
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.graph.sites import Site, find_sites


def build_converted(content: bytes, codings: Sequence[MapCoding]) -> Model:
    """The model, loaded anew, with ENCODE and DECODE inserted at every coded map, and what says one again left out.

    Args:
      content: the original model.
      codings: one per candidate of some subgraphs, in the order in which find_sites gives them.
    """
    model = load_model(content)
    subgraphs = {c.site.subgraph.index for c in codings}
    sites = [site for site in find_sites(model) if site.subgraph.index in subgraphs]
    copies: dict[Site, list[SiteCopy]] = {}
    for site, c in zip(sites, codings, strict=True):
        if c.treated.copy is not None and c.treated.copy.site is not None:
            copies.setdefault(c.treated.copy.site, []).append(SiteCopy(site, c.treated.copy.view))
    insertions = [
        SiteInsertion(site, c.info.to_bytes(), c.item_capacity, c.folded, c.rotated, copies.get(c.site, ()))
        for site, c in zip(sites, codings, strict=True)
        if c.coded and c.info is not None
    ]
    insert_codec(model, insertions)
    return model


def only(codings: Sequence[MapCoding], chosen: Collection[Site]) -> list[MapCoding]:
    """The codings with all but the chosen maps left out."""
    return [c if c.site in chosen else MapCoding(c.treated.skipped("left out")) for c in codings]
