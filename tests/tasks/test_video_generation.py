"""Prompts, errors and metrics of clips, by a judge whose predictions are given."""

import dataclasses

import numpy as np
import pytest

from regen_jax.data.builders.moving_digits.combinations import HELD_OUT, LEARNED
from regen_jax.errors import UserError
from regen_jax.interfaces import Generated
from regen_jax.judges.digit_tracker import DigitTracker
from regen_jax.modalities.video import captions
from regen_jax.modalities.video.captions import Part
from regen_jax.spaces import Array
from regen_jax.tasks.video_generation import VideoGeneration

KNOWN, OTHER = LEARNED[3], LEARNED[20]
NEW = HELD_OUT["test"][7]


@pytest.fixture(scope="module")
def task(moving_digits_dir):
    task = VideoGeneration(dir=moving_digits_dir, size=16, num_frames=4)
    combinations = sorted(map(list, LEARNED))
    # The few clips of the tests lack some.
    assert all(part in combinations for part in task.info["combinations"])
    return task.with_info(task.info | {"combinations": combinations})


@pytest.fixture
def judged(monkeypatch):
    """The judge sees parts in the first pixels of a clip: digits, then motions."""

    def predict(self, variables, clips):
        pixels = np.asarray(clips).reshape(len(clips), -1)[:, :4].astype(int)
        presence, motions = np.zeros((2, len(clips), 10))
        for row, (first, second, motion, other) in enumerate(pixels % 10):
            presence[row, [first, second]] = 2, 1
            motions[row, [second, first]] = other, motion
        return presence, motions, np.float32(pixels[:, ::2])

    monkeypatch.setattr(DigitTracker, "predict", predict)


def clips_of(*listed):
    """Clips in whose first pixels parts are written; of one part, another digit too."""
    y = np.zeros((len(listed), 4, 16, 16, 1), np.uint8)
    for clip, parts in zip(y, listed, strict=True):
        pairs = [*parts, Part((parts[0].digit + 1) % 10, 0)][:2]
        clip[0, 0, :4, 0] = [p.digit for p in pairs] + [p.motion for p in pairs]
    return y


def prompts_of(*listed):
    return {"x": np.stack([captions.encode(parts) for parts in listed])}


def metrics(task, prompts, y):
    return task.sample_metrics({"judge": {}})(Generated(prompts, y))


def test_examples_are_captions_in_words_with_their_clip(task):
    train = task.examples("train")
    assert len(train) == 150 and task.x == captions.SPACE
    assert task.y == Array((4, 16, 16, 1), 0.0, 255.0, step=1.0)
    for index in (0, 7, 90):
        parts = captions.parse(train.clips.captions[index])
        assert captions.decode(train[index]["x"]) == parts
        assert train[index]["y"].shape == task.y.shape


def test_rate_that_cannot_be_written_raises_user_error(task, monkeypatch):
    clips = dataclasses.replace(task.examples("train").clips, rate=1e9)
    monkeypatch.setattr(VideoGeneration, "_clips", lambda self, split: clips)
    with pytest.raises(UserError, match="has 1e\\+09 frames/s: 0.01 to 1000"):
        task.read_info()


def test_prompts_are_of_learned_and_of_held_out_combinations_in_turn(task):
    for split in ("validation", "test"):
        prompts = task.prompts(12, split)
        held_out = [
            any(part in HELD_OUT[split] for part in captions.decode(prompt["x"]))
            for prompt in prompts
        ]
        assert held_out == [False, True] * 6


def test_prompt_is_the_caption_in_words(task):
    prompt = task.parse_prompt("text", "A 3 moves left and bounces; a 7 falls.")
    assert captions.decode(prompt["x"]) == (Part(3, 4), Part(7, 8))


@pytest.mark.parametrize(
    "kind, value, words",
    [
        ("text", "a cat moves left", "no caption of moving digits: 'a DIGIT MOTION'"),
        ("audio", "/a.wav", "reads --text=CAPTION, not --audio"),
    ],
)
def test_wrong_prompt_raises_user_error_of_one_line(task, kind, value, words):
    with pytest.raises(UserError, match=words) as caught:
        task.parse_prompt(kind, value)
    assert "\n" not in str(caught.value)


def test_accuracies_are_per_digit_and_apart_for_held_out_combinations(task, judged):
    asked = [(KNOWN,), (KNOWN, NEW), (NEW,), (OTHER, KNOWN)]
    wrong = Part(KNOWN.digit, (KNOWN.motion + 1) % 10)
    shown = [(KNOWN,), (NEW, wrong), (Part((NEW.digit + 3) % 10, NEW.motion),)]
    shown.append((KNOWN, OTHER))
    values = metrics(task, prompts_of(*asked), clips_of(*shown))
    # Of 4 learned ones, all digits and 3 motions; of 2 held out, one digit, two motions.
    assert values["digit_accuracy"] == 1.0
    assert values["motion_accuracy"] == values["both_accuracy"] == 0.75
    assert values["held_out_digit_accuracy"] == 0.5
    assert values["held_out_motion_accuracy"] == 1.0
    assert values["held_out_both_accuracy"] == 0.5


def test_metrics_without_a_value_are_left_out(task, judged):
    values = metrics(task, prompts_of((KNOWN,)), clips_of((KNOWN,)))
    assert set(values) == {
        *("digit_accuracy", "motion_accuracy", "both_accuracy", "warping_error")
    }
    single = dataclasses.replace(task, num_frames=1).with_info(task.info)
    values = metrics(single, prompts_of((KNOWN,)), clips_of((KNOWN,))[:, :1])
    assert set(values) == {"digit_accuracy", "motion_accuracy", "both_accuracy"}


def test_distance_is_that_of_captions_of_learned_combinations(task, judged):
    asked = [(KNOWN,)] * 6 + [(NEW,)] * 3
    values = metrics(task, prompts_of(*asked), clips_of(*asked))
    assert values["frechet_samples"] == 6 and values["frechet"] > 0


def test_results_per_example_are_counts_of_parts(task, judged):
    asked, shown = [(KNOWN, NEW), (OTHER,)], [(NEW, KNOWN), (KNOWN,)]
    columns = task.per_example(
        {"judge": {}}, Generated(prompts_of(*asked), clips_of(*shown))
    )
    assert columns["caption"][0] == f"a {KNOWN}; a {NEW}"
    expected = [[2, 2], [float(KNOWN.digit == OTHER.digit), 1]]
    np.testing.assert_array_equal(columns["digit_accuracy"], expected)


def test_rendered_clips_run_beside_their_captions(task):
    y = np.zeros((3, *task.y.shape), np.uint8)
    media = task.render_samples(prompts_of(*[(KNOWN,)] * 3), y)
    assert media.videos["samples"].frames.shape[0] == 4
    assert media.videos["samples"].rate == 8.0
    assert f"a {KNOWN}" in media.texts["samples"]
    assert "motion is procedural" in media.texts["samples"]
    assert media.images["samples"].shape[2] == 3
    media = task.render_reconstructions(y, y)
    assert media.images.keys() == media.videos.keys() == {"reconstructions"}


def test_reconstructions_have_an_error_and_a_similarity(task):
    y = np.random.default_rng(0).integers(0, 256, (2, *task.y.shape)).astype(np.uint8)
    assert task.reconstruction_metrics(y, y) == {"mse": 0, "ssim": 1}
    values = task.reconstruction_metrics(y, 255 - y)
    assert values["ssim"] < 0 < values["psnr"] < 10


def test_set_with_other_captions_raises_user_error(task, monkeypatch):
    clips = task._clips("train")
    other = type(clips)(("a red heart",), clips.clips[:1], 1, 8.0, clips.folder)
    monkeypatch.setattr(VideoGeneration, "_clips", lambda self, split: other)
    with pytest.raises(
        UserError, match="data set 'moving_digits': 'a red heart' is no"
    ):
        task.read_info()
