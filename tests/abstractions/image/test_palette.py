import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.image.palette import Palette
from regen_jax.cli.train_run import train_run
from regen_jax.errors import UserError
from regen_jax.interfaces import Passes
from regen_jax.spaces import Array, Tokens, to_dtype
from tests.errors import value_error

SPACE = Array((6, 5, 3), 0.0, 255.0, step=1.0)
COLORS = np.array([[0, 0, 8], [250, 16, 0], [0, 100, 255], [255, 255, 255]], np.uint8)

KEYS = jax.random.split(jax.random.key(0), 8)


def images(number=8, noise=0):
    """Images u8[N, 6, 5, 3] of four colors, and those colors' numbers."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, len(COLORS), (number, 6, 5))
    shift = rng.integers(-noise, noise + 1, (*tokens.shape, 3))
    return np.clip(COLORS[tokens] + shift, 0, 255).astype(np.uint8), tokens


def fitted(palette, *batches):
    variables = palette.init(jax.random.key(0), jnp.asarray(batches[0]))
    return palette.finalize(variables, Passes(lambda: iter(batches)))


def test_colors_of_the_data_are_found_exactly_and_by_brightness():
    y, tokens = images()
    palette = Palette(SPACE, num_colors=4)
    variables = fitted(palette, y[:5], y[5:])
    np.testing.assert_allclose(variables["palette"]["colors"], COLORS, atol=1e-3)
    codes = palette.encode(variables, to_dtype(SPACE, y))
    assert palette.output_space == Tokens(30, 4)
    np.testing.assert_array_equal(codes, tokens.reshape(8, 30))
    np.testing.assert_allclose(palette.decode(variables, codes), y, atol=1e-3)
    np.testing.assert_allclose(
        palette.loss(variables, KEYS, to_dtype(SPACE, y), False).loss, 0, atol=1e-9
    )


def test_palette_is_a_function_of_the_data_alone():
    y, _ = images(noise=20)
    palette = Palette(SPACE, num_colors=4)
    whole, parts = fitted(palette, y), fitted(palette, y[:3], y[3:4], y[4:])
    np.testing.assert_allclose(
        whole["palette"]["colors"], parts["palette"]["colors"], rtol=1e-5
    )
    # Near the colors that the noise is around, each the mean of its pixels.
    tokens = np.asarray(palette.encode(whole, to_dtype(SPACE, y))).reshape(-1)
    pixels = y.reshape(-1, 3)
    means = [pixels[tokens == k].mean(axis=0) for k in range(4)]
    np.testing.assert_allclose(whole["palette"]["colors"], means, rtol=1e-4)


def test_loss_is_the_error_of_the_nearest_colors():
    y, _ = images(noise=30)
    palette = Palette(SPACE, num_colors=3)
    variables = fitted(palette, y)
    colors = np.asarray(variables["palette"]["colors"])
    squares = np.square(y.reshape(8, -1, 1, 3) - colors).mean(axis=-1)
    output = palette.loss(variables, KEYS, to_dtype(SPACE, y), False)
    expected = squares.min(axis=-1).mean(axis=-1) * (2 / 255) ** 2
    np.testing.assert_allclose(output.loss, expected, rtol=1e-4)
    counts = np.bincount(squares.argmin(axis=-1).ravel(), minlength=3)
    np.testing.assert_array_equal(output.sums["code_counts"], counts)
    summary = palette.summarize({}, jax.device_get(output.sums))
    assert summary["codebook_use"] == 1.0


def test_consistency_is_the_fraction_of_equal_pixels():
    y, tokens = images()
    palette = Palette(SPACE, num_colors=4)
    variables = fitted(palette, y)
    y_prime = tokens.reshape(8, 30)
    same = palette.consistency_metrics(variables, y, y_prime)
    assert same == {"pixel_accuracy": 1.0}
    y_prime[:2] = (y_prime[:2] + 1) % 4
    metrics = palette.consistency_metrics(variables, y, y_prime)
    assert metrics == {"pixel_accuracy": 0.75}


def test_palette_larger_than_the_data_raises_user_error():
    y, _ = images()
    Palette(SPACE, num_colors=4).check_data([y])
    with pytest.raises(UserError) as error:
        Palette(SPACE, num_colors=5).check_data([y, y])
    assert str(error.value) == (
        "num_colors of abstraction 'palette' is 5, more than the 4 colors of the training "
        "images, counted at 32 levels per channel: lower it"
    )


def test_check_of_data_stops_once_there_are_enough_colors():
    def batches():
        yield images()[0]
        raise AssertionError("read on")

    Palette(SPACE, num_colors=4).check_data(batches())


@pytest.mark.parametrize(
    ("space", "num_colors", "message"),
    [
        (Tokens(3, 4), 2, "needs an Array of images with bounds and 1 to 4 channels"),
        (Array((3, 3, 5), 0, 1), 2, "needs an Array of images with bounds and 1 to 4"),
        (Array((3, 3, 1), 0, 1, padded=True), 2, "needs an Array of constant length"),
        (SPACE, 1, "num_colors must be in [2, 1024], not 1"),
        (
            Array((4, 4, 1), 0, 255, step=1.0),
            300,
            "num_colors must be at most 256, as Array(4, 4, 1) has no more colors, not 300",
        ),
    ],
)
def test_invalid_option_raises_value_error(space, num_colors, message):
    assert message in value_error(Palette, space, num_colors)


def test_run_whose_palette_is_too_large_writes_nothing(tiny_config, tmp_path):
    config = tiny_config("abstraction=pixel_tokens")
    config.abstraction = {"name": "palette", "num_colors": 256}
    # Eight images, which lack some of the 256 grays.
    config.train.abstraction.update({"batch_size": 8, "data_fraction": 8 / 400})
    with pytest.raises(UserError, match=r"is 256, more than the \d+ colors of the"):
        train_run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
