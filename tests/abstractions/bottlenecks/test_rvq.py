"""Residual quantization against NumPy: levels, dropout, masks, updates."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.bottlenecks.fsq import FiniteScalarQuantizer
from regen_jax.abstractions.bottlenecks.rvq import ResidualVectorQuantizer
from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer
from tests.errors import value_error

LEVEL = VectorQuantizer(num_codes=6, dim=2, decay=0.8, commitment=0.6, num_candidates=2)
RVQ = ResidualVectorQuantizer(**dataclasses.asdict(LEVEL), depth=3, dropout=0.0)
KEYS = jax.random.split(jax.random.key(7), 4)
RNG = np.random.default_rng(0)
Z = RNG.normal(size=(4, 5, 2)).astype(np.float32)
# Each level finer than the one before it.
CODES = RNG.normal(size=(3, 6, 2)) * np.array([1, 0.4, 0.15])[:, None, None]
BOOK = {
    "codes": jnp.asarray(CODES, jnp.float32),
    "counts": jnp.full((3, 6), 3.0),
    "sums": jnp.asarray(3 * CODES, jnp.float32),
}

apply = jax.jit(ResidualVectorQuantizer.apply, static_argnums=(0, 5))
update = jax.jit(ResidualVectorQuantizer.update, static_argnums=0)
level_update = jax.jit(VectorQuantizer.update, static_argnums=0)


def reference(latents: np.ndarray, codebooks: np.ndarray):
    """Codes [..., depth] and residuals [depth + 1, ..., D], level by level."""
    residuals, codes = [latents], []
    for codebook in codebooks:
        distances = np.square(residuals[-1][..., None, :] - codebook).sum(axis=-1)
        codes.append(distances.argmin(axis=-1))
        residuals.append(residuals[-1] - codebook[codes[-1]])
    return np.stack(codes, axis=-1), np.stack(residuals)


def test_each_level_quantizes_the_residual_of_the_last():
    codes, residuals = reference(Z, CODES)
    found = jax.jit(RVQ.encode)(BOOK, Z)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, codes)
    output = apply(RVQ, BOOK, KEYS, Z, None, False)
    np.testing.assert_array_equal(output.codes, codes)
    np.testing.assert_allclose(output.values, Z - residuals[-1], atol=1e-6)
    squared = np.square(residuals[1:]).mean(axis=(2, 3)).sum(axis=0)
    np.testing.assert_allclose(output.loss, 0.6 * squared, rtol=1e-5)
    chosen = np.eye(6)[codes]
    counts = chosen.sum(axis=(0, 1))
    np.testing.assert_array_equal(output.sums["code_counts"], counts)
    sums = np.einsum("btlk,lbtd->lkd", chosen, residuals[:-1])
    np.testing.assert_allclose(output.sums["code_sums"], sums, atol=1e-5)


def test_decode_sums_any_number_of_levels():
    codes, residuals = reference(Z, CODES)
    for depth in (1, 2, 3):
        values = RVQ.decode(BOOK, jnp.asarray(codes[..., :depth]))
        np.testing.assert_allclose(values, Z - residuals[depth], atol=1e-6)


def test_encode_inverts_decode():
    # Far apart in each level, so that a sum of codes has one reading.
    digits = np.array([[x, y] for x in (-1, 0, 1) for y in (-0.5, 0.5)])
    codebooks = digits * np.array([1, 0.1, 0.01])[:, None, None]
    book = {**BOOK, "codes": jnp.asarray(codebooks, jnp.float32)}
    codes = np.random.default_rng(1).integers(0, 6, (50, 3))
    values = RVQ.decode(book, jnp.asarray(codes))
    np.testing.assert_array_equal(RVQ.encode(book, values), codes)


def test_codebooks_start_at_residuals_and_error_falls_with_depth():
    latents = np.random.default_rng(2).normal(size=(400, 2)).astype(np.float32)
    deep = dataclasses.replace(RVQ, depth=4)
    book = jax.jit(deep.init)(jax.random.key(0), latents)
    assert {k: v.shape for k, v in book.items()} == {
        "codes": (4, 6, 2),
        "counts": (4, 6),
        "sums": (4, 6, 2),
    }
    _, residuals = reference(latents, np.asarray(book["codes"]))
    for level in range(4):
        for code in np.asarray(book["codes"][level]):
            assert np.abs(residuals[level] - code).max(axis=-1).min() < 1e-6
    errors = np.square(residuals).mean(axis=(1, 2))
    assert np.all(np.diff(errors) < 0) and errors[4] < 0.05 * errors[0]


def test_gradients_pass_straight_to_the_latents():
    weight = np.random.default_rng(3).normal(size=Z.shape).astype(np.float32)

    @jax.jit
    def gradients(codes, latents):
        def weighed(take, codes, latents):
            book = {**BOOK, "codes": codes}
            return take(RVQ.apply(book, KEYS, latents, None, False)).sum()

        return [
            jax.grad(lambda c, z, take=take: weighed(take, c, z), (0, 1))(
                codes, latents
            )
            for take in (lambda q: q.loss, lambda q: weight * q.values)
        ]

    commitment, straight_through = gradients(BOOK["codes"], Z)
    _, residuals = reference(Z, CODES)
    # The loss of an example is a mean over its 5 x 2 values.
    expected = 2 * 0.6 * residuals[1:].sum(axis=0) / 10
    np.testing.assert_allclose(commitment[1], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(straight_through[1], weight)
    assert not np.any(commitment[0]) and not np.any(straight_through[0])


def test_dropout_keeps_the_first_levels_of_a_fraction_of_examples():
    latents = jnp.tile(Z[:1], (3000, 1, 1))
    keys = jax.random.split(jax.random.key(0), 3000)
    half = dataclasses.replace(RVQ, dropout=0.6)
    output = apply(half, BOOK, keys, latents, None, True)
    codes, residuals = reference(Z[0], CODES)
    np.testing.assert_array_equal(output.codes, np.tile(codes, (3000, 1, 1)))
    error = np.abs((Z[0] - residuals[1:])[:, None] - output.values).max(axis=(2, 3))
    assert np.all(error.min(axis=0) < 1e-6)
    share = np.bincount(error.argmin(axis=0), minlength=3) / 3000
    np.testing.assert_allclose(share, [0.2, 0.2, 0.6], atol=0.03)
    # An example counts, and pays, for the levels it used alone.
    used = 3000 * np.array([1, 0.8, 0.6]) * 5
    counted = np.asarray(output.sums["code_counts"]).sum(axis=1)
    np.testing.assert_allclose(counted, used, rtol=0.05)
    paid = 0.6 * np.square(residuals[1:]).mean(axis=(1, 2)).cumsum()
    np.testing.assert_allclose(
        output.loss, paid[error.argmin(axis=0)], rtol=1e-4, atol=1e-7
    )
    evaluated = apply(half, BOOK, KEYS, Z, None, False)
    np.testing.assert_allclose(
        evaluated.values, apply(RVQ, BOOK, KEYS, Z, None, False).values
    )


def test_update_of_each_level_follows_its_own_statistics():
    output = apply(RVQ, BOOK, KEYS, Z, None, False)
    rng = jax.random.key(3)
    found = update(RVQ, BOOK, rng, output.sums, output.per_example)
    for level, level_rng in enumerate(jax.random.split(rng, 3)):
        expected = level_update(
            LEVEL,
            {name: x[level] for name, x in BOOK.items()},
            level_rng,
            {name: x[level] for name, x in output.sums.items()},
            {name: x[:, level] for name, x in output.per_example.items()},
        )
        for name, value in expected.items():
            np.testing.assert_allclose(found[name][level], value, rtol=1e-5, atol=1e-6)


def test_dead_codes_of_each_level_restart_at_different_latents():
    quantizer = ResidualVectorQuantizer(num_codes=21, dim=2, depth=2)
    # The one code in use is 0, so that each level quantizes the latents themselves.
    codes = jnp.full((2, 21, 2), 99.0).at[:, 0].set(0)
    counts = jnp.full((2, 21), 0.01).at[:, 0].set(9)
    book = {"codes": codes, "counts": counts, "sums": codes * counts[..., None]}

    @jax.jit
    def after(latents):
        found = quantizer.apply(book, KEYS, latents, None, True)
        return quantizer.update(book, KEYS[0], found.sums, found.per_example)["codes"]

    for restarted in after(Z)[:, 1:]:
        np.testing.assert_allclose(
            np.unique(restarted, axis=0), np.unique(Z.reshape(-1, 2), axis=0), rtol=1e-6
        )


@pytest.mark.parametrize("garbage", [7.0, np.nan])
@pytest.mark.parametrize(
    ("quantizer", "book"),
    [
        (RVQ, BOOK),
        (LEVEL, {name: x[0] for name, x in BOOK.items()}),
        (FiniteScalarQuantizer((3, 2)), {}),
    ],
    ids=["rvq", "vq", "fsq"],
)
def test_masked_positions_change_nothing(quantizer, book, garbage):
    length = np.array([5, 3, 1, 2])
    mask = np.arange(5) < length[:, None]
    dirty = np.where(mask[..., None], Z, garbage).astype(np.float32)

    @jax.jit
    def both(clean, dirty):
        return [quantizer.apply(book, KEYS, z, mask, False) for z in (clean, dirty)]

    clean, found = both(np.where(mask[..., None], Z, 0), dirty)
    np.testing.assert_array_equal(found.loss, clean.loss)
    np.testing.assert_array_equal(found.codes[mask], clean.codes[mask])
    np.testing.assert_array_equal(found.values[mask], clean.values[mask])
    for part in ("sums", "per_example"):
        jax.tree.map(
            np.testing.assert_array_equal, getattr(found, part), getattr(clean, part)
        )
    assert np.all(np.asarray(found.sums["code_counts"]).sum(axis=-1) == length.sum())

    # An example without its padding has the same loss; FSQ has none.
    alone = quantizer.apply(book, KEYS[1:2], Z[1:2, :3], None, False)
    np.testing.assert_allclose(found.loss[1], alone.loss[0], rtol=1e-6)
    if found.per_example:
        candidates = np.asarray(found.per_example["candidates"])[1].reshape(-1, 2)
        first = candidates[:2] if quantizer is RVQ else candidates
        for candidate in first:
            assert np.any(np.all(candidate == Z[1, :3], axis=-1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 1}, "depth must be at least 2, not 1"),
        ({"dropout": 1.5}, "dropout must be in [0, 1], not 1.5"),
        ({"num_codes": 0}, "num_codes must be at least 1, not 0"),
    ],
)
def test_option_out_of_range_raises_value_error(options, message):
    assert value_error(ResidualVectorQuantizer, **options) == message
