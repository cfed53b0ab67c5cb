"""What conversions measure on the original model: statistics, sensitivities, components."""
