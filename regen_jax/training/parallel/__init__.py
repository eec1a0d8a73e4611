"""Devices and processes: the only place that knows them."""
