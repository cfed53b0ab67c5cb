"""The Python rules that are built into Bazel 4."""

py_library = native.py_library
