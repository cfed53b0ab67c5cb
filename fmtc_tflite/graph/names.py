"""What this package calls its ops, tensors and metadata in a model file."""

from __future__ import annotations

ENCODE = "FMTC_ENCODE"
DECODE = "FMTC_DECODE"
OP_VERSION = 1
REGION = "FMTC_REGION"
REGION_VERSION = 1
VIEW_FORMAT_VERSION = 2  # of FORMAT.md: at least that, in the options of a DECODE that writes a view

METADATA_NAME = "fmtc_conversion"  # the report of a conversion
REMOVED_METADATA_NAME = "fmtc_removed_ops"  # ops that decoders do the work of, as they were
REFIT_METADATA_NAME = "fmtc_refit"  # which tensors the convolutions with changed weights write
RESTORE_METADATA_NAME = "fmtc_regions"  # what the graph before its regions or folded maps comes back from

# Tensors of a feature map have its name and one of these.
CODED_SUFFIX = "/fmtc_coded"
DECODED_SUFFIX = "/fmtc_decoded"
COEFFICIENTS_SUFFIX = "/fmtc_coefficients"
SIDE_INFORMATION_SUFFIX = "/fmtc_side_information"
TABLE_SUFFIX = "/fmtc_table"
WEIGHTS_SUFFIX = "/fmtc_weights"
BIAS_SUFFIX = "/fmtc_bias"
PROGRAM_SUFFIX = "/fmtc_region"  # behind the name of a region's first output
