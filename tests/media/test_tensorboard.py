import io

import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.util import tensor_util

from regen_jax.media import markdown
from regen_jax.media.media import Media
from regen_jax.media.tensorboard import SummaryWriter, flatten_config

CONFIG = {
    "seed": 3,
    "prior": {"name": "autoregressive", "dropout": 0.1, "init_from": None},
    "train": {"prior": {"remat": True, "betas": (0.9, 0.99)}},
}
FLAT = {
    "seed": 3,
    "prior.name": "autoregressive",
    "prior.dropout": 0.1,
    "prior.init_from": "None",
    "train.prior.remat": True,
    "train.prior.betas": "[0.9, 0.99]",
}


def load_events(logdir):
    events = EventAccumulator(str(logdir), size_guidance={"scalars": 0})
    return events.Reload()


def points(events, tag):
    return [(e.step, e.value) for e in events.Scalars(tag)]


def text(events, tag):
    [event] = events.Tensors(f"{tag}/text_summary")
    return tensor_util.make_ndarray(event.tensor_proto).item().decode()


def test_scalars_are_stored_as_float32(tmp_path):
    values = [0.1, 1e-30, -3e30]
    with SummaryWriter(tmp_path) as summaries:
        for step, value in enumerate(values):
            summaries.write_scalars(
                step, {"prior/loss": value, "prior/jax": jnp.float32(step)}
            )
    events = load_events(tmp_path)
    assert points(events, "prior/loss") == list(enumerate(map(np.float32, values)))
    assert points(events, "prior/jax") == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_stored_exactly(tmp_path, channels):
    image = np.random.default_rng(0).integers(0, 256, size=(7, 5, channels))
    image = image.astype(np.uint8)
    with SummaryWriter(tmp_path) as summaries:
        summaries.write_images(4, {"samples": image})
    [event] = load_events(tmp_path).Images("samples")
    decoded = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
    assert event.step == 4 and (event.height, event.width) == (7, 5)
    np.testing.assert_array_equal(decoded, np.broadcast_to(image, (7, 5, 3)))


def test_image_of_another_dtype_raises_value_error(tmp_path):
    raises = pytest.raises(ValueError, match=r"'x' must be uint8 .* float64 \[2, 2\]")
    with SummaryWriter(tmp_path) as summaries, raises:
        summaries.write_images(0, {"x": np.zeros((2, 2))})


def test_texts_and_finite_histograms_are_stored(tmp_path):
    counts = np.array([0, 0, 3, np.inf, np.nan])
    with SummaryWriter(tmp_path) as summaries:
        summaries.write_texts(1, {"config": markdown.json_block(CONFIG)})
        summaries.write_histograms(2, {"counts": counts, "none": np.array([np.nan])})
    events = load_events(tmp_path)
    config = text(events, "config")
    assert config.startswith("```json\n{\n") and config.endswith("\n}\n```")
    assert '"init_from": null' in config
    assert events.Tags()["histograms"] == ["counts"]
    [event] = events.Histograms("counts")
    value = event.histogram_value
    assert (event.step, value.num, value.min, value.max) == (2, 3, 0, 3)


def test_media_are_stored_as_images_audio_and_texts(tmp_path):
    wave = np.sin(np.arange(400, dtype=np.float32) / 5) * 1.5
    image = np.zeros((4, 4, 3), np.uint8)
    media = Media({"picture": image}, {"sound": (wave, 8000)}, {"words": "| a |"})
    with SummaryWriter(tmp_path) as summaries:
        summaries.write_media(3, media)
    events = load_events(tmp_path)
    assert text(events, "words") == "| a |"
    assert [event.step for event in events.Images("picture")] == [3]
    [event] = events.Audio("sound")
    assert event.step == 3 and event.sample_rate == 8000
    samples, _ = soundfile.read(io.BytesIO(event.encoded_audio_string))
    np.testing.assert_allclose(samples, np.clip(wave, -1, 1), atol=1 / 2**14)


def test_hparams_and_final_metrics_are_one_session(tmp_path):
    with SummaryWriter(tmp_path) as summaries:
        summaries.write_scalars(5, {"abstraction/psnr": 24.0})
        summaries.write_hparams(9, CONFIG, {"samples/accuracy": 0.5})
    assert len(list(tmp_path.iterdir())) == 1
    events = load_events(tmp_path)
    contents = events.PluginTagToContent(metadata.PLUGIN_NAME)
    assert set(contents) == {
        metadata.SESSION_START_INFO_TAG,
        metadata.SESSION_END_INFO_TAG,
    }
    start = metadata.parse_session_start_info_plugin_data(
        contents[metadata.SESSION_START_INFO_TAG]
    )
    values = {
        name: getattr(value, value.WhichOneof("kind"))
        for name, value in start.hparams.items()
    }
    assert values == FLAT
    end = metadata.parse_session_end_info_plugin_data(
        contents[metadata.SESSION_END_INFO_TAG]
    )
    assert end.status == 1
    assert points(events, "samples/accuracy") == [(9, 0.5)]
    assert points(events, "abstraction/psnr") == [(5, 24.0)]


def test_resuming_purges_later_steps(tmp_path):
    with SummaryWriter(tmp_path) as summaries:
        summaries.write_texts(0, {"config": "first"})
        for step in (10, 20, 30):
            summaries.write_scalars(step, {"loss": step})
    with SummaryWriter(tmp_path, purge_step=20) as summaries:
        summaries.write_scalars(20, {"loss": 21})
    events = load_events(tmp_path)
    assert points(events, "loss") == [(10, 10), (20, 21)]
    assert text(events, "config") == "first"


def test_flushed_events_are_on_disk_before_closing(tmp_path):
    summaries = SummaryWriter(tmp_path)
    for step in range(50):
        summaries.write_scalars(step, {"loss": step})
    summaries.flush()
    assert len(points(load_events(tmp_path), "loss")) == 50
    summaries.close()


def test_disabled_writer_writes_nothing(tmp_path):
    with SummaryWriter(tmp_path / "run", enabled=False) as summaries:
        summaries.write_scalars(0, {"loss": 1})
        summaries.write_images(0, {"samples": np.zeros((2, 2, 1), np.uint8)})
        summaries.write_texts(0, {"config": "text"})
        summaries.write_histograms(0, {"counts": np.ones(3)})
        summaries.write_hparams(0, CONFIG, {"loss": 1})
        summaries.flush()
    assert not (tmp_path / "run").exists()


def test_flattened_config_keeps_the_order_of_fields():
    assert list(flatten_config(CONFIG).items()) == list(FLAT.items())
