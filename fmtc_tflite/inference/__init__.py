"""Running models with their tensors readable."""
