import hashlib
from pathlib import Path

import numpy as np
import pytest

from regen_jax.data import builders
from regen_jax.data.builders.spoken_sounds import builder, combinations
from regen_jax.modalities.text import espeak
from tests.data.stored import stored_splits


@pytest.fixture(scope="module")
def splits():
    """All combinations of each split, not only those that tests prepare."""
    return combinations.split_combinations()


def pairs(listed, *names):
    return {tuple(getattr(each, name) for name in names) for each in listed}


def test_splits_have_the_sizes_of_the_readme(splits):
    readme = Path(*builders.__path__, "spoken_sounds", "README.md").read_text()
    sizes = [f"{len(splits[n]):,}" for n in ("train", "validation", "test")]
    assert f"| {' | '.join(sizes)} |" in readme
    for name in ("validation", "test"):
        labels = [each.label for each in splits[name]]
        assert {labels.count(label) for label in combinations.CLASSES} == {20}


def test_no_combination_is_in_two_splits(splits):
    listed = [each for split in splits.values() for each in split]
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("held_out", ["validation", "test"])
def test_half_of_a_held_out_split_has_pairs_that_train_lacks(splits, held_out):
    kinds = (("label", "voice"), ("voice", "pitch"))
    known = [pairs(splits["train"], *kind) for kind in kinds]
    unseen = [
        any(
            pairs([each], *kind) - seen for kind, seen in zip(kinds, known, strict=True)
        )
        for each in splits[held_out]
    ]
    assert sum(unseen) == len(unseen) / 2
    # The pairs of one held-out split are in no other one as their own.
    for kind, seen in zip(kinds, known, strict=True):
        new = [pairs(splits[name], *kind) - seen for name in ("validation", "test")]
        assert all(new)


def test_train_has_every_word_and_most_pairs(splits):
    train = splits["train"]
    assert pairs(train, "label") == {(label,) for label in combinations.CLASSES}
    assert len(pairs(train, "label", "voice")) == 36 * 10 - 2 * 36
    assert len(pairs(train, "voice", "pitch")) == 10 * 3 - 2 * 3
    assert len(pairs(train, "label", "accent")) == 36 * 4


def test_held_out_combinations_equal_recorded_ones(splits):
    """Results of different machines are comparable only if these do not change."""
    listed = "\n".join(map(str, splits["test"] + splits["validation"]))
    digest = hashlib.sha256(listed.encode()).hexdigest()
    assert digest.startswith("fa67b52514828c9e")


def test_prepared_sounds_say_their_words(sounds_dir):
    sounds = stored_splits("spoken_sounds", sounds_dir)
    assert [len(split) for split in sounds.values()] == [96, 16, 16]
    seconds = [len(e["audio"]) / 16_000 for split in sounds.values() for e in split]
    assert 0.1 < min(seconds) and max(seconds) < 1
    rates = np.array([int(e["rate"]) for e in sounds["train"]])
    durations = np.array([len(e["audio"]) for e in sounds["train"]])
    means = [durations[rates == rate].mean() for rate in range(3)]
    assert means[0] > 1.2 * means[1] > 1.2 * 1.2 * means[2]


def test_readme_holds_the_checksum_of_installed_voices():
    folder = espeak.data_folder()
    content = b"".join((folder / name).read_bytes() for name in builder.VOICE_FILES)
    readme = Path(*builders.__path__, "spoken_sounds", "README.md").read_text()
    assert hashlib.sha256(content).hexdigest() in readme


def test_sound_longer_than_a_second_is_left_out(monkeypatch):
    listed = [combinations.Combination("w", "american", "female 4", "low", "slow")]
    assert len(list(builder.synthesize(listed))) == 1
    monkeypatch.setattr(builder, "MAX_SECONDS", 0.3)
    assert not list(builder.synthesize(listed))
