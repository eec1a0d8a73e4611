"""Segments train, and chunks that overlap make sequences of any length."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.config.assembly import make_generator
from regen_jax.errors import UserError
from regen_jax.generators.chunked import Chunked
from regen_jax.generators.diffusion.diffusion import Diffusion
from regen_jax.interfaces import Generator, LossOutput
from regen_jax.metrics.seams import seam_ratio
from regen_jax.networks.dit import DiTOptions
from regen_jax.spaces import Array, Category, Padded, Record, zeros

FRAMES = 23
SPEECH, TRACKS = Array((2 * FRAMES, 1), padded=True), Array((FRAMES, 1), padded=True)
PICTURE = Array((FRAMES, 4, 1), 0, 1)
SOURCE = Record((("speech", SPEECH), ("picture", PICTURE)))
DIT = {"name": "dit", "width": 8, "num_layers": 1, "num_heads": 2}


@dataclasses.dataclass(frozen=True)
class Follow(Generator):
    """Returns the first of two steps of speech per frame, off by a constant per chunk."""

    source_space: Record
    target_space: Array
    offset: float = 0.0

    sources = (Record,)
    targets = (Array,)
    sampling = frozenset({"offset"})

    @property
    def num_calls(self):
        return 3

    def init(self, rng):
        return {"params": {"gain": jnp.ones(())}, "seen": jnp.zeros(())}

    def _track(self, source):
        speech = source["speech"]
        assert speech.values.shape[1] == 2 * self.target_space.shape[0]
        assert source["picture"].shape[1:] == PICTURE.shape
        return Padded(speech.values[:, ::2], -(-speech.length // 2))

    def loss(self, variables, keys, source, target, train):
        track = self._track(source)
        valid = jnp.arange(track.values.shape[1]) < target.length[:, None]
        error = jnp.abs(track.values - target.values)[..., 0]
        wrong = jnp.where(valid, error, 0).sum(axis=1)
        wrong += jnp.abs(track.length - target.length)
        first = track.values[:, 0, 0]
        return LossOutput(wrong, {"first": first}, {"number": jnp.float32(len(keys))})

    def sample(self, variables, keys, source):
        values, length = self._track(source)
        offset = jax.vmap(lambda key: jax.random.uniform(key, (1, 1), minval=-1))(keys)
        return Padded(values + self.offset * offset, length)

    def finalize(self, variables, pairs):
        number = sum(target.values.shape[1] for _, target in pairs)
        return {**variables, "seen": jnp.float32(number)}


def chunked(length, overlap, offset=0.0):
    fields = (("speech", Array((2 * length, 1), padded=True)), ("picture", PICTURE))
    inner = Follow(Record(fields), Array((length, 1), padded=True), offset)
    return Chunked(SOURCE, TRACKS, inner, length=length, overlap=overlap)


def smooth(lengths):
    """Returns a source of sines, and the targets that follow it exactly."""
    time = np.arange(2 * FRAMES, dtype=np.float32) / 16
    values = np.sin(time[None, :, None] + np.arange(len(lengths))[:, None, None])
    steps = np.asarray(lengths)
    speech = Padded(jnp.asarray(values, jnp.float32), jnp.asarray(2 * steps - 1))
    inside = np.arange(FRAMES)[None, :, None] < steps[:, None, None]
    target = Padded(
        jnp.asarray(np.where(inside, values[:, ::2], 0)), jnp.asarray(steps)
    )
    picture = jnp.zeros((len(lengths), *PICTURE.shape))
    return {"speech": speech, "picture": picture}, target


LENGTHS = [23, 20, 9, 8, 3]
sample = jax.jit(lambda model, *args: model.sample(*args), static_argnums=0)
loss = jax.jit(lambda model, *args: model.loss(*args), static_argnums=(0, 5))


def keys(number, seed=0):
    return jax.random.split(jax.random.key(seed), number)


@pytest.mark.parametrize(
    ("length", "overlap", "starts"),
    [(8, 3, (0, 5, 10, 15)), (8, 6, (*range(0, 15, 2), 15)), (9, 0, (0, 9, 14))],
)
def test_chunks_of_an_exact_generator_join_to_the_target(length, overlap, starts):
    model = chunked(length, overlap)
    assert model.starts == starts and model.num_calls == 3 * len(starts)
    source, target = smooth(LENGTHS)
    y = sample(model, {}, keys(5), source)
    np.testing.assert_array_equal(y.length, target.length)
    np.testing.assert_allclose(y.values, target.values, atol=1e-6)


def test_seams_of_chunks_that_disagree_are_bounded():
    offset, overlap = 0.5, 5
    source, target = smooth([FRAMES] * 4)
    largest = np.abs(np.diff(target.values[..., 0], axis=1)).max()
    faded = chunked(10, overlap, offset)
    y = np.asarray(sample(faded, {}, keys(4), source).values)[..., 0]
    # Chunks differ by 2 offsets at most, which the overlap and one step more spread.
    steps = np.abs(np.diff(y, axis=1))
    assert steps.max() <= largest + 2 * offset / (overlap + 1) + 1e-6
    hard = np.asarray(sample(chunked(10, 0, offset), {}, keys(4), source).values)[
        ..., 0
    ]
    ratios = [
        np.mean(
            [seam_ratio(track, model.starts[1:], model.overlap) for track in tracks]
        )
        for model, tracks in ((faded, y), (chunked(10, 0), hard))
    ]
    assert ratios[0] < 1.5 < 2 < ratios[1]


def test_seam_ratio_is_that_of_the_frames_where_chunks_meet():
    model = chunked(9, 2)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, FRAMES, 1)).cumsum(axis=1).astype(np.float32)
    values[2, 9:] = np.nan  # One chunk has no seams.
    target = Padded(values, np.array([FRAMES, 20, 9]))
    # Starts are 7 and 14; with 20 frames 7 and 11, where the chunk before ends at 16.
    steps = [np.diff(clip[:n, 0]) for clip, n in zip(*target, strict=True)]
    joined = np.zeros((2, FRAMES - 1), bool)
    joined[0, [6, 7, 8, 13, 14, 15]] = joined[1, [6, 7, 8, 10, 11, 12, 13, 14, 15]] = 1
    expected = [
        np.sqrt(np.mean(s[j[: len(s)]] ** 2) / np.mean(s[~j[: len(s)]] ** 2))
        for s, j in zip(steps[:2], joined, strict=True)
    ]
    metrics = model.target_metrics(target)
    assert metrics == {"seam_ratio": pytest.approx(np.mean(expected), rel=1e-5)}
    assert model.target_metrics(Padded(values[2:], np.array([9]))) == {}


def test_segments_of_source_and_target_begin_at_the_same_frame():
    model = chunked(8, 3)
    source, target = smooth(LENGTHS * 8)
    output = loss(model, {}, keys(40), source, target, True)
    np.testing.assert_allclose(output.loss, 0, atol=1e-5)
    first = np.asarray(output.metrics["first"]).reshape(8, 5)
    assert len(np.unique(first[:, 0])) > 3
    # An example that is no longer than a segment begins at its first frame.
    np.testing.assert_allclose(
        first[:, 3:], target.values[:, 0, 0].reshape(8, 5)[:, 3:]
    )


def test_training_is_left_to_the_generator_within():
    model = chunked(8, 3)
    variables = model.init(None)
    assert model.sampling == {"overlap", "generator.offset"} and model.parametric
    finalized = model.finalize(variables, [smooth(LENGTHS), smooth([4])])
    assert finalized["seen"] == 16
    assert model.update(variables, None, LossOutput(jnp.zeros(1))) == variables


def test_noise_of_a_position_is_the_same_in_all_chunks():
    space, segment = Array((11, 2)), Array((5, 2))
    inner = Diffusion(segment, segment, DiTOptions(width=8, num_layers=1, num_heads=2))
    inner = dataclasses.replace(inner, num_steps=1)
    model = Chunked(space, space, inner, length=5, overlap=2)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    # Without parameters the velocity is 0, and a sample its noise.
    variables = jax.tree.map(lambda p: jnp.zeros(p.shape, p.dtype), shapes)
    y = sample(model, variables, keys(2), zeros(space, 2))
    whole = dataclasses.replace(inner, source_space=space, target_space=space)
    expected = whole._noise_from(keys(2), jnp.zeros(2, jnp.int32))
    np.testing.assert_allclose(y, expected, atol=1e-5)
    assert np.abs(y[0] - y[1]).min() > 0


def from_section(section, source_space=SPEECH, target_space=TRACKS):
    spaces = source_space, target_space, target_space
    return make_generator({"prior": section}, "config", "prior", "Y", *spaces)


def test_section_builds_a_generator_of_segments():
    section = {"name": "chunked", "length": 6, "overlap": 2}
    inner = {"name": "regression", "network": DIT}
    model = from_section(section | {"generator": inner}, SOURCE)
    assert model.generator.target_space == Array((6, 1), padded=True)
    expected = Record((("speech", Array((12, 1), padded=True)), ("picture", PICTURE)))
    assert model.generator.source_space == expected


REGRESSION = {"name": "regression", "network": DIT}


@pytest.mark.parametrize(
    ("options", "spaces", "message"),
    [
        (
            {"length": 24},
            (SPEECH, TRACKS),
            "config.prior: length must be at most the 23 frames of Array(23, 1, padded), "
            "not 24",
        ),
        (
            {"length": 4, "overlap": 4},
            (SPEECH, TRACKS),
            "config.prior: overlap must be below length 4, not 4",
        ),
        ({"length": 0}, (SPEECH, TRACKS), "config.prior.length must be at least 1"),
        (
            {"length": 4},
            (Array((7, 1), padded=True), TRACKS),
            "config.prior: needs a source time-aligned with Array(23, 1, padded), to "
            "know its length, not Array(7, 1, padded)",
        ),
        (
            {"length": 4},
            (Record((("picture", PICTURE),)), Array((6, 1))),
            "config.prior: needs a source with a step per frame of Array(6, 1) or several",
        ),
        (
            {"length": 4},
            (Array((3, 1)), Array((6, 1))),
            "config.prior: needs Array(3, 1) to have a step per frame of Array(6, 1)",
        ),
        (
            {"length": 4},
            (Category(3), Array((6, 1))),
            "config: prior 'chunked' reads Array or Record, but its source is Category(3)",
        ),
    ],
)
def test_spaces_that_do_not_fit_raise_user_error(options, spaces, message):
    section = {"name": "chunked", "overlap": 0, "generator": REGRESSION} | options
    with pytest.raises(UserError) as error:
        from_section(section, *spaces)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)
