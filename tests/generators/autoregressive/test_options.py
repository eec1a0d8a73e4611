import dataclasses

import pytest

from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.spaces import Tokens
from tests.errors import value_error

MODEL = Autoregressive(Tokens(2, 5), Tokens(4, 3), width=8, num_layers=1, num_heads=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"conditioning": "film"},
            "conditioning must be 'prefix', 'cross' or 'aligned', not 'film'",
        ),
        ({"num_heads": 3}, "num_heads 3 does not divide width 8"),
        ({"num_heads": 0}, "num_heads must be at least 1, not 0"),
        ({"mlp_ratio": 0.0}, "mlp_ratio must be above 0, not 0.0"),
        (
            {"mlp_ratio": 1e30},
            "mlp_ratio must give an MLP of 1 to 512 numbers, 64 times width, not 1e+30",
        ),
        (
            {"constraint_weight": 1e38},
            "constraint_weight must be at most 1000000, not 1e+38",
        ),
        ({"length_penalty": 99.0}, "length_penalty must be at most 10, not 99.0"),
        ({"dropout": 1.0}, "dropout must be in [0, 0.99609375], not 1.0"),
        ({"source_dropout": -0.1}, "source_dropout must be in [0, 1), not -0.1"),
        ({"dtype": "half"}, "dtype must be 'float32' or 'bfloat16', not 'half'"),
        (
            {"guidance": 2.0, "source_dropout": 0.0},
            (
                "guidance 2.0 needs source_dropout above 0: the prediction without a "
                "source would never be trained"
            ),
        ),
        ({"temperature": -1.0}, "temperature must be in [0, 1000000], not -1.0"),
        (
            {"temperature": 1e-40},
            "temperature must be 0 or at least 1.18e-38 in size, not 1e-40",
        ),
        ({"guidance": 1e38}, "guidance must be in [0, 1000], not 1e+38"),
        ({"top_k": -1}, "top_k must be 0 or more, not -1"),
        ({"top_p": 0.0}, "top_p must be in (0, 1], not 0.0"),
        ({"encoder_layers": -1}, "encoder_layers must be 0 or more, not -1"),
        ({"length_penalty": -1.0}, "length_penalty must be 0 or more, not -1.0"),
        ({"beam_size": -1}, "beam_size must be 0 or more, not -1"),
        (
            {"beam_size": 2, "target_space": Tokens(4, 3, depth=2)},
            "beam_size 2 needs a target one token deep, not Tokens(4 x 2 of 3)",
        ),
        (
            {"rotary": True, "width": 6},
            "rotary rotates pairs of numbers: width / num_heads must be even, not 6 / 2",
        ),
        ({"source_stride": 0}, "source_stride must be at least 1, not 0"),
        (
            {"source_stride": 2},
            (
                "source_stride 2 needs a source Array(time, channels), not "
                "Tokens(2 of 5)"
            ),
        ),
        ({"ctc": 1.0}, "ctc must be in [0, 1), not 1.0"),
        (
            {"ctc": 0.3},
            (
                "ctc 0.3 needs encoder_layers of at least 1 and a padded target one token "
                "deep, not 0 and Tokens(4 of 3)"
            ),
        ),
    ],
)
def test_unfit_option_raises(options, message):
    assert value_error(dataclasses.replace, MODEL, **options) == message


def test_options_of_sampling_leave_network():
    changed = {
        "guidance": 2.0,
        "temperature": 0.5,
        "top_k": 2,
        "top_p": 0.5,
        "beam_size": 2,
        "length_penalty": 0.5,
        "constraint_weight": 1.0,
    }
    assert Autoregressive.sampling == set(changed)
    for name, value in changed.items():
        target = dataclasses.replace(MODEL.target_space, constraints=abs)
        model = dataclasses.replace(MODEL, target_space=target, **{name: value})
        assert model != MODEL and model.network == MODEL.network
