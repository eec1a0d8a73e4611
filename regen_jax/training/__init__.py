"""Stages, states, the loop, devices and checkpoints."""
