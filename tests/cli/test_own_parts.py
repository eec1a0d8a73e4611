"""Faulty parts of the user's own: `train` prints one line, and writes nothing."""

import pytest

from regen_jax.cli.train_run import train_run
from regen_jax.errors import UserError

MODULE = """
import dataclasses
from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer

@dataclasses.dataclass(frozen=True)
class Raises(VectorQuantizer):
    def __post_init__(self):
        super().__post_init__()
        raise RuntimeError("boom\\nof two lines")

def faulty(name, method, change):
    def changed(self, *arguments):
        return change(getattr(VectorQuantizer, method)(self, *arguments))
    part = dataclasses.make_dataclass(name, (), bases=(VectorQuantizer,), frozen=True)
    # After it is made, so that the checks of tests do not find the fault first.
    setattr(part, method, changed)
    return part

Narrow = faulty("Narrow", "apply", lambda out: out.replace(values=out.values[..., 1:]))
Nothing = faulty("Nothing", "apply", lambda out: None)
Mean = faulty("Mean", "apply", lambda out: out.replace(loss=out.loss.mean()))
Floats = faulty("Floats", "encode", lambda codes: codes + 0.5)
"""

FAULTS = {
    "no_syntax:VQ": r"cannot import 'no_syntax': SyntaxError: .*line 1\)",
    "no_name:VQ": "cannot import 'no_name': NameError at no_name.py:2: name 'nowhere'",
    "faulty:Raises": "Raises: RuntimeError at faulty.py:9: boom of two lines",
    "faulty:Narrow": "stage 'abstraction' with faulty:Narrow: ScopeParamShapeError at ",
    "faulty:Nothing": "stage 'abstraction' with faulty:Nothing: AttributeError at ",
    "faulty:Floats": "stage 'abstraction' with faulty:Floats: ",
    "faulty:Mean": "stage .abstraction. with faulty:Mean: ",
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "faulty.py").write_text(MODULE)
    (folder / "no_syntax.py").write_text("def broken(:\n")
    (folder / "no_name.py").write_text("\nnowhere\n")
    monkeypatch.syspath_prepend(str(folder))


def config_of(tiny_config, bottleneck):
    config = tiny_config("abstraction=vq")
    config.abstraction.bottleneck.name = bottleneck
    return config


@pytest.mark.parametrize("bottleneck, words", FAULTS.items(), ids=FAULTS)
def test_faulty_part_raises_user_error_before_anything_is_written(
    tiny_config, modules, tmp_path, bottleneck, words
):
    with pytest.raises(UserError, match=words):
        train_run(config_of(tiny_config, bottleneck), tmp_path / "run")
    assert not (tmp_path / "run").exists()
