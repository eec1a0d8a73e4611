"""Starting runs: on this machine, under Slurm, in sweeps; and reading what came out."""
