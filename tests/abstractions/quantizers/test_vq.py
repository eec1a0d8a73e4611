import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.quantizers.vq import VectorQuantizer
from regen_jax.metrics.codebook import code_counts


def keys(number: int) -> jax.Array:
    return jax.random.split(jax.random.key(7), number)


def book(codes, counts) -> dict[str, jax.Array]:
    """A codebook of these vectors [K, D] and running counts [K]."""
    codes, counts = jnp.asarray(codes, jnp.float32), jnp.asarray(counts, jnp.float32)
    return {"codes": codes, "counts": counts, "sums": codes * counts[:, None]}


def step(quantizer: VectorQuantizer, codebook, rng, latents):
    """An update from one batch of latents, as the autoencoder makes it."""
    quantized = quantizer.quantize(codebook, keys(len(latents)), latents)
    counts = code_counts(quantized.codes, quantizer.codes)
    totals = {"code_counts": counts, **quantized.totals}
    return quantizer.update(codebook, rng, totals, quantized.examples)


def nearest(codes: np.ndarray, latents: np.ndarray) -> np.ndarray:
    distances = np.square(latents[..., None, :] - codes).sum(axis=-1)
    return distances.argmin(axis=-1)


def test_codes_are_the_nearest():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(11, 3))
    latents = rng.normal(size=(4, 5, 2, 3)).astype(np.float32)
    quantizer = VectorQuantizer(codes=11, dim=3)
    codebook = book(codes, np.ones(11))
    found = quantizer.encode(codebook, latents)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, nearest(codes, latents))
    np.testing.assert_array_equal(
        quantizer.decode(codebook, found), codes.astype(np.float32)[found]
    )


def test_distances_are_float32_whatever_the_latents():
    # Codes that bfloat16 cannot tell apart, and latents that it holds exactly.
    codes = np.array([[1.0, 3.0], [1.0078125 + 2**-10, 3.0], [1.0078125, 3.0]])
    quantizer = VectorQuantizer(codes=3, dim=2)
    latents = jnp.array([[[1.0, 3.0], [1.0078125, 3.0]]], jnp.bfloat16)
    codebook = book(codes, np.ones(3))
    quantized = quantizer.quantize(codebook, keys(1), latents)
    np.testing.assert_array_equal(quantized.codes, [[0, 2]])
    np.testing.assert_array_equal(quantizer.encode(codebook, latents), [[0, 2]])
    floats = [quantized.values, quantized.loss, *quantized.totals.values()]
    assert {x.dtype for x in floats} == {np.dtype(np.float32)}


def test_moving_averages_follow_the_reference():
    rng = np.random.default_rng(1)
    quantizer = VectorQuantizer(codes=5, dim=2, decay=0.8, revive_below=0.0)
    codes, counts = rng.normal(size=(5, 2)), rng.uniform(1, 3, 5)
    codebook = book(codes, counts)
    sums = codes * counts[:, None]
    for i in range(6):
        latents = rng.normal(size=(3, 4, 2)).astype(np.float32)
        codebook = step(quantizer, codebook, jax.random.key(i), latents)
        flat = latents.reshape(-1, 2)
        chosen = np.eye(5)[nearest(codes, flat)]
        counts = 0.8 * counts + 0.2 * chosen.sum(axis=0)
        sums = 0.8 * sums + 0.2 * chosen.T @ flat
        codes = sums / counts[:, None]
        np.testing.assert_allclose(codebook["counts"], counts, rtol=1e-5)
        np.testing.assert_allclose(codebook["sums"], sums, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(codebook["codes"], codes, rtol=1e-4, atol=1e-5)


def test_a_code_that_goes_unused_for_good_stays_put():
    quantizer = VectorQuantizer(codes=2, dim=1, decay=0.0, revive_below=0.0)
    codebook = book([[0.0], [9.0]], [1.0, 1.0])
    for i in range(3):
        codebook = step(quantizer, codebook, jax.random.key(i), jnp.full((1, 2, 1), 0.5))
    np.testing.assert_array_equal(codebook["codes"], [[0.5], [9.0]])


def test_commitment_reaches_the_latents_and_not_the_codebook():
    quantizer = VectorQuantizer(codes=4, dim=3, commitment=0.6)
    rng = np.random.default_rng(2)
    codebook = book(rng.normal(size=(4, 3)), np.ones(4))
    latents = rng.normal(size=(2, 5, 3)).astype(np.float32)

    def loss(codes, latents):
        return quantizer.quantize(
            {**codebook, "codes": codes}, keys(2), latents
        ).loss.sum()

    to_codes, to_latents = jax.grad(loss, (0, 1))(codebook["codes"], latents)
    e = np.asarray(codebook["codes"])[nearest(np.asarray(codebook["codes"]), latents)]
    # The loss of an example is a mean over its n = 5 x 3 values.
    np.testing.assert_allclose(to_latents, 2 * 0.6 * (latents - e) / 15, rtol=1e-4)
    np.testing.assert_array_equal(to_codes, np.zeros((4, 3)))
    per_example = quantizer.quantize(codebook, keys(2), latents).loss
    expected = 0.6 * np.square(latents - e).mean(axis=(1, 2))
    np.testing.assert_allclose(per_example, expected, rtol=1e-5)


def test_gradient_passes_straight_through():
    quantizer = VectorQuantizer(codes=4, dim=3)
    rng = np.random.default_rng(3)
    codebook = book(rng.normal(size=(4, 3)), np.ones(4))
    latents, weight = rng.normal(size=(2, 2, 5, 3)).astype(np.float32)

    def weighed(codes, latents):
        quantized = quantizer.quantize({**codebook, "codes": codes}, keys(2), latents)
        return jnp.sum(weight * quantized.values), quantized.values

    (to_codes, to_latents), values = jax.grad(weighed, (0, 1), has_aux=True)(
        codebook["codes"], latents
    )
    np.testing.assert_array_equal(to_latents, weight)
    np.testing.assert_array_equal(to_codes, np.zeros((4, 3)))
    codes = quantizer.encode(codebook, latents)
    np.testing.assert_allclose(values, codebook["codes"][codes], atol=1e-6)


@pytest.mark.parametrize(("number", "distinct"), [(40, 8), (5, 5)])
def test_starts_at_latents_of_the_batch(number, distinct):
    quantizer = VectorQuantizer(codes=8, dim=2)
    latents = np.random.default_rng(4).normal(size=(number, 2)).astype(np.float32)
    codebook = quantizer.init(jax.random.key(0), jnp.asarray(latents))
    codes = {tuple(code) for code in np.asarray(codebook["codes"])}
    assert codes <= {tuple(latent) for latent in latents} and len(codes) == distinct
    np.testing.assert_allclose(codebook["counts"], np.full(8, number / 8), rtol=1e-6)
    np.testing.assert_allclose(
        codebook["sums"], codebook["codes"] * number / 8, rtol=1e-6
    )
    other = quantizer.init(jax.random.key(1), jnp.asarray(latents))
    assert not np.array_equal(other["codes"], codebook["codes"])
    bfloat16 = quantizer.init(jax.random.key(0), jnp.asarray(latents, jnp.bfloat16))
    assert {x.dtype for x in bfloat16.values()} == {np.dtype(np.float32)}


class TestRevival:
    """Code 2 of 3 is far from every latent, and below the threshold after a step."""

    quantizer = VectorQuantizer(codes=3, dim=1, decay=0.5, revive_below=0.2)
    latents = jnp.array([[[1.0], [3.0]], [[1.5], [2.5]]])

    def revived(self) -> dict[str, jax.Array]:
        codebook = book([[1.0], [3.0], [-50.0]], [2.0, 2.0, 0.25])
        return step(self.quantizer, codebook, jax.random.key(0), self.latents)

    def test_a_dead_code_restarts_with_its_averages(self):
        codebook = self.revived()
        # Counts 0.5 * 2 + 0.5 * 2 twice, and 0.125, which is below 0.2 of their mean.
        mean = (2 + 2 + 0.125) / 3
        np.testing.assert_allclose(codebook["counts"], [2, 2, mean], rtol=1e-6)
        np.testing.assert_allclose(codebook["codes"][:2, 0], [1.125, 2.875], rtol=1e-6)
        fresh = float(codebook["codes"][2, 0])
        assert np.min(np.abs(fresh - self.latents)) < 1e-6
        np.testing.assert_allclose(codebook["sums"][2, 0], fresh * mean, rtol=1e-6)

    def test_it_stays_alive_where_it_was_put(self):
        codebook = self.revived()
        fresh = float(codebook["codes"][2, 0])
        # Nothing is assigned to it in either step: averages shrink, the vector stays.
        totals = {
            "code_counts": jnp.array([1.0, 1.0, 0.0]),
            "code_sums": jnp.array([[1.0], [3.0], [0.0]]),
        }
        offered = {"candidates": jnp.full((2, 2, 1), 77.0)}
        for i in range(2):
            codebook = self.quantizer.update(
                codebook, jax.random.key(i), totals, offered
            )
            np.testing.assert_allclose(codebook["codes"][2, 0], fresh, rtol=1e-5)

    def test_stale_averages_would_kill_it_at_once(self):
        """The bug that the two tests above hold off, in NumPy: only the code restarts."""
        stale_sum, stale_count, fresh = -50.0 * 0.125, 0.125, 2.0
        after = (0.5 * stale_sum + 0.5 * 0) / (0.5 * stale_count + 0.5 * 0)
        assert abs(after - fresh) > 50
        codebook = self.revived()
        kept = codebook["sums"][2] / codebook["counts"][2]
        np.testing.assert_allclose(kept, codebook["codes"][2], rtol=1e-6)

    def test_draws_different_latents_for_different_codes(self):
        quantizer = VectorQuantizer(codes=6, dim=1, decay=0.5, candidates=2)
        codebook = book(np.r_[[0.5], np.full(5, 99.0)][:, None], [5.0] + [0.01] * 5)
        latents = jnp.linspace(0, 1, 12).reshape(4, 3, 1)
        codes = step(quantizer, codebook, jax.random.key(0), latents)["codes"][1:, 0]
        assert len(np.unique(codes)) == 5
        offered = quantizer.quantize(codebook, keys(4), latents).examples["candidates"]
        assert offered.shape == (4, 2, 1)
        np.testing.assert_array_less(
            np.abs(codes[:, None] - offered.ravel()).min(axis=1), 1e-6
        )
        for example, latent in zip(offered, latents, strict=True):
            assert len(np.unique(example)) == 2 and np.isin(example, latent).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codes": 0}, "codes must be at least 1, not 0"),
        ({"dim": 0}, "dim must be at least 1, not 0"),
        ({"candidates": 0}, "candidates must be at least 1, not 0"),
        ({"decay": 1.0}, "decay must be in [0, 1), not 1.0"),
        ({"revive_below": -0.1}, "revive_below must be in [0, 1), not -0.1"),
        ({"commitment": -1.0}, "commitment must be 0 or more, not -1.0"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError) as error:
        VectorQuantizer(**options)
    assert str(error.value) == message
