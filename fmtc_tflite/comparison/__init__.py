"""Codecs beside one another on one model and one set of data: what tools/rate_accuracy.py runs."""
