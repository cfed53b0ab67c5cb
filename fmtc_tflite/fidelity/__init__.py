"""How far a converted model's outputs are from the original's: measures, and runs side by side."""
