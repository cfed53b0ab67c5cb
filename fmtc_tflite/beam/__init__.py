"""Calibration and evaluation as Apache Beam pipelines, for data that outgrow one machine.

What runs is the very work of fmtc-convert and fmtc-eval, shard by shard, with their statistics and metrics; Beam's
runner (processes of this machine, Dask, Flink, Spark, Dataflow) says where. Sums are integers, floating-point ones are
kept per sample or added exactly, so results equal those of one process whatever the shards and the order of merging.

The machine that starts a pipeline reads the list of the samples once. Models, and of each shard the list of its
samples, go to the workers through a folder that all share, and what a shard came to comes back through it
(`job_folder`). A shard is done when its file is there, so that runners may repeat what they like, and the same command
goes on after an interruption.
"""

from __future__ import annotations

import logging

from fmtc_tflite.errors import UsageError

logging.disable(logging.WARNING)  # it warns at each import where Google's clients are not installed
try:
    from fmtc_tflite.beam.calibration import calibrate
    from fmtc_tflite.beam.evaluation import evaluate
    from fmtc_tflite.beam.readability import unreadable
except ImportError as error:
    raise UsageError(f"--beam: Apache Beam does not load ({error}); run `pip install 'apache-beam>=2.60'`") from error
finally:
    logging.disable(logging.NOTSET)

__all__ = ["calibrate", "evaluate", "unreadable"]
