"""Fused regions: groups of ops that one FMTC_REGION op computes row by row (custom_ops/REGION.md)."""
