import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer
from regen_jax.metrics.codebook import code_counts
from tests.errors import value_error

SMALL = VectorQuantizer(
    num_codes=6,
    dim=2,
    decay=0.8,
    commitment=0.6,
    dead_code_threshold=0.2,
    num_candidates=2,
)
GRID = np.array([[0, 0], [0, 2], [2, 0], [2, 2], [0, 4], [4, 0]], np.float32)
KEYS = jax.random.split(jax.random.key(7), 4)


def book(codes, counts) -> dict[str, jax.Array]:
    """A codebook of these vectors [K, D] and running counts [K]."""
    codes, counts = jnp.asarray(codes, jnp.float32), jnp.asarray(counts, jnp.float32)
    return {"codes": codes, "counts": counts, "sums": codes * counts[:, None]}


apply = jax.jit(VectorQuantizer.apply, static_argnums=0)
update = jax.jit(VectorQuantizer.update, static_argnums=0)


@functools.partial(jax.jit, static_argnums=0)
def step(quantizer, codebook, rng, latents):
    """An update from a batch [4, N, D], as the autoencoder makes it."""
    output = quantizer.apply(codebook, KEYS, latents, None, False)
    counts = code_counts(output.codes, quantizer.num_codes)
    sums = {"code_counts": counts, **output.sums}
    return quantizer.update(codebook, rng, sums, output.per_example)


def nearest(codes: np.ndarray, latents: np.ndarray) -> np.ndarray:
    distances = np.square(latents[..., None, :] - codes).sum(axis=-1)
    return distances.argmin(axis=-1)


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_codes_are_the_nearest_vectors():
    codes, latents = normal(0, 11, 3), normal(1, 4, 5, 2, 3)
    quantizer = VectorQuantizer(num_codes=11, dim=3)
    codebook = book(codes, np.ones(11))
    found = quantizer.encode(codebook, latents)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, nearest(codes, latents))
    np.testing.assert_array_equal(quantizer.decode(codebook, found), codes[found])


def test_distances_of_bfloat16_latents_are_float32():
    # bfloat16 holds the latents exactly, and cannot tell the last two codes apart.
    codes = np.array([[1, 3], [1.0078125 + 2**-10, 3], [1.0078125, 3], *GRID[:3] + 9])
    latents = jnp.tile(jnp.array([[1, 3], [1.0078125, 3]], jnp.bfloat16), (4, 1, 1))
    codebook = book(codes, np.ones(6))
    output = apply(SMALL, codebook, KEYS, latents, None, False)
    np.testing.assert_array_equal(output.codes, 4 * [[0, 2]])
    np.testing.assert_array_equal(SMALL.encode(codebook, latents), 4 * [[0, 2]])
    floats = [output.values, output.loss, *output.sums.values()]
    assert {x.dtype for x in floats} == {np.dtype(np.float32)}


def test_moving_averages_follow_the_reference():
    rng = np.random.default_rng(1)
    codes, counts = GRID + 0.1, np.arange(2.0, 8.0)
    codebook = book(codes, counts)
    sums = codes * counts[:, None]
    for i in range(6):
        # Two latents near each code, so that none dies.
        flat = rng.permutation(np.r_[GRID, GRID]) + rng.normal(0, 0.3, (12, 2))
        flat = flat.astype(np.float32)
        codebook = step(SMALL, codebook, jax.random.key(i), flat.reshape(4, 3, 2))
        chosen = np.eye(6)[nearest(codes, flat)]
        counts = 0.8 * counts + 0.2 * chosen.sum(axis=0)
        sums = 0.8 * sums + 0.2 * chosen.T @ flat
        codes = sums / counts[:, None]
        np.testing.assert_allclose(codebook["counts"], counts, rtol=1e-5)
        np.testing.assert_allclose(codebook["sums"], sums, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(codebook["codes"], codes, rtol=1e-5, atol=1e-5)
    assert np.abs(codes - GRID - 0.1).max() > 0.05


def test_gradients_reach_the_latents_and_not_the_codebook():
    codebook = book(normal(2, 6, 2), np.ones(6))
    codes, latents, weight = codebook["codes"], normal(3, 4, 3, 2), normal(4, 4, 3, 2)

    @jax.jit
    def gradients(codes, latents):
        def weighed(take, codes, latents):
            return take(
                SMALL.apply({**codebook, "codes": codes}, KEYS, latents, None, False)
            ).sum()

        return [
            jax.grad(functools.partial(weighed, take), (0, 1))(codes, latents)
            for take in (lambda q: q.loss, lambda q: weight * q.values)
        ]

    commitment, straight_through = gradients(codes, latents)
    e = np.asarray(codes)[nearest(np.asarray(codes), latents)]
    # The loss of an example is a mean over its n = 3 x 2 values.
    np.testing.assert_allclose(commitment[1], 2 * 0.6 * (latents - e) / 6, rtol=1e-4)
    np.testing.assert_array_equal(straight_through[1], weight)
    np.testing.assert_array_equal(commitment[0], np.zeros((6, 2)))
    np.testing.assert_array_equal(straight_through[0], np.zeros((6, 2)))

    output = apply(SMALL, codebook, KEYS, latents, None, False)
    expected = 0.6 * np.square(latents - e).mean(axis=(1, 2))
    np.testing.assert_allclose(output.loss, expected, rtol=1e-5)
    np.testing.assert_allclose(output.values, e, atol=1e-6)


@pytest.mark.parametrize(("number", "distinct"), [(40, 6), (4, 4)])
def test_codebook_starts_at_distinct_latents_of_the_batch(number, distinct):
    # 8 of them different, or 4.
    latents = np.tile(normal(5, 8, 2), (5, 1))[:number]
    init = jax.jit(SMALL.init)
    codebook = init(jax.random.key(0), latents)
    codes = {tuple(code) for code in np.asarray(codebook["codes"])}
    assert codes <= {tuple(latent) for latent in latents} and len(codes) == distinct
    share = number / 6
    np.testing.assert_allclose(codebook["counts"], np.full(6, share), rtol=1e-6)
    np.testing.assert_allclose(codebook["sums"], codebook["codes"] * share, rtol=1e-6)
    other = init(jax.random.key(1), latents)
    assert not np.array_equal(other["codes"], codebook["codes"])
    shapes = jax.eval_shape(SMALL.init, jax.random.key(0), jnp.bfloat16(latents))
    assert {x.dtype for x in shapes.values()} == {np.dtype(np.float32)}


@pytest.fixture(scope="module")
def revived():
    """A codebook after a step in which code 5, far from every latent, died.

    With it, its count and the mean count before the revival, and the batch.
    """
    latents = np.tile(GRID[:4], (3, 1)).reshape(4, 3, 2) + 0.01 * normal(6, 4, 3, 2)
    before = book([*GRID[:4], [1, 1], [50, 50]], [3, 3, 3, 3, 3, 0.1])
    counts = 0.8 * np.asarray(before["counts"]) + 0.2 * np.array([3, 3, 3, 3, 0, 0])
    assert counts[5] < 0.2 * counts.mean() < counts[4]
    return step(SMALL, before, jax.random.key(0), latents), counts, latents


def test_dead_code_restarts_at_a_latent_with_its_averages(revived):
    codebook, counts, latents = revived
    fresh = np.asarray(codebook["codes"][5])
    assert np.abs(latents.reshape(-1, 2) - fresh).max(axis=1).min() < 1e-6
    np.testing.assert_allclose(codebook["sums"][5], fresh * counts.mean(), rtol=1e-6)
    expected = [*counts[:5], counts.mean()]
    np.testing.assert_allclose(codebook["counts"], expected, rtol=1e-6)
    # The one that was merely little used goes on as it was.
    np.testing.assert_allclose(codebook["codes"][4], [1, 1], rtol=1e-6)


def test_revived_code_stays_alive_at_its_latent(revived):
    codebook, counts, _ = revived
    fresh = codebook["codes"][5]
    sums = {
        "code_counts": np.array([3, 3, 3, 3, 0, 0]),
        "code_sums": 3 * np.r_[GRID[:4], np.zeros((2, 2))].astype(np.float32),
    }
    elsewhere = {
        "candidates": jnp.full((4, 2, 2), 77.0),
        "candidate_mask": np.ones((4, 2), bool),
    }
    # Nothing is assigned to it: its averages shrink together, and the vector stays.
    for i in range(1, 4):
        codebook = update(SMALL, codebook, jax.random.key(i), sums, elsewhere)
        np.testing.assert_allclose(codebook["codes"][5], fresh, rtol=1e-5)
        expected = 0.8**i * counts.mean()
        np.testing.assert_allclose(codebook["counts"][5], expected, rtol=1e-5)


def test_dead_codes_restart_at_distinct_candidates():
    codebook = book(np.r_[[[0.5, 0.5]], np.full((5, 2), 99)], [9] + 5 * [0.01])
    latents = normal(8, 4, 3, 2)
    codes = np.asarray(step(SMALL, codebook, jax.random.key(0), latents)["codes"][1:])
    assert len(np.unique(codes, axis=0)) == 5
    offered = apply(SMALL, codebook, KEYS, latents, None, False).per_example[
        "candidates"
    ]
    assert offered.shape == (4, 2, 2)
    distances = np.abs(codes[:, None] - np.reshape(offered, (-1, 2))).max(axis=-1)
    np.testing.assert_array_less(distances.min(axis=1), 1e-5)
    for example, latent in zip(offered, latents, strict=True):
        assert len(np.unique(example, axis=0)) == 2
        assert all(any(np.array_equal(x, z) for z in latent) for x in example)


def test_dead_codes_restart_at_all_distinct_latents_of_the_batch():
    quantizer = VectorQuantizer(num_codes=12, dim=2, decay=0.8)
    codebook = book(np.r_[[[0, 0]], np.full((11, 2), 99)], [9] + 11 * [0.01])
    latents, mask = normal(9, 4, 5, 2), np.ones((4, 5), bool)
    # As many differ as codes are dead: 5 twice over, 5, and 1 of the last example.
    latents[1], mask[3, 1:] = latents[0], False

    @jax.jit
    def after(latents, mask):
        found = quantizer.apply(codebook, KEYS, latents, mask, False)
        return quantizer.update(
            codebook, jax.random.key(0), found.sums, found.per_example
        )["codes"]

    codes = after(np.where(mask[..., None], latents, np.nan), mask)[1:]
    expected = np.unique(latents[mask], axis=0)
    assert len(expected) == 11
    np.testing.assert_allclose(np.unique(codes, axis=0), expected, rtol=1e-6)
    # Nor does any restart where there is nothing to restart at.
    codes = after(latents, np.zeros_like(mask))
    np.testing.assert_allclose(codes, codebook["codes"], rtol=1e-6)


def test_unused_code_without_revival_stays_put():
    quantizer = VectorQuantizer(num_codes=2, dim=1, decay=0.0, dead_code_threshold=0.0)
    codebook = book([[0.0], [9.0]], [1.0, 1.0])
    sums = {"code_counts": np.array([4, 0]), "code_sums": np.array([[2.0], [0.0]])}
    for i in range(2):
        offered = {
            "candidates": jnp.ones((1, 2, 1)),
            "candidate_mask": np.ones((1, 2), bool),
        }
        codebook = update(quantizer, codebook, jax.random.key(i), sums, offered)
        np.testing.assert_array_equal(codebook["codes"], [[0.5], [9.0]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_codes": 0}, "num_codes must be at least 1, not 0"),
        ({"dim": 0}, "dim must be at least 1, not 0"),
        ({"num_candidates": -1}, "num_candidates must be 0 or more, not -1"),
        ({"decay": 1.0}, "decay must be in [0, 1), not 1.0"),
        (
            {"dead_code_threshold": -0.1},
            "dead_code_threshold must be in [0, 1), not -0.1",
        ),
        ({"commitment": -1.0}, "commitment must be 0 or more, not -1.0"),
    ],
)
def test_option_out_of_range_raises_value_error(options, message):
    assert value_error(VectorQuantizer, **options) == message


def test_normalized_codes_are_compared_by_their_angle():
    quantizer = VectorQuantizer(num_codes=6, dim=2, decay=0.5, normalize=True)
    latents = normal(5, 4, 3, 2) * 10 ** normal(6, 4, 3, 1)
    unit = latents / np.linalg.norm(latents, axis=-1, keepdims=True)
    codebook = jax.jit(quantizer.init)(KEYS[0], latents.reshape(-1, 2))
    np.testing.assert_allclose(np.linalg.norm(codebook["codes"], axis=-1), 1, rtol=1e-5)
    codes = quantizer.encode(codebook, latents)
    cosines = unit @ np.asarray(codebook["codes"]).T
    np.testing.assert_allclose(
        np.take_along_axis(cosines, np.asarray(codes)[..., None], -1)[..., 0],
        cosines.max(axis=-1),
        rtol=1e-5,
    )
    output = apply(quantizer, codebook, KEYS, latents, None, False)
    np.testing.assert_array_equal(output.codes, codes)
    values = np.asarray(codebook["codes"])[codes]
    np.testing.assert_allclose(output.values, values, atol=1e-6)
    expected = 0.25 * np.square(unit - values).mean(axis=(1, 2))
    np.testing.assert_allclose(output.loss, expected, rtol=1e-4, atol=1e-7)
    updated = step(quantizer, codebook, KEYS[1], latents)["codes"]
    np.testing.assert_allclose(np.linalg.norm(updated, axis=-1), 1, rtol=1e-5)


def test_gradient_of_a_latent_of_norm_0_is_finite():
    quantizer = VectorQuantizer(num_codes=6, dim=2, normalize=True)
    codebook = book(GRID + 1, np.ones(6))

    def values(latents):
        return quantizer.apply(codebook, KEYS, latents, None, False).values.sum()

    assert np.isfinite(jax.jit(jax.grad(values))(jnp.zeros((4, 1, 2)))).all()
