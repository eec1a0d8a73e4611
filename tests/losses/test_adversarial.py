"""The adversarial loss: closed forms, and which side gets which gradient."""

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.losses.adversarial import (
    Adversarial,
    discriminator_loss,
    feature_loss,
    generator_loss,
)
from regen_jax.networks.discriminators.interface import Judgement
from regen_jax.networks.discriminators.spectrum import Spectrum
from regen_jax.spaces import Array, Padded


def judgement(*logits: list[float], mask=((True, True),)) -> Judgement:
    logits = jnp.asarray(logits, jnp.float32)[..., None]
    return Judgement(logits, [logits[..., None]], jnp.asarray(mask))


def test_losses_are_hinges_over_frames_in_the_mask():
    real = [judgement([2.0, 0.5]), judgement([-1.0, 9.0], mask=[[True, False]])]
    fake = [judgement([-3.0, 0.5]), judgement([1.0, 9.0], mask=[[True, False]])]
    loss = discriminator_loss(real, fake)
    np.testing.assert_allclose(loss, [((0 + 0) + (0.5 + 1.5)) / 2 / 2 + (2 + 2) / 2])
    np.testing.assert_allclose(generator_loss(fake), [(4 + 0.5) / 2 / 2 + 0])
    np.testing.assert_allclose(feature_loss(real, fake), [(5 + 0) / 2 / 2 + 2 / 2])


def test_each_side_gets_the_gradient_of_its_own_loss_alone():
    term = Adversarial(discriminator=Spectrum((64,), (4, 4)))
    space = Array((160,), -1.0, 1.0, padded=True)
    rng = np.random.default_rng(0)
    wave, target = rng.normal(size=(2, 2, 160)).astype(np.float32)
    target = Padded(target, np.array([160, 90]))
    params = jax.tree.map(
        lambda p: rng.normal(0, 0.3, p.shape).astype(np.float32),
        jax.eval_shape(lambda key: term.init(key, space), jax.random.key(0)),
    )

    @jax.jit
    def gradients(params, wave):
        def losses(params, wave):
            output = term(params, space, wave, target)
            return jnp.stack([output.loss.sum(), output.own_loss.sum()])

        values, pull = jax.vjp(losses, params, wave)
        return values, [pull(row) for row in jnp.eye(2)]

    values, (of_model, of_discriminator) = gradients(params, wave)
    assert np.all(np.asarray(values) > 0)
    assert np.any(of_model[1]) and not np.any(of_discriminator[1])
    assert not any(np.any(x) for x in jax.tree.leaves(of_model[0]))
    for path, gradient in jax.tree_util.tree_leaves_with_path(of_discriminator[0]):
        assert np.any(gradient), path
