import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.modalities.audio.stft import hann_window, istft, stft
from tests.modalities.audio import reference

SIZES = [(64, 16), (48, 16), (1024, 256)]
forward = jax.jit(stft, static_argnums=(1, 2))
inverse = jax.jit(istft, static_argnums=(1, 2))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize(("n_fft", "hop"), SIZES)
@pytest.mark.parametrize("extra", [0, 5])
def test_stft_equals_scipy(n_fft, hop, extra):
    wave = noise(2, 9 * hop + extra)
    expected = reference.stft(wave, n_fft, hop)
    spectrum = forward(wave, n_fft, hop)
    assert spectrum.dtype == jnp.complex64
    assert spectrum.shape == (2, 9, n_fft // 2 + 1)
    np.testing.assert_allclose(spectrum, expected[:, :9], atol=1e-4)


def test_hann_window_is_periodic():
    np.testing.assert_allclose(hann_window(16), np.hanning(17)[:16], atol=1e-7)


@pytest.mark.parametrize(("n_fft", "hop"), SIZES)
@pytest.mark.parametrize("frames", [1, 2, 11])
def test_istft_inverts_stft(n_fft, hop, frames):
    wave = noise(2, frames * hop)
    restored = inverse(forward(wave, n_fft, hop), n_fft, hop)
    assert restored.shape == wave.shape
    np.testing.assert_allclose(restored, wave, atol=1e-5)


def test_istft_equals_scipy():
    spectrum = noise(2, 10, 33) + 1j * noise(2, 10, 33, seed=1)
    wave = inverse(spectrum.astype(np.complex64), 64, 16)
    # SciPy's wave of ten frames ends at the center of the last.
    expected = reference.istft(spectrum, 64, 16)
    np.testing.assert_allclose(wave[:, : 9 * 16], expected, atol=1e-5)


def test_istft_is_the_least_squares_solution():
    """The solution of the transform as a real matrix is the reference."""
    n_fft, hop, frames = 16, 4, 5

    def windowed(wave):
        """Computes frames in the time domain, whose distance is that of full spectra."""
        return jnp.fft.irfft(stft(wave, n_fft, hop), n_fft).reshape(-1)

    matrix = np.asarray(jax.jit(jax.jacobian(windowed))(jnp.zeros(frames * hop)))
    spectrum = stft(noise(frames * hop), n_fft, hop) * noise(frames, n_fft // 2 + 1)
    target = jnp.fft.irfft(spectrum, n_fft).reshape(-1)
    expected = np.linalg.lstsq(matrix, target)[0]
    np.testing.assert_allclose(istft(spectrum, n_fft, hop), expected, atol=1e-5)


def test_gradients_equal_finite_differences():
    wave, direction = noise(2, 64), noise(2, 64, seed=1)
    target = jnp.abs(stft(noise(2, 64, seed=2), 32, 8))

    @jax.jit
    def loss(wave):
        again = istft(stft(wave, 32, 8) * target, 32, 8)
        return jnp.sum((jnp.abs(stft(again, 32, 8)) - target) ** 2) / 1e4

    derivative = jnp.sum(jax.jit(jax.grad(loss))(wave) * direction)
    step = 1e-3
    forward_loss, backward_loss = (
        loss(wave + step * direction),
        loss(wave - step * direction),
    )
    np.testing.assert_allclose(
        derivative, (forward_loss - backward_loss) / (2 * step), rtol=1e-2
    )


@pytest.mark.parametrize(
    ("shape", "n_fft", "hop", "message"),
    [
        ((2, 64), 32, 12, "n_fft must be even and a multiple of hop"),
        ((2, 64), 32, 16, "3 times it or more, not 32 with hop 16"),
        ((2, 64), 15, 5, "must be even"),
        ((2, 7), 32, 8, "needs 8 samples or more, not 7"),
    ],
)
def test_invalid_sizes_raise_value_error(shape, n_fft, hop, message):
    with pytest.raises(ValueError, match=message):
        stft(np.zeros(shape, np.float32), n_fft, hop)


def test_istft_ignores_invalid_frames():
    spectrum = forward(noise(3, 160), 64, 16)
    counts = np.array([10, 4, 0])
    waves = inverse(spectrum, 64, 16, counts)
    for row, count in enumerate(counts):
        assert not waves[row, count * 16 :].any()
    np.testing.assert_allclose(waves[0], inverse(spectrum[0], 64, 16), atol=1e-6)
    short = inverse(spectrum[1, :4], 64, 16)
    np.testing.assert_allclose(waves[1, : 4 * 16], short, atol=1e-6)


def test_istft_of_another_number_of_bins_raises_value_error():
    with pytest.raises(ValueError, match="needs 17 bins, not 9"):
        istft(np.zeros((2, 3, 9), np.complex64), 32, 8)
