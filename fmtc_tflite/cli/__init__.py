"""Command-line tools: parse flags, call fmtc_tflite.api, map errors to exit codes."""
