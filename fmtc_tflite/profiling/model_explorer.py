"""Node data for Model Explorer (https://github.com/google-ai-edge/model-explorer): our figures on the graph."""

from __future__ import annotations

from typing import Any

# Colour-blind safe, light to dark: little to much.
_GRADIENT = ((0.0, "#ffffff"), (0.25, "#fde5b8"), (0.5, "#f9b25f"), (0.75, "#d9662a"), (1.0, "#8c2d04"))


def node_data(document: dict[str, Any]) -> dict[str, Any]:
    """Memory energy of each op in nJ, in the profile's traffic model, keyed by the ops' output tensors.

    The form is Model Explorer's for one graph: it colours the graph that is open when the file is loaded; with
    fused_regions, that is the original.
    """
    model, name = document["models"][-1], document["traffic_model"]
    ops = model["inside"]["ops"] if name == "fused_regions" else model["ops"]
    key = "total_pj" if document["codec_cost_included"] else "total_without_codec_pj"
    results = {op["outputs"][0]: {"value": round(op[name]["energy"][key] / 1e3, 3)} for op in ops if op["outputs"]}
    return {
        "name": f"memory energy, nJ ({document['memory_system']['name']}, {name}, estimated)",
        "results": results,
        "gradient": [{"stop": stop, "bgColor": colour} for stop, colour in _GRADIENT],
    }
