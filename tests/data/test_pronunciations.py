from regen_jax.data import pronunciations, records
from regen_jax.data.prepare import prepare
from regen_jax.language.pronunciation import lexicon

SMALL = {
    word: tuple(word.upper()) for word in ("a", "b", "c's", "d", "e.", "f-g", "h1")
}


def test_splits_of_the_whole_dictionary():
    train, test = pronunciations.split_words(list(lexicon()))
    assert (len(train), len(test)) == (112_433, 12_493)
    assert not set(train) & set(test)
    assert set("".join(train + test)) == set("abcdefghijklmnopqrstuvwxyz'")
    assert test[:3] == ["shumaker", "echolocation", "fumigate"]
    assert pronunciations.split_words(list(reversed(lexicon()))) == (train, test)


def test_set_holds_words_with_their_phonemes(tmp_path, monkeypatch):
    monkeypatch.setattr(pronunciations, "lexicon", lambda: SMALL)
    monkeypatch.setattr(pronunciations, "TEST_SHARE", 0.25)
    prepare("pronunciations", str(tmp_path))
    splits = {
        name: {
            example["word"].decode(): example["phonemes"].decode()
            for example in records.load("pronunciations", name, str(tmp_path))
        }
        for name in ("train", "test")
    }
    assert (len(splits["train"]), len(splits["test"])) == (3, 1)
    assert splits["train"] | splits["test"] == {
        "a": "A", "b": "B", "c's": "C ' S", "d": "D"
    }  # fmt: skip
