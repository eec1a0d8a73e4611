"""Fields that source and target share are copied, and the other one is generated."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.config.assembly import make_generator
from regen_jax.errors import UserError
from regen_jax.generators.pass_through import PassThrough
from regen_jax.interfaces import Generator, LossOutput
from regen_jax.spaces import Array, Category, Padded, Record, Tokens, zeros

PICTURE = Array((12, 12, 3), 0, 255, step=1.0)
SPEECH, TRACKS = Array((8, 5), padded=True), Array((4, 2), padded=True)
SOURCE = Record((("speech", SPEECH), ("picture", PICTURE)))
TARGET = Record((("tracks", TRACKS), ("picture", PICTURE)))
DIT = {"name": "dit", "width": 8, "num_layers": 1, "num_heads": 2}
REGRESSION = {"name": "regression", "network": DIT}


@dataclasses.dataclass(frozen=True)
class Shift(Generator):
    """Adds a learned number to the mean of the speech of each frame."""

    source_space: Array | Record
    target_space: Array
    scale: float = 1.0

    sources = (Array, Record)
    targets = (Array,)
    has_log_prob = True
    sampling = frozenset({"scale"})

    def init(self, rng):
        return {"params": {"shift": jnp.ones(())}, "seen": jnp.zeros(())}

    def _mean(self, variables, source):
        speech = source["speech"] if isinstance(source, dict) else source
        mean = speech.values.mean(axis=2).reshape(-1, 4, 2)
        return variables["params"]["shift"] + mean, -(-speech.length // 2)

    def loss(self, variables, keys, source, target, train):
        mean, _ = self._mean(variables, source)
        error = jnp.square(mean - target.values).mean(axis=(1, 2))
        return LossOutput(error, {}, {"number": jnp.float32(len(keys))})

    def sample(self, variables, keys, source):
        return Padded(*self._mean(variables, source))

    def resample(self, variables, keys, source, target, fraction):
        return target

    def log_prob(self, variables, source, target):
        return -self.loss(variables, jnp.zeros(2), source, target, False).loss

    def alignment(self, variables, source, target):
        return jnp.ones((len(target.length), 4, 8))

    def target_metrics(self, target):
        return {"length": float(target.length.mean())}

    def update(self, variables, rng, loss_output):
        return {**variables, "seen": variables["seen"] + loss_output.sums["number"]}

    def finalize(self, variables, pairs):
        seen = sum(float(target.values.sum()) for _ in range(2) for _, target in pairs)
        return {**variables, "seen": jnp.float32(seen)}


def values(seed=0):
    rng = np.random.default_rng(seed)

    def padded(space, length):
        shape = (2, *space.shape)
        return Padded(jnp.asarray(rng.normal(size=shape), jnp.float32), length)

    picture = jnp.asarray(rng.integers(0, 256, (2, *PICTURE.shape)), jnp.float32)
    source = {"speech": padded(SPEECH, jnp.array([8, 5])), "picture": picture}
    target = {"tracks": padded(TRACKS, jnp.array([4, 3])), "picture": picture}
    return source, target


@pytest.mark.parametrize("reads", [(), ("speech",)])
def test_generator_within_sees_its_fields_alone(reads):
    read = SPEECH if reads else SOURCE
    inner = Shift(read, TRACKS)
    model = PassThrough(SOURCE, TARGET, inner, reads)
    variables, keys = model.init(None), jax.random.split(jax.random.key(0), 2)
    source, target = values()
    field = source["speech"] if reads else source

    sampled = model.sample(variables, keys, source)
    np.testing.assert_array_equal(sampled["picture"], source["picture"])
    expected = inner.sample(variables, keys, field)
    jax.tree.map(np.testing.assert_array_equal, sampled["tracks"], expected)
    resampled = model.resample(variables, keys, source, target, 0.5)
    jax.tree.map(np.testing.assert_array_equal, resampled, target)

    output = model.loss(variables, keys, source, target, True)
    alone = inner.loss(variables, keys, field, target["tracks"], True)
    np.testing.assert_array_equal(output.loss, alone.loss)
    np.testing.assert_array_equal(
        model.log_prob(variables, source, target), -alone.loss
    )
    assert model.alignment(variables, source, target).shape == (2, 4, 8)
    assert model.target_metrics(target) == {"length": 3.5}
    assert model.update(variables, None, output)["seen"] == 2
    finalized = model.finalize(variables, [(source, target)])
    total = 2 * float(target["tracks"].values.sum())
    np.testing.assert_allclose(finalized["seen"], total, rtol=1e-5)


def test_properties_are_those_of_the_generator_within():
    model = PassThrough(SOURCE, TARGET, Shift(SOURCE, TRACKS))
    assert model.has_log_prob and model.parametric and model.num_calls is None
    assert model.sampling == {"generator.scale"} and model.generated == "tracks"


def from_section(section, source_space=SOURCE, target_space=TARGET):
    spaces = source_space, target_space, target_space
    return make_generator({"prior": section}, "config", "prior", "Y", *spaces)


AUTOREGRESSIVE = {"name": "autoregressive", "width": 8, "num_layers": 1, "num_heads": 2}
TOKENS = Record((("tracks", Tokens(4, 9, padded=True)), ("picture", PICTURE)))
FIELDS_AS_TOKENS = {"name": "record", "pictures": "tokens"}


@pytest.mark.parametrize(
    ("inner", "target_space"),
    [
        (REGRESSION, TARGET),
        (REGRESSION | {"conditioning": FIELDS_AS_TOKENS}, TARGET),
        ({"name": "diffusion", "network": DIT, "num_steps": 2}, TARGET),
        (AUTOREGRESSIVE | {"conditioning": "aligned", "source_stride": 2}, TOKENS),
        (AUTOREGRESSIVE | {"conditioning": "cross"}, TOKENS),
        (AUTOREGRESSIVE | {"name": "masked"}, TOKENS),
    ],
)
def test_section_builds_a_generator_that_reads_a_record(inner, target_space):
    model = from_section(
        {"name": "pass_through", "generator": inner}, SOURCE, target_space
    )
    assert model.generator.source_space == SOURCE

    def trace(rng, keys, source, target):
        variables = model.init(rng)
        output = model.loss(variables, keys, source, target, True)
        return output.loss, model.sample(variables, keys, source)

    keys = jax.random.split(jax.random.key(0), 2)
    batch = zeros(SOURCE, 2), zeros(target_space, 2)
    loss, sampled = jax.eval_shape(trace, jax.random.key(0), keys, *batch)
    assert loss.shape == (2,)
    assert jax.tree.map(jnp.shape, sampled) == jax.tree.map(jnp.shape, batch[1])


def test_padding_of_a_source_gives_length_and_has_no_influence():
    model = from_section({"name": "pass_through", "generator": REGRESSION})
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda p: rng.normal(0, 0.3, p.shape).astype(np.float32), shapes
    )
    source, _ = values()
    keys = jax.random.split(jax.random.key(0), 2)
    sample = jax.jit(model.sample)
    tracks = sample(variables, keys, source)["tracks"]
    np.testing.assert_array_equal(tracks.length, [4, 3])
    assert not tracks.values[1, 3:].any() and np.abs(tracks.values[1, :3]).min() > 0
    speech = source["speech"]
    changed = speech._replace(values=speech.values.at[1, 5:].set(9.0))
    other = sample(variables, keys, {**source, "speech": changed})["tracks"]
    np.testing.assert_array_equal(other.values, tracks.values)


PICTURE_ONLY = Record((("picture", PICTURE),))
DIFFERENT = Record((("speech", SPEECH), ("picture", Array((12, 12, 3), 0, 1))))


@pytest.mark.parametrize(
    ("options", "spaces", "message"),
    [
        (
            {},
            (DIFFERENT, TARGET),
            "config.prior: needs a target of which all fields but one are in the source, "
            "and of Record(tracks: Array(4, 2, padded), picture: Array(12, 12, 3)) tracks, "
            "picture would be generated from Record(",
        ),
        (
            {},
            (SOURCE, PICTURE_ONLY),
            "config.prior: needs a target of which all fields but one are in the source, "
            "and of Record(picture: Array(12, 12, 3)) none would be generated from",
        ),
        (
            {"reads": ("sound",)},
            (SOURCE, TARGET),
            "config.prior: reads must name fields of the source, speech, picture, not "
            "'sound'",
        ),
        (
            {"reads": "speech"},
            (SOURCE, TARGET),
            "config.prior.reads must be of type tuple",
        ),
        (
            {"reads": ("picture",)},
            (SOURCE, TARGET),
            "config.prior.generator: needs a target of constant length, not Array(4, 2, "
            "padded), or a source that is time-aligned with it",
        ),
        (
            {},
            (Category(2), TARGET),
            "config: prior 'pass_through' reads Record, but its source is Category(2): "
            "use prior of your own",
        ),
        (
            {"generator": {"name": "nearest"}},
            (SOURCE, TARGET),
            "config.prior: generator 'nearest' reads Category or Tokens or Array, but its "
            "source is Record(",
        ),
        (
            {"name": "regression"},
            (SOURCE, TARGET),
            "config: prior 'regression' generates Array, but Y gives Record(tracks: "
            "Array(4, 2, padded), picture: Array(12, 12, 3)): use prior 'pass_through'",
        ),
        (
            {"generator": AUTOREGRESSIVE | {"conditioning": "aligned"}},
            (SOURCE, Record((("ids", Tokens(5, 3)), ("picture", PICTURE)))),
            "config.prior.generator: conditioning 'aligned' needs a source that is "
            "time-aligned in one field with the target: Record(speech: ",
        ),
    ],
)
def test_spaces_that_do_not_fit_raise_user_error(options, spaces, message):
    section = {"name": "pass_through", "generator": REGRESSION} | options
    with pytest.raises(UserError) as error:
        from_section(section, *spaces)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)
