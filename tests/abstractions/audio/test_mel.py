import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.audio.mel import Mel
from regen_jax.modalities.audio.mel import log_mel
from regen_jax.spaces import Array, Category, Padded, check

SMALL = {"sample_rate": 8000, "n_fft": 64, "hop": 16, "num_mels": 12}
FRAMES = 20
SAMPLES = FRAMES * 16


def wave_space(shape=(SAMPLES,), padded=True):
    return Array(shape, -1.0, 1.0, padded=padded)


def waves(count=2, seed=0):
    """Tones with a little noise, f32[count, SAMPLES]."""
    rng = np.random.default_rng(seed)
    pitch = rng.uniform(0.2, 1.0, (count, 1))
    tone = 0.5 * np.sin(pitch * np.arange(SAMPLES))
    return (tone + rng.uniform(-0.01, 0.01, (count, SAMPLES))).astype(np.float32)


def test_default_output_space_is_that_of_speech():
    space = Mel(wave_space((32768,))).output_space
    assert space.shape == (128, 80) and space.padded
    assert space.low == pytest.approx(np.log(1e-5))
    assert space.high == pytest.approx(2.38, abs=0.01)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_loudest_tone_is_within_the_bounds(rate):
    mel = Mel(Array((SAMPLES,), -1.0, 1.0), **{**SMALL, "sample_rate": rate})
    pitch = np.linspace(0, np.pi, 400)[:, None]
    tones = np.sin(pitch * np.arange(SAMPLES)).astype(np.float32)
    loudest = log_mel(tones, **{**SMALL, "sample_rate": rate})[:, 2:-2].max()
    assert loudest == pytest.approx(mel.output_space.high, abs=0.03)


@pytest.mark.parametrize("shape", [(SAMPLES,), (SAMPLES, 1)])
@pytest.mark.parametrize("padded", [False, True])
def test_encode_gives_log_mel_outside_padding(shape, padded):
    mel = Mel(wave_space(shape, padded), **SMALL)
    y = waves(3)
    lengths = np.array([SAMPLES, 16 * 7, 16 * 7 + 1], np.int32)
    cut = np.where(np.arange(SAMPLES) < lengths[:, None], y, 0) if padded else y
    expected = np.array(log_mel(cut, **SMALL))
    values = y.reshape(3, *shape)
    found = mel.encode({}, Padded(values, lengths) if padded else values)
    check(mel.output_space, found, "y_prime")
    if padded:
        assert found.length.tolist() == [FRAMES, 7, 8]
        expected[1, 7:] = expected[2, 8:] = 0
        found = found.values
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("padded", [False, True])
def test_decoded_wave_has_the_same_log_mel(padded):
    space = wave_space((SAMPLES, 1), padded)
    mel = Mel(space, **SMALL, iterations=30)
    values = waves()[..., None]
    y = Padded(values, np.array([SAMPLES, 100], np.int32)) if padded else values
    y_prime = mel.encode({}, y)
    again = jax.jit(mel.decode)({}, y_prime)
    check(space, again, "y")
    found = mel.encode({}, again)
    if padded:
        assert again.length.tolist() == [SAMPLES, 112]
        assert not again.values[1, 112:].any()
        assert found.length.tolist() == y_prime.length.tolist()
        again, found, y_prime = again.values, found.values, y_prime.values
    assert np.abs(again).max() <= 1
    error, silence = found - y_prime, mel.output_space.low - y_prime
    assert np.mean(error**2) < 0.03 * np.mean(silence**2)


@pytest.mark.parametrize("way", ["encode", "decode"])
def test_samples_in_padding_change_nothing(way):
    def apply(values, lengths, canvas=SAMPLES):
        mel = Mel(wave_space((canvas,)), **SMALL, iterations=4)
        value = Padded(jnp.asarray(values), jnp.array(lengths))
        return jax.jit(getattr(mel, way))({}, value)

    mel = Mel(wave_space(), **SMALL)
    y, length, unit = waves(), 9 * 16, 1
    if way == "decode":
        y, length, unit = log_mel(y, **SMALL), 9, 16
    batch = apply(y, [length, y.shape[1]])
    garbage = np.array(y[:1])
    garbage[:, length:] = 3.0
    alone = apply(garbage, [length])
    short = apply(y[:1, :length], [length], canvas=length * unit)
    size = int(short.length[0])
    for found in (batch, alone):
        assert found.length[0] == size
        assert not found.values[0, size:].any()
        np.testing.assert_allclose(found.values[0, :size], short.values[0], atol=1e-4)
    assert mel.invertible and not mel.lossless


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (
            Category(3),
            {},
            "needs a wave, an Array of samples with bounds, not Category",
        ),
        (Array((512,)), {}, "needs a wave"),
        (Array((512, 2), -1, 1), {}, r"needs a wave, .* not Array\(512, 2\)"),
        (Array((500,), -1, 1), {}, "hop 256 does not divide the 500 samples"),
        (Array((512,), -1, 1), {"hop": 300}, "not 1024 with hop 300"),
        (Array((512,), -1, 1), {"num_mels": 0}, "num_mels must be at least 1, not 0"),
        (Array((512,), -1, 1), {"num_mels": 400}, "400 mel bands are too narrow"),
    ],
)
def test_invalid_option_raises_value_error(space, options, message):
    with pytest.raises(ValueError, match=message):
        Mel(space, **options)
