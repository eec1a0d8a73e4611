"""Metrics of held-out data and of samples, as objects built for a report."""
