"""The command that renders both."""

import subprocess
import sys
from pathlib import Path

import pytest

from launch.render import Kubernetes, TpuVm

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    "given, says",
    [
        ("-- --config=c", "--for is needed: tpu_vm or kubernetes"),
        ("--for=slurm", "--for=slurm"),
        ("--for=kubernetes --storage=a -- --config=c", "--image= has to be"),
        ("--for=kubernetes --image=a --storage=10.0.0.1:/a", "PersistentVolumeClaim"),
        ("--for=kubernetes --image=a --storage=a --zone=b", "--zone is not an option"),
        ("--for=kubernetes --image=a --storage=a --name=A_b", "--name=A_b has to be"),
        ("--for=kubernetes --image=a --storage=a --topology=2x2", "--accelerator"),
        ("--for=kubernetes --image=a --storage=a --accelerator=l4", "needs --gpus"),
        ("{pods} --accelerator=t --topology=2x2 --hosts=3", "4 chips, which are not"),
        ("{pods} --hosts=0", "--hosts"),
        ("{pods}", "--config=… of regen_jax.train is needed after --"),
        ("{pods} -- --config=c", "--workdir=… of regen_jax.train is needed"),
        ("{pods} -- --config=c --workdir=gs://a/b", "has to be on the storage"),
        ("{pods} -- --config=c --workdir=/runs/br[1]", "reads as a pattern"),
    ],
)
def test_what_does_not_fit_is_one_line(given, says):
    given = given.format(pods="--for=kubernetes --image=a --storage=a")
    done = render(*given.split())
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and says in line


def render(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "launch.render", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "kind, options",
    [
        (
            TpuVm,
            {
                "storage": "10.0.0.2:/runs",
                "zone": "us-west4-a",
                "accelerator": "v5litepod-16",
                "runtime": "v2-alpha-tpuv5-lite",
                "prepare": ("digits", "spoken_digits"),
                "spot": True,
            },
        ),
        (
            Kubernetes,
            {"storage": "runs", "image": "regen-jax:1", "hosts": 2, "gpus": 8},
        ),
    ],
)
def test_command_prints_what_it_renders(kind, options, arguments):
    target = "tpu_vm" if kind is TpuVm else "kubernetes"
    values = {
        name: ",".join(value) if isinstance(value, tuple) else value
        for name, value in options.items()
    }
    flags = [f"--{name}={value}" for name, value in values.items()]
    done = render(f"--for={target}", *flags, "--", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout == kind(**options).render(arguments)
    assert "Untested on a real" in done.stdout[:200]
