"""Abstractions of images."""
