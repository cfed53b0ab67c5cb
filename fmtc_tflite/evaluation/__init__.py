"""Preprocessing, metrics and fidelity measures: the one implementation that all tools share."""
