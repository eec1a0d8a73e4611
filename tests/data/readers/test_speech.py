"""The examples of a set that fit the options of speech tasks, and the others."""

import logging

import numpy as np
import pytest

from regen_jax.config.registry import instantiate
from regen_jax.data.readers import digit_strings
from regen_jax.data.readers.speech import SpeechOptions, open_speech
from regen_jax.data.tfds.splits import SplitOptions
from regen_jax.errors import UserError
from regen_jax.tasks.speech_recognition import SpeechRecognition
from regen_jax.tasks.speech_synthesis import SpeechSynthesis


def texts(task, split):
    speech = open_speech(task, split)
    return [task.decode(speech[i]["text"][None])[0] for i in range(len(speech))]


@pytest.mark.parametrize("task", [SpeechRecognition, SpeechSynthesis])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_core_list_is_the_same_whatever_the_options(speech_dir, task, split):
    whole = task(name="spoken_bible", dir=speech_dir)
    core = whole.core_list(split)
    assert len(core.rows) == 40 and core.too_long == ()
    expected = sorted(texts(whole, split))
    for options in ({"max_characters": 15}, {"max_seconds": 1.0}):
        tight = task(name="spoken_bible", dir=speech_dir, **options)
        core = tight.core_list(split)
        left_out = [example["text"] for example in core.too_long]
        np.testing.assert_array_equal(core.rows, np.arange(len(tight.examples(split))))
        assert 0 < len(left_out) < 40
        assert sorted(texts(tight, split) + left_out) == expected


@pytest.mark.parametrize("split", ["validation", "test"])
def test_core_list_of_digits_is_the_same_whatever_the_options(
    speech_dir, caplog, split
):
    with caplog.at_level(logging.INFO, "regen_jax"):
        tasks = [SpeechRecognition(dir=speech_dir, max_digits=n) for n in (5, 2)]
        whole, part = (task.core_list(split) for task in tasks)
    assert len(whole.rows) == digit_strings.HELD_OUT_SIZE and whole.too_long == ()
    left_out = [example["text"] for example in part.too_long]
    assert all(len(text.split()) > 2 for text in left_out)
    assert sorted(texts(tasks[1], split) + left_out) == sorted(texts(tasks[0], split))
    (record,) = caplog.records
    assert record.getMessage() == (
        f"spoken_digits ({split}): left out are {len(left_out)} strings of more than 2 "
        "digits"
    )


def test_prompts_are_the_core_list(speech_dir):
    task = SpeechRecognition(name="spoken_bible", dir=speech_dir, max_characters=15)
    prompts = task.prompts(0, "validation")
    assert len(prompts) == len(task.core_list("validation").rows)
    assert len(task.prompts(10_000, "validation")) == len(prompts)
    assert [p["y"].tolist() for p in task.prompts(3, "validation")] == [
        p["y"].tolist() for p in prompts[:3]
    ]


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["max_characters", "max_seconds", "max_digits"])
def test_option_out_of_range_raises_value_error(name, value):
    with pytest.raises(ValueError, match=f"{name} must be "):
        SpeechOptions(**{name: value})


@pytest.mark.parametrize("seconds, rate", [(1e-30, 16_000), (1.0, 999), (1.0, 10**6)])
def test_wave_without_samples_or_of_another_rate_raises_user_error(seconds, rate):
    section = {"max_seconds": seconds, "sample_rate": rate}
    words = "max_seconds must be at least a sample|sample_rate must be in"
    with pytest.raises(UserError, match=words):
        instantiate(SpeechOptions, section, "config.data")


def test_split_options_choose_the_stored_split(speech_dir):
    swapped = SpeechOptions(dir=speech_dir, splits=SplitOptions(validation="test[:9]"))
    plain = SpeechOptions(dir=speech_dir)
    assert texts(swapped, "validation") == texts(plain, "test")[:9]
    assert texts(swapped, "test") == texts(plain, "test")
    unknown = SpeechOptions(dir=speech_dir, splits=SplitOptions(train="training"))
    with pytest.raises(UserError, match="no split 'training': choose train"):
        open_speech(unknown, "train")
