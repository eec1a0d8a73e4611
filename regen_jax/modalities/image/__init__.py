"""Geometric transformations of images."""
