"""Folded maps: what a pointwise convolution writes is computed by the decoder from what the convolution reads.

A 1x1 convolution from r channels to C >= r (the first of a MobileNetV2 block) writes a map whose pre-activation has
rank r. Its KLT has r components, and they span the same space as the r channels that the convolution reads. Where
these are coded anyway, they serve for both: nothing is stored for the wider map, whose decoders read the narrow map's
coded form with a synthesis that is the convolution itself, in the integer arithmetic of a kernel set: to the last bit
where the narrow map is coded without loss.
"""

from __future__ import annotations

import platform

import numpy as np

from fmtc_tflite.coding.convolution import Convolution
from fmtc_tflite.errors import CodingError, ModelFormatError
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds.multiply_accumulate import pointwise_weights
from fmtc_tflite.regions.ops import OpRefusedError
from fmtc_tflite.runtime.interpreter import chosen_runtime, default_kernels, has_vectors
from fmtc_tflite.types import ConvertOptions

# Bits a value that a map about takes without loss, where nothing is known of it.
_LOSSLESS_BITS = 4


def chosen_kernels(options: ConvertOptions) -> KernelSet:
    """The kernels whose results a conversion keeps: those that are asked for, else what the runtime does by default.

    Raises:
      UsageError, RuntimeLibraryError: see chosen_runtime.
    """
    runtime = chosen_runtime(options.runtime)
    name = default_kernels(runtime) if options.kernels == "auto" else options.kernels
    target = "aarch64" if platform.machine().lower() in ("aarch64", "arm64") else "x86_64"
    return KernelSet(name, target, has_vectors(runtime))


def folded_convolution(site: Site, kernels: KernelSet) -> Convolution | None:
    """What a decoder would compute in the place of the map's producer.

    None where the producer is no pointwise convolution that does not narrow an 8-bit map, or where its arithmetic under
    these kernels is not known.
    """
    op, target = site.producer, site.tensor
    source = op.inputs[0] if op.inputs else None
    if op.opcode != "CONV_2D" or source is None or source.data is not None or len(source.shape) != 4:
        return None
    if source.shape[0] != target.shape[0] or source.shape[3] > target.shape[3]:
        return None
    try:
        weights = pointwise_weights(op, kernels)
        found = Convolution(
            weights.values[:, 0, 0, :], weights.zero, weights.biases.astype(np.int32), weights.requantization
        )
        found.check()
    except (OpRefusedError, ModelFormatError, CodingError):
        return None
    return found


def net_side_information_bits(convolution: Convolution) -> int:
    """About the bits of a folded map's side information beyond the weights and biases of the convolution that leaves.

    The decoder reads all of it once per inference, where the convolution read its weights and biases: what counts is
    the rest, multipliers of the outputs and the source's quantization once more.
    """
    _, _, *rest = convolution.sections()
    return 8 * (sum(map(len, rest)) + 2 * convolution.weights.shape[1])


def lossless_bits(site: Site) -> int:
    """About what storing a map without loss takes."""
    return _LOSSLESS_BITS * site.values
