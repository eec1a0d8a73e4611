"""Fixtures of the tests of launchers."""

import sys
import types
from pathlib import Path

import pytest

from launch import commands, supervisor
from launch.commands import Options

ROOT = Path(__file__).parent.parent.parent

# Stands in for the commands: logs its call, and obeys a file named after it.
STUB = """
import json, os, pathlib, signal, sys, time
command, *flags = sys.argv[1:]
options = dict(flag.split("=", 1) for flag in flags)
folder = pathlib.Path(options["--workdir"])
root = pathlib.Path(os.environ["STUB_ROOT"])
with open(root / "calls", "a") as calls:
    print(command, folder.name, os.environ.get("CUDA_VISIBLE_DEVICES"), file=calls)
order = root / f"{command} {folder.name}"
action = order.read_text() if order.exists() else ""
if action == "restart":
    order.unlink()
    sys.exit(75)
if action == "fail":
    sys.exit("working" + chr(10) + "error: it does not work")
if action == "slow":
    time.sleep(0.3)
if action == "wait":
    signal.signal(signal.SIGTERM, lambda *_: (print("saved"), sys.exit(75)))
    print("waiting", flush=True)
    time.sleep(60)
if command == "train":
    dropout = options.get("--config.prior.dropout", "0")
    (folder / "dropout").write_text(dropout)
if stage := options.get("--stop_after"):
    (folder / stage / "checkpoints" / "20").mkdir(parents=True, exist_ok=True)
if command == "evaluate":
    nll = abs(float((folder / "dropout").read_text()) - 0.1)
    split = options["--split"]
    metrics = {"prior/nll": nll if split == "validation" else -1.0}
    name = {"validation": "metrics_validation.json", "test": "metrics.json"}[split]
    (folder / name).write_text(json.dumps(metrics))
"""


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Replaces runs of a sweep by a script, which `stub.order(command, name, action)`."""
    root = tmp_path / "stub"
    root.mkdir()
    (root / "stub.py").write_text(STUB)
    monkeypatch.setenv("STUB_ROOT", str(root))
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.01)
    real = commands.commands_of

    def stubbed(training, options):
        return [
            [sys.executable, "-S", f"{root}/stub.py", name.split(".")[1], *flags]
            for _, _, name, *flags in real(training, options)
        ]

    monkeypatch.setattr(commands, "commands_of", stubbed)
    return types.SimpleNamespace(
        order=lambda command, name, action: (root / f"{command} {name}").write_text(
            action
        ),
        forget=lambda: [path.unlink() for path in root.glob("* *")],
        calls=lambda: (root / "calls").read_text().splitlines(),
    )


@pytest.fixture
def options(tmp_path, digits_dir):
    """Options of a sweep over two widths of the prior."""
    path = tmp_path / "sweep.py"
    path.write_text(
        "from launch.algebra import *\n"
        "get_sweep = lambda: grid('prior.width', 16, 32)\n"
    )
    return Options(
        f"{ROOT}/configs/digits.py:size=tiny",
        path,
        tmp_path / "run",
        extra=[f"--config.data.dir={digits_dir}"],
    )


@pytest.fixture
def write_sweep(options):
    """Puts (text) below the import of the sweep file of `options`."""

    def write(text):
        options.sweep.write_text(f"from launch.algebra import *\n{text}\n")

    return write


@pytest.fixture
def arguments():
    """Flags of `regen_jax.train` with all that shells mind."""
    return [
        "--config=configs/digits.py:abstraction=fsq",
        "--workdir=/runs/a b",
        '--config.data.name=it\'s "quoted" $HOME $(HOME) $(date) `date` \\ # {a: b}',
        "--config.data.dir=two\nlines: - é%!*?[]~",
    ]
