"""Changes of a graph, each with a file of its own. Nothing else in the package changes one."""
