"""What TFLite's operators read and do, as facts: windows, constants, activation clamps, fixed-point multipliers.

Decoded here and nowhere else. A function raises ModelFormatError (one line, naming the op's first output) where the
file contradicts itself; it never guesses.
"""
