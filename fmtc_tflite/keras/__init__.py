"""From Keras models (tf-keras, TF-MOT) to converted `.tflite` files, and codec-aware fine-tuning before that.

Needs the extra `tensorflow`. Import this package before TensorFlow, or set TF_USE_LEGACY_KERAS=1: TF-MOT needs that.
"""

from __future__ import annotations

from fmtc_tflite.keras.convert import convert_keras
from fmtc_tflite.keras.finetune import fmtc_annotate_layer, fmtc_annotate_model, fmtc_apply, fmtc_strip

__all__ = ["convert_keras", "fmtc_annotate_layer", "fmtc_annotate_model", "fmtc_apply", "fmtc_strip"]
