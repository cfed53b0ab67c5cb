"""Where tables, steps and transforms come from: sample sources and the statistics taken over them."""
