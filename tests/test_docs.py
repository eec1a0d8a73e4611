"""Commands and Python examples of all documents run as they stand.

Only the default size of the configs is tiny here, by a copy of `configs/`, and their
runs of all defaults stand where they would be, finished: `train` has written them too.
"""

import re
import runpy
import shlex
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from launch.configured import configure
from regen_jax.interfaces import Abstraction, Generator, Task

ON_DIGITS = (
    r"=configs/digits\.py(?!:abstraction=fsq)|workdir=runs/digits |workdir=runs/digits$"
)
ROOT = Path(__file__).parent.parent
DOCS = [
    ROOT / name
    for name in (
        "README.md",
        "configs/README.md",
        "regen_jax/README.md",
        "launch/README.md",
        "experiments/README.md",
        "CONTRIBUTING.md",
    )
]
"""In the order in which a reader follows them."""
README = "\n".join(path.read_text() for path in DOCS)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    return [line.split("  #")[0] for line in lines if "python -m regen_jax" in line]


@pytest.fixture(scope="module")
def scopes(tmp_path_factory, digits_dir, trained):
    """What each Python example defines; each runs once, in a folder of its own."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(trained, folder / "runs" / "tiny")
    scopes = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("TFDS_DATA_DIR", digits_dir)
        for source in blocks("python"):
            scopes.append({"__name__": "readme"})
            exec(source, scopes[-1])
    return scopes


@pytest.fixture(scope="module")
def examples(scopes):
    """The classes that the Python examples define, by the seam they derive from."""
    values = [value for scope in scopes for value in scope.values()]
    defined = [
        value
        for value in values
        if isinstance(value, type) and value.__module__ == "readme"
    ]
    return {
        base: [one for one in defined if issubclass(one, base)]
        for base in (Abstraction, Generator, Task)
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as README's reader has it: configs, and the file that README shows."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "configs").mkdir()
    for path in (ROOT / "configs").glob("*.py"):
        config = path.read_text()
        if "\ndef get_config(" in config:
            config += '\nCHOICES["size"] = ("tiny", *CHOICES["size"])\n'
        (folder / "configs" / path.name).write_text(config)
    (parts,) = (block for block in blocks("python") if "# my_parts.py" in block)
    (folder / "my_parts.py").write_text(parts)
    return folder


def test_commands_run_in_their_order(command, folder, digits_dir, trained):
    """Those on digits; of speech, runs of other tests take long enough."""
    shutil.copytree(trained, folder / "runs" / "digits")
    lines = [line for line in commands() if re.search(ON_DIGITS, line)]
    assert len(lines) >= 5
    for line in lines:
        words = shlex.split(line)
        python = words.index("python")
        # As `python -m` does, the folder comes before others where modules are.
        environment = {"PYTHONPATH": str(folder)}
        environment |= dict(word.split("=", 1) for word in words[:python])
        assert words[python + 1] == "-m"
        done = command.run(
            *words[python + 2 :],
            folder=folder,
            **environment,
            TFDS_DATA_DIR=digits_dir,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert {path.name for path in (folder / "runs").iterdir()} >= {"digits", "shared"}


def test_other_configs_are_those_of_runs(folder, data_dir, speech_dir, monkeypatch):
    assert data_dir == speech_dir
    monkeypatch.chdir(folder)
    lines = [line for line in commands() if "--config=" in line]
    others = [line for line in lines if not re.search(ON_DIGITS, line)]
    assert len(others) >= 9
    for line in others:
        words = shlex.split(line)
        flags = [word for word in words if word.startswith("--config")]
        flags.append(f"--config.data.dir={speech_dir}")
        assert configure(line, {}, flags).stages


def rows_of_choices() -> list[tuple[str, str, str, str]]:
    """(config, its choices, prior, decoder) of each row of a table of choices."""
    rows, config = [], ""
    for line in README.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if head := re.fullmatch(r"`(configs/\w+\.py):…`", cells[0]):
            config = head[1]
        elif not line.startswith("|"):
            config = ""
        elif config and "---" not in line:
            choices = "" if cells[0] == "(default)" else cells[0].strip("`")
            rows.append((config, choices, *cells[2:4]))
    return rows


@pytest.mark.parametrize("config, choices, prior, decoder", rows_of_choices())
def test_table_of_choices_names_what_the_config_chooses(
    config, choices, prior, decoder
):
    made = runpy.run_path(str(ROOT / config))["get_config"](choices)
    assert prior.startswith(f"`{made.prior.name}`")
    assert decoder.startswith(f"`{made.decoder.name}`")


def test_tables_of_choices_are_found():
    files = (ROOT / "configs").glob("*.py")
    configs = {path.name for path in files if "\ndef get_config(" in path.read_text()}
    assert {row[0] for row in rows_of_choices()} == {f"configs/{c}" for c in configs}


@pytest.mark.parametrize("package", ["experiments", "launch"])
def test_other_commands_know_their_flags(command, package):
    """They take long: tests of their own run them. Here, what they are given is read."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    given = [shlex.split(x) for x in lines if f"python -m {package}" in x]
    assert given
    for words in given:
        module, *flags = words[words.index("-m") + 1 :]
        flags = flags[: flags.index("--")] if "--" in flags else flags
        known = command.run(module, "--helpfull").stdout
        for flag in flags:
            name = flag.removeprefix("--").split("=")[0].split(".")[0]
            assert f"--{name}:" in known or f"--[no]{name}:" in known, (module, flag)


def test_run_example_samples_and_evaluates(scopes):
    """It finds its run finished; `test_public_face.py` trains one."""
    (scope,) = (scope for scope in scopes if "samples" in scope)
    y = scope["samples"].y
    assert y.shape == (20, 28, 28, 1) and y.dtype == np.uint8
    assert not scope["failed"] and scope["metrics"]["samples/number"] == 20


def test_each_python_example_runs_and_one_derives_from_each_seam(examples):
    assert {base: len(classes) for base, classes in examples.items()} == {
        Abstraction: 1,
        Generator: 1,
        Task: 1,
    }


def test_task_example_gives_what_its_spaces_say(examples):
    task = examples[Task][0]()
    for split in ("train", "test"):
        for pair in task.examples(split)[:8]:
            assert pair["x"].shape == task.x.shape and pair["x"] < task.x.size
            assert pair["y"].shape == task.y.shape and pair["y"].dtype == np.uint8
            image = pair["y"] if pair["x"] else pair["y"].swapaxes(0, 1)
            assert (image == image[:, :1]).all() and np.ptp(image) == 255


def test_generator_example_learns_and_draws(examples):
    from regen_jax.spaces import Category, Tokens

    generator = examples[Generator][0](Category(2), Tokens(3, 4))
    variables = {"params": {"logits": np.log([[1, 1, 1, 1], [1, 2, 3, 2]])}}
    keys = jax.random.split(jax.random.key(0), 4000)
    a = np.ones(4000, np.int32)
    b = generator.sample(variables, keys, a)
    shares = np.bincount(np.asarray(b).reshape(-1), minlength=4) / b.size
    np.testing.assert_allclose(shares, np.array([1, 2, 3, 2]) / 8, atol=0.02)
    log_prob = generator.log_prob(variables, a[:1], np.array([[2, 2, 1]]))
    np.testing.assert_allclose(log_prob, np.log(3 / 8 * 3 / 8 * 2 / 8), rtol=1e-5)
