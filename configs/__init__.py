"""Configs: one file per task, and `common` with what they share."""
