"""What the commands share: flags, the workdir, loading a run."""
