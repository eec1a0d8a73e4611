import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from regen_jax.data.builders.digits.builder import digits_file, read_digits
from regen_jax.data.builders.moving_digits import builder as moving_digits
from regen_jax.data.builders.moving_digits.builder import MovingDigits, crop, draw_parts
from regen_jax.data.builders.moving_digits.combinations import HELD_OUT, LEARNED
from regen_jax.data.readers.captioned_clips import open_captioned_clips
from regen_jax.modalities.video import motion
from regen_jax.modalities.video.captions import MOTIONS, Part, parse

README = Path(moving_digits.__file__).with_name("README.md").read_text()
NAMES = ("train", "validation", "test")


def all_parts(split):
    """Parts of each clip of a split, as the builder draws them."""
    size = moving_digits.SIZES[split]
    random = np.random.RandomState(moving_digits.SEEDS[split])
    return [draw_parts(split, number, random) for number in range(size)]


def test_readme_holds_checksum_and_sizes():
    assert hashlib.sha256(digits_file().read_bytes()).hexdigest() in README
    sizes = [f"{moving_digits.SIZES[name]:,}" for name in NAMES]
    assert f"| {' | '.join(sizes)} |" in README
    assert MovingDigits.__doc__.startswith(f"{sizes[0]} clips for training, {sizes[1]}")


def test_every_digit_and_motion_lacks_two_combinations():
    held_out = [part for parts in HELD_OUT.values() for part in parts]
    assert len({*held_out}) == 20 and len(LEARNED) == 80
    assert {*held_out}.isdisjoint(LEARNED)
    assert {*held_out, *LEARNED} == {Part(d, m) for d in range(10) for m in range(10)}
    for parts in HELD_OUT.values():
        assert sorted(p.digit for p in parts) == sorted(p.motion for p in parts)
        assert [p.digit for p in parts] == [*range(10)]


def test_held_out_combinations_equal_the_recorded_ones():
    """Results of different machines are comparable only if they do not change."""
    content = json.dumps({name: [*map(str, parts)] for name, parts in HELD_OUT.items()})
    digest = hashlib.sha256(content.encode()).hexdigest()
    assert digest.startswith("d0a955bf3b5950b8")


@pytest.mark.parametrize("name", NAMES)
def test_no_held_out_combination_is_in_train_or_another_split(name):
    clips = all_parts(name)
    seen = {part for parts in clips for part in parts}
    held_out = {*HELD_OUT.get(name, ())}
    assert held_out <= seen <= {*LEARNED, *held_out}
    if name != "train":
        is_held_out = [not {*LEARNED}.issuperset(parts) for parts in clips]
        assert is_held_out == [False, True] * (len(clips) // 2)


@pytest.mark.parametrize("name", NAMES)
def test_a_third_of_the_clips_has_two_different_digits(name):
    clips = all_parts(name)
    assert all(len({p.digit for p in parts}) == len(parts) for parts in clips)
    fraction = np.mean([len(parts) == 2 for parts in clips])
    assert fraction == pytest.approx(1 / 3, abs=0.01)
    counts = Counter(part.motion for parts in clips for part in parts)
    assert len(counts) == len(MOTIONS) and min(counts.values()) > 0.5 * max(
        counts.values()
    )


@pytest.fixture(scope="module")
def prepared(moving_digits_dir):
    return {
        name: open_captioned_clips("moving_digits", name, 16, 32, moving_digits_dir)
        for name in NAMES
    }


def test_clips_show_digits_of_their_own_split_moved_by_the_rules(
    prepared, moving_digits_dir, all_digits_dir
):
    """Each clip is drawn again from digits of the prepared set `digits` of its split."""
    from regen_jax.data.readers.images import open_images

    for name, clips in prepared.items():
        digits = open_images("digits", name, all_digits_dir)
        known = {crop(digits[i]["y"][..., 0]).tobytes() for i in range(len(digits))}
        large = open_captioned_clips("moving_digits", name, 16, 64, moving_digits_dir)
        for caption, clip in list(zip(large.captions, large.clips, strict=True))[:40]:
            (part, *others) = parse(caption)
            if others:
                continue
            ink = np.argwhere(clip[0, ..., 0] > 0)
            # Whole cells around the ink, whose longer side is known.
            low, high = ink.min(0) // 2 * 2, -(-(ink.max(0) + 1) // 2) * 2
            picture = clip[0, low[0] : high[0], low[1] : high[1], 0]
            assert max(picture.shape) == 28
            assert picture.tobytes() in known, (name, caption, part)
        assert len(clips) == len(large)


def test_caption_names_digits_from_left_to_right(prepared):
    """Of two digits that are apart in the first frame, one of which is a 1: it is thin."""
    checked = 0
    for clips in prepared.values():
        for caption, clip in zip(clips.captions, clips.clips, strict=True):
            parts = parse(caption)
            labels, number = ndimage.label(clip[0, ..., 0] >= 32, np.ones((3, 3)))
            if len(parts) < 2 or number != 2 or 1 not in [p.digit for p in parts]:
                continue
            boxes = sorted(ndimage.find_objects(labels), key=lambda box: box[1].start)
            ink = [np.mean(clip[0, ..., 0][box] >= 32) for box in boxes]
            left_is_one = ink[0] > ink[1]
            checked += left_is_one == (parts[0].digit == 1)
    assert checked >= 5


def test_half_the_size_is_the_mean_of_four_pixels(prepared, moving_digits_dir):
    large = open_captioned_clips("moving_digits", "test", 16, 64, moving_digits_dir)
    for small, clip in zip(prepared["test"].clips, large.clips, strict=True):
        mean = clip.reshape(16, 32, 2, 32, 2, 1).mean(axis=(2, 4))
        np.testing.assert_allclose(small, mean, atol=0.5)


def test_digits_are_cropped_to_their_ink():
    images, _ = read_digits(digits_file())
    for image in images[::250]:
        picture = crop(image)
        assert max(picture.shape) == 28 and not np.any(np.array(picture.shape) % 2)
        edges = [picture[0], picture[-1], picture[:, 0], picture[:, -1]]
        assert all(edge.max() > 0 for edge in edges)
    assert motion.GRID * moving_digits.SCALE == 64
