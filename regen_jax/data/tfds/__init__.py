"""Data sets in the format of TensorFlow Datasets, read without TensorFlow."""
