"""`fmtc-eval`: one model, or two side by side, over data."""
