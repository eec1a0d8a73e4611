"""Runs commands as forks of an interpreter that has imported what they need.

A request a line on stdin, as JSON; the exit status of each on stdout. Commands start in
milliseconds so, and each is still a process of its own.
"""

import gc
import json
import os
import runpy
import sys
import traceback
import warnings

import launch.report  # noqa: F401
import regen_jax.cli.evaluate_run
import regen_jax.cli.sample_run
import regen_jax.cli.train_run
import regen_jax.data.tfds.prepare  # noqa: F401
from regen_jax.config import options_table
from tests import faster_jax


def become(
    module: str, arguments: list[str], environment: dict, folder: str, output: str
) -> None:
    """`python -m module arguments` in this process, in that folder."""
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{output}/{name}", os.O_CREAT | os.O_WRONLY), number)
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [os.path.abspath(path) for path in paths if path]
    status = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as exit:
        status = exit.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    # JAX warns of forks; nothing of it has started here.
    warnings.simplefilter("ignore", RuntimeWarning)
    options_table.parts()  # Imports them all.
    faster_jax.install()
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
