"""`config.data.splits` chooses the stored splits that tasks read."""

import pytest

from regen_jax.config.registry import instantiate
from regen_jax.data.tfds.splits import SplitOptions
from regen_jax.errors import UserError
from regen_jax.tasks.class_to_image import ClassToImage
from regen_jax.tasks.harmony import Harmony
from regen_jax.tasks.melody import Melody
from regen_jax.tasks.pronunciation import Pronunciation
from regen_jax.tasks.simplification import Simplification


def test_section_of_a_config_sets_the_splits(digits_dir):
    section = {"dir": digits_dir, "splits": {"validation": "test[:7]"}}
    task = instantiate(ClassToImage, section, "config.data")
    assert task.splits == SplitOptions(validation="test[:7]")
    assert len(task.examples("validation")) == 7
    assert len(task.examples("test")) == 50
    with pytest.raises(UserError, match="config.data.splits.dev is not an option"):
        instantiate(ClassToImage, {"splits": {"dev": "test"}}, "config.data")


def test_unknown_split_raises_user_error(digits_dir):
    task = ClassToImage(dir=digits_dir, splits=SplitOptions(train="training"))
    with pytest.raises(UserError, match="no split 'training': choose train"):
        task.examples("train")


def test_targets_are_the_stored_splits_that_are_named(text_dir):
    """Of targets only Y has to fit, so that they are never fewer than pairs."""

    def num_targets(**splits):
        task = Simplification(dir=text_dir, splits=SplitOptions(**splits))
        return len(task.examples("targets"))

    parts = [num_targets(targets=name) for name in ("train", "unpaired", "test")]
    assert min(parts) > 0
    assert num_targets() == parts[0] + parts[1]
    assert num_targets(targets="train+test") == parts[0] + parts[2]


def test_words_and_scores_are_of_the_named_split(speech_dir, music_dir):
    splits = SplitOptions(validation="test[:5]")
    words = Pronunciation(dir=speech_dir, splits=splits)
    assert len(words.examples("validation")) == 5 < len(words.examples("test"))
    scores = Harmony(dir=music_dir, transpose=0, splits=SplitOptions(train="test"))
    assert len(scores.examples("train")) == len(scores.examples("test"))


def test_targets_of_melodies_are_of_the_named_split(music_dir):
    def num_targets(**splits):
        options = {"transpose": 0, "folk_tunes": "", "splits": SplitOptions(**splits)}
        return len(Melody(dir=music_dir, **options).examples("targets"))

    task = Melody(dir=music_dir, transpose=0)
    sizes = {name: len(list(task.pieces(name))) for name in ("train", "test")}
    assert num_targets() == sizes["train"]
    assert num_targets(targets="test") == sizes["test"] != sizes["train"]
    with_folk_tunes = Melody(dir=music_dir, transpose=0, division=4)
    assert len(with_folk_tunes.examples("targets")) > sizes["train"]
