"""Retrieval against brute force in NumPy, and as stages of runs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from regen_jax.cli.evaluate_run import evaluate_run
from regen_jax.cli.sample_run import sample_run
from regen_jax.cli.train_run import train_run
from regen_jax.generators.nearest import Nearest
from regen_jax.interfaces import Passes
from regen_jax.networks.conditioning.spatial import AlignedFeatures
from regen_jax.spaces import Array, Category, Padded, Tokens, check
from regen_jax.stages import _generator_stage
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.strategies import make_strategy
from tests.training.toy import Toy

RNG = np.random.default_rng(0)
IMAGES = Array((4, 3, 1), 0.0, 255.0, step=1.0)
LATENTS = Array((5,))
FRAMES = Array((6, 2), -4.0, 4.0, padded=True)
TEXTS = Tokens(6, 300, padded=True)
STACKS = Tokens(4, 20, depth=2)


def lengths(number):
    return RNG.integers(1, 7, number).astype(np.int32)


def values(space, number):
    """Values of a space; sequences are padded after their lengths."""
    if isinstance(space, Category):
        return RNG.integers(0, space.size, number).astype(np.int32)
    if isinstance(space, Tokens):
        low = int(space.padded)
        tokens = RNG.integers(low, space.vocab, (number, *space.shape))
        if space.padded:
            tokens[np.arange(space.length) >= lengths(number)[:, None]] = 0
        return tokens.astype(np.int32)
    if space.levels:
        shape = number, *space.shape
        return (RNG.integers(0, space.levels, shape) * space.step + space.low).astype(
            "f"
        )
    x = RNG.normal(size=(number, *space.shape)).astype(np.float32)
    if not space.padded:
        return x
    length = lengths(number)
    x[np.arange(space.shape[0]) >= length[:, None]] = 0
    return Padded(x, length)


def rows(value, index):
    return jax.tree.map(lambda x: x[index], value)


def distance_matrix(space, value, other):
    """Distances [N, M] of all pairs, by definition."""
    if not isinstance(space, Array):
        a, b = (np.asarray(v).reshape(len(v), -1) for v in (value, other))
        return (a[:, None] != b).sum(axis=-1)
    a, b = (v.values if isinstance(v, Padded) else v for v in (value, other))
    half = (space.high - space.low) / 2 if space.bounded else 1.0
    # All of these ranges have padding in their middle, but for the images, without any.
    a, b = (v.reshape(len(v), -1) / half for v in (a, b))
    return np.square(a[:, None] - b).sum(axis=-1)


def filled(generator, sources, targets, batch_size=7):
    number = len(jax.tree.leaves(sources)[0])
    batches = [slice(i, i + batch_size) for i in range(0, number, batch_size)]
    pairs = Passes(lambda: ((rows(sources, b), rows(targets, b)) for b in batches))
    return generator.finalize(generator.init(jax.random.key(0)), pairs)


def keys(number, seed=0):
    return jax.random.split(jax.random.key(seed), number)


SPACES = [IMAGES, LATENTS, FRAMES, TEXTS, STACKS, Category(30)]


@pytest.mark.parametrize("source_space", SPACES, ids=str)
@pytest.mark.parametrize("chunk_values", [None, 600])
def test_target_of_nearest_source_is_returned(monkeypatch, source_space, chunk_values):
    if chunk_values:
        module = "regen_jax.generators.nearest._CHUNK_VALUES"
        monkeypatch.setattr(module, chunk_values)
    number = 30 if isinstance(source_space, Category) else 50
    sources, targets = values(source_space, number), values(IMAGES, number)
    if isinstance(source_space, Category):
        sources = RNG.permutation(number).astype(np.int32)
    generator = Nearest(source_space, IMAGES, max_examples=64, num_neighbors=3)
    variables = filled(generator, sources, targets)
    queries = values(source_space, 9)
    distances = distance_matrix(source_space, queries, sources)
    neighbors = np.asarray(generator.neighbors(variables, keys(9), queries))
    assert all(len(set(row)) == 3 for row in neighbors.tolist())
    np.testing.assert_allclose(
        np.take_along_axis(distances, neighbors, axis=1),
        np.sort(distances, axis=1)[:, :3],
        rtol=1e-5,
    )
    nearest = Nearest(source_space, IMAGES, max_examples=64)
    drawn = np.asarray(jax.jit(nearest.sample)(variables, keys(9), queries))
    for row, y in zip(distances, drawn, strict=True):
        tied = targets[np.isclose(row, row.min(), rtol=1e-6)]
        assert any(np.array_equal(y, target) for target in tied)


@pytest.mark.parametrize("target_space", SPACES, ids=str)
def test_targets_of_any_space_come_back_as_they_were(target_space):
    targets = values(target_space, 8)
    generator = Nearest(LATENTS, target_space, max_examples=8)
    sources = values(LATENTS, 8)
    variables = filled(generator, sources, targets)
    drawn = check(target_space, generator.sample(variables, keys(8), sources), "drawn")
    jax.tree.map(np.testing.assert_array_equal, drawn, targets)
    output = generator.loss(variables, keys(8), sources, targets, False)
    np.testing.assert_array_equal(output.loss, 0)


def test_what_follows_the_end_of_a_text_does_not_count():
    generator = Nearest(TEXTS, Category(3), max_examples=3)
    sources = np.array([[5, 6, 0, 0, 0, 0], [5, 6, 7, 0, 0, 0], [5, 0, 0, 0, 0, 0]])
    variables = filled(
        generator, sources.astype(np.int32), np.arange(3, dtype=np.int32)
    )
    queries = jnp.array([[5, 6, 0, 7, 7, 7], [5, 8, 7, 0, 0, 0], [5, 0, 6, 7, 0, 0]])
    np.testing.assert_array_equal(
        generator.sample(variables, keys(3), queries), [0, 1, 2]
    )


def test_loss_is_the_distance_of_the_drawn_target_per_value():
    sources, targets = values(LATENTS, 20), values(TEXTS, 20)
    generator = Nearest(LATENTS, TEXTS, max_examples=20)
    variables = filled(generator, sources, targets)
    other = rows(targets, np.roll(np.arange(20), 1))
    output = generator.loss(variables, keys(20), sources, other, False)
    np.testing.assert_allclose(output.loss, (targets != other).mean(axis=1), rtol=1e-6)
    images = values(IMAGES, 20)
    generator = Nearest(LATENTS, IMAGES, max_examples=20)
    variables = filled(generator, sources, images)
    other = rows(images, np.roll(np.arange(20), 1))
    output = generator.loss(variables, keys(20), sources, other, False)
    expected = np.square((images - other) / 127.5).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(output.loss, expected, rtol=1e-5)


def test_draw_is_uniform_over_sources_at_one_distance():
    classes = np.repeat(np.arange(3), 5).astype(np.int32)
    generator = Nearest(Category(3), Category(15), max_examples=40)
    variables = filled(generator, classes, np.arange(15, dtype=np.int32))
    drawn = np.asarray(generator.sample(variables, keys(3000), jnp.ones(3000, int)))
    counts = np.bincount(drawn, minlength=15)
    assert counts[5:10].sum() == 3000
    # The standard deviation of a count is 22.
    np.testing.assert_allclose(counts[5:10], 600, atol=100)


def test_draw_is_uniform_over_the_nearest_and_never_beyond_the_examples():
    sources = np.arange(6, dtype=np.float32)[:, None]
    number = np.arange(6, dtype=np.int32)
    space = Array((1,))
    for size, nearest in ((3, {0, 1, 2}), (16, {*range(6)})):
        generator = Nearest(space, Category(6), max_examples=20, num_neighbors=size)
        variables = filled(generator, sources, number)
        drawn = generator.sample(variables, keys(600), jnp.full((600, 1), 0.1))
        counts = np.bincount(np.asarray(drawn), minlength=6)
        assert set(np.flatnonzero(counts)) == nearest
        assert counts[counts > 0].min() > 600 / len(nearest) / 2


def test_draw_of_an_example_does_not_depend_on_its_batch():
    classes = RNG.integers(0, 3, 50).astype(np.int32)
    generator = Nearest(Category(3), Category(50), max_examples=50)
    variables = filled(generator, classes, np.arange(50, dtype=np.int32))
    whole = generator.sample(variables, keys(12), classes[:12])
    part = generator.sample(variables, keys(12)[4:9], classes[4:9])
    np.testing.assert_array_equal(part, whole[4:9])


def test_index_of_many_examples_is_a_uniform_sample_of_them():
    numbers = np.arange(400, dtype=np.int32)
    generator = Nearest(Category(400), Category(400), max_examples=100)
    index = filled(generator, numbers, numbers[::-1].copy())["index"]
    held = index["sources"]["values"]
    assert int(index["count"]) == 100 == len(set(held.tolist()))
    np.testing.assert_array_equal(index["targets"]["values"], 399 - held)
    # A quarter of each quarter: the standard deviation is below 4.4.
    np.testing.assert_allclose(np.bincount(held // 100), 25, atol=14)
    other = filled(generator, numbers, numbers, batch_size=133)["index"]
    np.testing.assert_array_equal(other["sources"]["values"], held)


def test_values_are_stored_in_the_smallest_type():
    def dtypes(space):
        index = Nearest(space, space, max_examples=2).init(jax.random.key(0))["index"]
        return [str(x.dtype) for x in jax.tree.leaves(index["sources"])]

    assert dtypes(IMAGES) == dtypes(STACKS) == ["uint8"]
    assert dtypes(TEXTS) == ["uint16"] and dtypes(LATENTS) == ["float32"]
    assert dtypes(FRAMES) == ["int32", "float32"]


@pytest.mark.parametrize(
    ("source_space", "options", "message"),
    [
        (LATENTS, {"num_neighbors": 0}, "num_neighbors must be at least 1, not 0"),
        (
            LATENTS,
            {"num_neighbors": 9, "max_examples": 8},
            "num_neighbors 9 exceeds max_examples 8",
        ),
        (AlignedFeatures((4, 3)), {}, "needs a source that stays as it is while"),
    ],
)
def test_invalid_option_raises_value_error(source_space, options, message):
    with pytest.raises(ValueError, match=message):
        Nearest(source_space, IMAGES, **options)


def _pair(frozen, batch):
    return batch["x"], batch["y"]


@pytest.mark.parametrize(
    "parallel",
    [ParallelOptions(axes=MeshAxes(fsdp=2), min_size=1), ParallelOptions("pmap")],
    ids=["data4-fsdp2", "pmap8"],
)
def test_stage_on_several_devices_equals_one(tmp_path, parallel):
    toy, generator = Toy(), Nearest(Array((8,)), Array((16,)), max_examples=32)
    stage = _generator_stage("toy", generator, _pair)
    options = toy.options(steps=0)
    alone = toy.train(tmp_path / "one", stage, options)
    trained = toy.train(
        tmp_path / "eight", stage, options, strategy=make_strategy(parallel)
    )
    variables, expected = jax.device_get((trained.variables, alone.variables))
    jax.tree.map(np.testing.assert_array_equal, variables, expected)
    assert int(expected["index"]["count"]) == 32
    # Queries of a batch lie on eight devices.
    over_devices = NamedSharding(Mesh(jax.devices(), "data"), PartitionSpec("data"))
    queries = toy.points.x[:16]
    sample = jax.jit(functools.partial(generator.sample, alone.variables))
    drawn = sample(*jax.device_put((keys(16), queries), over_devices))
    np.testing.assert_array_equal(drawn, sample(keys(16), queries))


def test_run_of_digits_retrieves_training_images(tiny_config, tmp_path):
    config = tiny_config("abstraction=downsample,decoder=regression")
    config.decoder = {"name": "nearest", "max_examples": 6000}
    config.prior = {"name": "nearest"}
    config.train.judge.steps = 2
    config.train.decoder.batch_size = config.train.prior.batch_size = 400
    config.evaluate.batch_size = 20
    config.parallel.axes.data = 1
    trained = train_run(config, tmp_path)
    count = int(trained["decoder"].variables["index"]["count"])
    assert trained["decoder"].steps == trained["prior"].steps == 0
    samples = sample_run(tmp_path, num=10)
    index = jax.device_get(trained["decoder"].variables["index"]["targets"]["values"])
    stored = {image.tobytes() for image in index[:count]}
    assert all(image.tobytes() in stored for image in samples.y)
    metrics, failed = evaluate_run(tmp_path)
    assert failed == [] and metrics["samples/nearest_training"] == 0
    assert metrics["train/parameters"] == metrics["train/flops"] == 0
    # Y′ is that of a training image, and so the image is the one it is of.
    assert metrics["samples/adherence_mse"] < 1e-3
    assert 0 < metrics["decoder/mse"] < 0.1
