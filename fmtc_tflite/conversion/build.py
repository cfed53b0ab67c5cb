"""From plans to the converted model."""

from collections.abc import Sequence

from fmtc_tflite.conversion.treatment import SitePlan
from fmtc_tflite.graph.edits.insert_codec import SiteInsertion, insert_codec
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.graph.sites import find_sites


def build_converted(content: bytes, plans: Sequence[SitePlan]) -> Model:
    """A fresh copy of the model with ENCODE and DECODE inserted at every coded plan.

    Args:
      content: the original model.
      plans: one per candidate, in the order in which find_sites gives them.
    """
    model = load_model(content)
    insertions = [
        SiteInsertion(site, plan.info.to_bytes(), plan.item_capacity, plan.folded, plan.rotated)
        for site, plan in zip(find_sites(model), plans, strict=True)
        if plan.coded and plan.info is not None
    ]
    insert_codec(model, insertions)
    return model


def only(plans: Sequence[SitePlan], chosen: Sequence[SitePlan]) -> list[SitePlan]:
    """The plans with all but the chosen ones left out."""
    return [p if p in chosen else SitePlan(p.site, p.treatment, reason="left out") for p in plans]
