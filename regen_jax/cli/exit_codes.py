"""Exit codes of the commands that launchers understand. Imports nothing."""

REQUEUE = 75
"""The run was asked to stop and saved its state: the same command goes on (EX_TEMPFAIL)."""
