"""The accuracy tool, from the source tree; the same as the installed `fmtc-eval`, which has the help."""

from fmtc_tflite.cli.evaluate import console_main

if __name__ == "__main__":
    console_main()
