"""Metrics as pure functions of arrays or texts; they know no task and no model."""
