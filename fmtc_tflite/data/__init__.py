"""Samples as a model's inputs: readers of every kind of data, preprocessing, and synthetic inputs."""
