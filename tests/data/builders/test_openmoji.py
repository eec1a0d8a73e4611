import hashlib
import importlib.util
import itertools
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from regen_jax.data.builders.openmoji import builder as openmoji
from regen_jax.data.builders.openmoji import compositions, drawings
from regen_jax.data.builders.openmoji.names import names_file, read_captions
from regen_jax.data.tfds.prepare import prepare
from regen_jax.errors import UserError
from regen_jax.modalities.text import captions as captions_of

README = Path(openmoji.__file__).with_name("README.md").read_text()
COMPOSITIONS = {
    compositions.caption(*parts): parts
    for parts in itertools.product(
        compositions.TONES,
        compositions.GENDERS,
        compositions.HELD_OUT_TONES["test"],
    )
}


@pytest.fixture(scope="module")
def captions():
    return read_captions(names_file(), drawings.drawings_folder())


@pytest.fixture(scope="module")
def splits(captions):
    """Captions of each split."""
    held_out = compositions.held_out_captions()
    names = ("train", "validation", "test")
    return {
        name: {c for c in captions.values() if held_out.get(c, "train") == name}
        for name in names
    }


def test_readme_holds_checksums_of_installed_files():
    assert drawings.digest(drawings.drawings_folder()) in README
    assert hashlib.sha256(names_file().read_bytes()).hexdigest() in README
    assert "CC BY-SA 4.0" in README and openmoji.CREDIT.split(" (")[0] in README


def test_sizes_of_splits_equal_those_of_readme(splits):
    sizes = [f"{len(splits[name]):,}" for name in ("train", "validation", "test")]
    assert sizes == ["3,824", "60", "60"]
    assert f"| {' | '.join(sizes)} |" in README


def test_captions_differ_also_when_normalized(captions):
    assert len({captions_of.normalize(c) for c in captions.values()}) == 3944


def test_flags_are_named_as_flags(captions):
    assert captions["1F1FA-1F1E6"] == "flag of Ukraine"
    assert captions["1F3F4-E0067-E0062-E0077-E006C-E0073-E007F"] == "flag of Wales"
    assert captions["2764"] == "red heart"


def test_every_composition_is_drawn(captions):
    assert len(COMPOSITIONS) == 300
    assert COMPOSITIONS.keys() <= set(captions.values())


def test_held_out_captions_are_never_in_train(splits):
    held_out = compositions.held_out_captions()
    assert len(held_out) == 120 and splits["train"].isdisjoint(held_out)
    for name in ("validation", "test"):
        assert splits[name] == {c for c, split in held_out.items() if split == name}


def test_every_pair_and_word_of_a_held_out_composition_is_in_train(splits):
    known = [COMPOSITIONS[c] for c in splits["train"] if c in COMPOSITIONS]
    assert len(known) == 180
    for first, second in itertools.combinations(range(3), 2):
        pairs = {(parts[first], parts[second]) for parts in known}
        assert pairs == {(p[first], p[second]) for p in COMPOSITIONS.values()}
    words = set(captions_of.words(splits["train"]))
    assert set(captions_of.words(splits["validation"] | splits["test"])) <= words


def test_no_picture_of_a_composition_is_in_two_splits(captions):
    """OpenMoji draws some captions alike: no two of different splits among them."""
    folder = drawings.drawings_folder()
    held_out = compositions.held_out_captions()
    splits_of = defaultdict(set)
    for stem, caption in captions.items():
        if caption in COMPOSITIONS:
            pixels = drawings.draw(folder / f"{stem}.svg", 32).tobytes()
            splits_of[pixels].add(held_out.get(caption, "train"))
    assert 200 < len(splits_of) < 300
    assert {len(names) for names in splits_of.values()} == {1}


def test_held_out_list_equals_the_recorded_one():
    """Results of different machines are comparable only if it does not change."""
    content = json.dumps(sorted(compositions.held_out_captions().items()))
    digest = hashlib.sha256(content.encode()).hexdigest()
    assert digest.startswith("a42547930f3e0697")


def test_drawing_is_rgb_on_white():
    path = drawings.drawings_folder() / "2764.svg"
    heart = np.asarray(drawings.draw(path, 64)).astype(int)
    assert heart.shape == (64, 64, 3)
    assert (heart[0, 0] == 255).all()
    # Filled with #d22f27.
    np.testing.assert_allclose(heart[32, 32], (0xD2, 0x2F, 0x27), atol=1)


def test_missing_package_raises_user_error(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'regen-jax\[emoji\]'"):
        prepare("openmoji", str(tmp_path))
    assert not list(tmp_path.glob("openmoji/*"))
