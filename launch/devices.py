"""GPUs shared out among runs on one machine. Imports nothing of JAX."""

from collections.abc import Mapping
from pathlib import Path

from regen_jax.errors import UserError


def slots_for(parallel: int, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """What to add to the environment of each of some runs at a time: its GPUs.

    Raises:
      UserError: there are GPUs, but fewer than runs.
    """
    devices = visible_gpus(environment)
    if parallel == 1 or not devices:
        return [{} for _ in range(parallel)]
    share = len(devices) // parallel
    if not share:
        raise UserError(
            f"--parallel={parallel} is more than the {len(devices)} visible GPUs"
        )
    return [
        {"CUDA_VISIBLE_DEVICES": ",".join(devices[i * share : (i + 1) * share])}
        for i in range(parallel)
    ]


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """Names of the NVIDIA GPUs that a process of this environment would use."""
    if environment.get("JAX_PLATFORMS") == "cpu":
        return []
    given = environment.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        named = [name.strip() for name in given.split(",") if name.strip()]
        return named[: named.index("-1")] if "-1" in named else named
    count = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return [str(number) for number in range(count)]
