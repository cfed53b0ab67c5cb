"""Small converted models, made without the native library, for tests that look at graphs and do not run them."""

from __future__ import annotations

import numpy as np

from fmtc_tflite.coding.geometry import geometry
from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.coding.token_classes import TokenClass
from fmtc_tflite.graph.edits.insert_codec import SiteInsertion, insert_codec
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.graph.sites import Site, find_sites

_CLASS = TokenClass(offset=0, constant=0, log2_widths=(4,) * 16, counts=(4,) * 16)


def lossless(channels: int) -> SideInformation:
    """Side information of the simplest kind."""
    codes = np.zeros(channels, np.uint8)
    return SideInformation(channels, codes, codes, (_CLASS,))


def insertion(site: Site) -> SiteInsertion:
    """A lossless insertion with the capacity that always suffices."""
    channels = site.tensor.shape[3]
    capacity = geometry(*site.grid[1:], channels).item_capacity_bytes
    return SiteInsertion(site, lossless(channels).to_bytes(), capacity)


def converted(content: bytes, names: tuple[str, ...] | None = None) -> Model:
    """The model with its feature maps coded: those of these names, or all of subgraph 0."""
    model = load_model(content)
    sites = [s for s in find_sites(model) if s.subgraph.index == 0 and (names is None or s.name in names)]
    insert_codec(model, [insertion(site) for site in sites])
    return load_model(model.to_bytes())
