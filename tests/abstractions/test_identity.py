import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.identity import Identity
from regen_jax.spaces import Array, Category, Tokens, zeros


@pytest.mark.parametrize("space", [Category(3), Tokens(4, 5), Array((2, 3))])
def test_values_of_every_space_are_unchanged(space):
    abstraction = Identity(space)
    value = zeros(space, 2) + jnp.arange(2).reshape(2, *[1] * len(space.shape))
    assert abstraction.output_space == space
    assert abstraction.lossless and abstraction.invertible and not abstraction.learned
    np.testing.assert_array_equal(abstraction.encode({}, value), value)
    np.testing.assert_array_equal(abstraction.decode({}, value), value)


def test_identity_is_not_learned():
    with pytest.raises(NotImplementedError, match="Identity is not learned"):
        Identity(Category(3)).init(None, None)
