"""From a config to classes, instances and a run that fits together."""
