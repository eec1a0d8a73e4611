"""Groups of a made-up generator and its discriminators, with stacked layers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.training.optimizers.adamw import AdamW
from regen_jax.training.optimizers.decay import decayed
from regen_jax.training.optimizers.groups import group_labels, grouped
from regen_jax.training.optimizers.interface import ParameterGroup
from tests.training.descent import Descent

PARAMS = {
    "decoder": {
        "layers": {
            "attention": {
                "qkv": {"kernel": jnp.ones((2, 8, 3, 2, 4)), "bias": jnp.ones((2, 24))},
                "out": {"kernel": jnp.ones((2, 2, 4, 8))},
            },
            "norm": {"scale": jnp.ones((2, 8))},
        },
        "embedding": jnp.ones((16, 8)),
    },
    "discriminators": {"conv": {"kernel": jnp.ones((3, 3, 1, 8))}},
}


def updates(optimizer, grads=PARAMS):
    transform = grouped(optimizer, optax.constant_schedule(0.1))
    return transform.update(grads, transform.init(PARAMS), PARAMS)[0]


def test_first_pattern_that_occurs_in_the_path_decides():
    groups = (ParameterGroup("^disc"), ParameterGroup("kernel|embed"))
    labels = group_labels(AdamW(groups=groups), PARAMS)
    assert labels == {
        "decoder": {
            "layers": {
                "attention": {
                    "qkv": {"kernel": "1", "bias": "others"},
                    "out": {"kernel": "1"},
                },
                "norm": {"scale": "others"},
            },
            "embedding": "1",
        },
        "discriminators": {"conv": {"kernel": "0"}},
    }


def test_each_group_has_its_optimizer_rate_and_clipping():
    large = jax.tree.map(lambda leaf: 1e3 * leaf, PARAMS["discriminators"])
    grads = {**PARAMS, "discriminators": large}
    group = ParameterGroup("^discriminators/", 0.5, Descent(clip_norm=6.0))
    alone = updates(AdamW(clip_norm=2.0))["decoder"]
    both = updates(AdamW(clip_norm=2.0, groups=(group,)), grads)
    # 72 equal values that are scaled to a norm of 6.
    expected = np.full((3, 3, 1, 8), -0.1 * 0.5 * 6 / np.sqrt(72))
    np.testing.assert_allclose(
        both["discriminators"]["conv"]["kernel"], expected, rtol=1e-6
    )
    # The first step of Adam does not depend on the norm, but that of decay alone would.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), both["decoder"], alone
    )


def test_group_without_optimizer_takes_that_of_the_others():
    groups = (ParameterGroup("embedding", learning_rate_scale=0.25),)
    scaled = updates(Descent(groups=groups, clip_norm=1.0))["decoder"]["embedding"]
    # Clipped by the norm of its own gradients, 128 ones.
    expected = np.full((16, 8), -0.25 * 0.1 / np.sqrt(128))
    np.testing.assert_allclose(scaled, expected, rtol=1e-6)


def test_kernels_are_decayed_whatever_their_number_of_axes():
    layers = {
        "attention": {
            "qkv": {"kernel": True, "bias": False},
            "out": {"kernel": True},
        },
        "norm": {"scale": False},
    }
    assert decayed(PARAMS) == {
        "decoder": {"layers": layers, "embedding": False},
        "discriminators": {"conv": {"kernel": True}},
    }


def test_groups_within_a_group_raise_value_error():
    inner = AdamW(groups=(ParameterGroup("bias"),))
    with pytest.raises(
        ValueError, match=r"groups\[0\].optimizer has groups of its own"
    ):
        AdamW(groups=(ParameterGroup("kernel", optimizer=inner),))
