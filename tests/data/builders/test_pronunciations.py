from regen_jax.data.builders.pronunciations import builder as pronunciations
from regen_jax.data.readers.pronunciations import open_pronunciations
from regen_jax.data.tfds.prepare import prepare
from regen_jax.modalities.text.pronunciation import lexicon

SMALL = {
    word: (tuple(word.upper()),) for word in ("a", "b", "c's", "d", "e.", "f-g", "h1")
}
SMALL["b"] += (("B", "IY1"),)


def test_splits_of_the_whole_dictionary_have_recorded_sizes():
    splits = pronunciations.split_words(list(lexicon()))
    sizes = {name: len(words) for name, words in splits.items()}
    assert sizes == {"train": 109_934, "validation": 2_499, "test": 12_493}
    words = [word for part in splits.values() for word in part]
    assert len(set(words)) == len(words)
    assert set("".join(words)) == set("abcdefghijklmnopqrstuvwxyz'")
    assert splits["test"][:3] == ["shumaker", "echolocation", "fumigate"]
    assert pronunciations.split_words(list(reversed(lexicon()))) == splits


def test_prepared_words_have_all_pronunciations(tmp_path, monkeypatch):
    monkeypatch.setattr(pronunciations, "pronunciations", lambda: SMALL)
    monkeypatch.setattr(pronunciations, "TEST_FRACTION", 0.25)
    monkeypatch.setattr(pronunciations, "VALIDATION_FRACTION", 0.25)
    prepare("pronunciations", str(tmp_path))
    splits = {
        name: dict(open_pronunciations("pronunciations", name, str(tmp_path)))
        for name in ("train", "validation", "test")
    }
    assert [len(words) for words in splits.values()] == [2, 1, 1]
    merged = {word: listed for part in splits.values() for word, listed in part.items()}
    assert merged == {
        "a": [["A"]], "b": [["B"], ["B", "IY1"]], "c's": [["C", "'", "S"]], "d": [["D"]]
    }  # fmt: skip
