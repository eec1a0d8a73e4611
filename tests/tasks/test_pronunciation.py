import numpy as np
import pytest

from regen_jax.errors import UserError
from regen_jax.language.text import decode
from regen_jax.tasks.pronunciation import Pronunciation


def test_both_directions_hold_the_same_words(speech_dir):
    g2p, p2g = (Pronunciation(dir=speech_dir, direction=d) for d in ("g2p", "p2g"))
    assert (g2p.x, g2p.y) == (p2g.y, p2g.x)
    for split in ("train", "test"):
        there, back = g2p.examples(split), p2g.examples(split)
        assert len(there) == len(back) > 20
        np.testing.assert_array_equal(there[3]["x"], back[3]["y"])
        np.testing.assert_array_equal(there[3]["y"], back[3]["x"])


def test_stress_is_an_option(speech_dir):
    with_stress = Pronunciation(dir=speech_dir, stress=True)
    without = Pronunciation(dir=speech_dir)
    assert with_stress.y.vocab == 71 and without.y.vocab == 41
    pair = [task.examples("train")[0]["y"] for task in (with_stress, without)]
    spoken, plain = (
        decode(task.y, y) for task, y in zip((with_stress, without), pair, strict=True)
    )
    assert [phone.rstrip("012") for phone in spoken] == plain
    assert any(phone[-1] in "012" for phone in spoken)


def test_words_are_read_and_judged(speech_dir):
    task = Pronunciation(dir=speech_dir)
    example = task.read("text", "Light")
    assert "".join(decode(task.x, example["x"])) == "light"
    back = Pronunciation(dir=speech_dir, direction="p2g")
    assert decode(back.x, back.read("text", "l ay t")["x"]) == ["L", "AY", "T"]
    with pytest.raises(UserError, match="pronunciation reads --text=WORD"):
        task.read("audio", "a.wav")
    true = np.array([task.examples("test")[i]["y"] for i in range(4)])
    wrong = true.copy()
    wrong[0, 0] = wrong[0, 0] % 40 + 1
    figures = task.judging({})({"y": true}, wrong)
    assert figures["word_error_rate"] == 0.25
    assert figures["symbol_error_rate"] == pytest.approx(1 / np.sum(true > 0))


@pytest.mark.parametrize(
    "options, words",
    [({"direction": "g2"}, "direction must be"), ({"max_length": 0}, "max_length")],
)
def test_wrong_options_are_told(options, words):
    with pytest.raises(ValueError, match=words):
        Pronunciation(**options)
