import functools

import numpy as np
import pytest

from regen_jax.data.pipeline import stack
from regen_jax.errors import UserError
from regen_jax.interfaces import Generated
from regen_jax.modalities.text.characters import decode, encode
from regen_jax.tasks import pronunciation
from regen_jax.tasks.pronunciation import Pronunciation

SMALL = {
    "train": {
        "read": ["R IY1 D", "R EH1 D", "R EH0 D"],
        "nights": ["N AY1 T S"],
        "abide": ["AH0 B AY1 D"],
    },
    "validation": {"red": ["R EH1 D"]},
    "test": {
        "knights": ["N AY1 T S"],
        "data": ["D EY1 T AH0", "D AE1 T AH0"],
        "antiques": ["AE0 N T IY1 K S"],
    },
}


@pytest.fixture
def small(monkeypatch):
    """Makes tasks on sets of a few words, each of another name, as reads are cached."""

    def words(name, split, data_dir):
        for word, listed in SMALL[split].items():
            yield word, [phones.split() for phones in listed]

    monkeypatch.setattr(pronunciation, "open_pronunciations", words)
    return functools.partial(Pronunciation, name="small")


def pairs(task, split):
    return [
        ("".join(decode(task.x, example["x"])), " ".join(decode(task.y, example["y"])))
        for example in task.examples(split)
    ]


def batch(task, split):
    return stack(task.examples(split))


def outputs(task, *texts):
    split = str.split if task.direction == "g2p" else list
    return np.array([encode(task.y, split(text)) for text in texts])


def test_directions_exchange_the_sides_of_the_same_words(speech_dir):
    g2p, p2g = (Pronunciation(dir=speech_dir, direction=d) for d in ("g2p", "p2g"))
    assert (g2p.x, g2p.y) == (p2g.y, p2g.x)
    for split in ("train", "validation", "test"):
        there, back = g2p.examples(split), p2g.examples(split)
        assert len(there) == len(back) > 20
        np.testing.assert_array_equal(there[3]["x"], back[3]["y"])
        np.testing.assert_array_equal(there[3]["y"], back[3]["x"])


def test_training_sees_every_pronunciation_once_and_held_out_words_once(small):
    task = small()
    assert pairs(task, "train") == [
        *(("read", "R IY D"), ("read", "R EH D")),
        *(("nights", "N AY T S"), ("abide", "AH B AY D")),
    ]
    assert pairs(task, "test")[1] == ("data", "D EY T AH")
    assert len(task.examples("test")) == 3
    # Vowels that differ in stress alone are two symbols if stress is kept.
    assert len(small(stress=True).examples("train")) == 5


def test_any_listed_pronunciation_is_right(small):
    task = small()
    second = outputs(task, "N AY T S", "D AE T AH", "AE N T IY K S")
    metrics = task.sample_metrics({})(Generated(batch(task, "test"), second))
    assert metrics == {"symbol_error_rate": 0, "word_error_rate": 0}
    # One edit from the second pronunciation, two from the first.
    near = outputs(task, "N AY T S", "D AE T", "AE N T IY K S")
    metrics = task.sample_metrics({})(Generated(batch(task, "test"), near))
    assert metrics["word_error_rate"] == pytest.approx(1 / 3)
    assert metrics["symbol_error_rate"] == pytest.approx(1 / (4 + 4 + 6))


def test_stress_counts_if_the_task_keeps_it(small):
    task = small(stress=True)
    prompts = batch(task, "validation")
    judge = task.sample_metrics({})
    assert judge(Generated(prompts, outputs(task, "R EH1 D")))["word_error_rate"] == 0
    assert judge(Generated(prompts, outputs(task, "R EH0 D")))["word_error_rate"] == 1


def test_any_listed_spelling_is_right_whatever_its_split(small):
    task = small(direction="p2g")
    metrics = task.sample_metrics({})(
        Generated(batch(task, "test"), outputs(task, "nights", "date", "antiques"))
    )
    assert metrics["word_error_rate"] == pytest.approx(1 / 3)
    assert metrics["symbol_error_rate"] == pytest.approx(1 / (6 + 4 + 8))


@pytest.mark.parametrize("direction, symbols", [("g2p", 4 + 4 + 6), ("p2g", 7 + 4 + 8)])
def test_words_beyond_max_length_score_as_empty_outputs(small, direction, symbols):
    task = small(direction=direction, max_length=7)
    core = task.core_list("test")
    assert [record["word"] for record in core.too_long] == ["antiques"]
    assert core.rows.tolist() == [0, 1] and not core.whole
    assert small(direction=direction).core_list("test").whole
    prompts = batch(task, "test")
    metrics = task.sample_metrics({})(Generated(prompts, prompts["y"], core.too_long))
    assert metrics["word_error_rate"] == pytest.approx(1 / 3)
    lost = {"g2p": 6, "p2g": 8}[direction]
    assert metrics["symbol_error_rate"] == pytest.approx(lost / symbols)


def test_results_per_example_add_up_to_the_metrics(small):
    task = small(max_length=7)
    prompts, too_long = batch(task, "test"), task.core_list("test").too_long
    y = outputs(task, "N AY T", "D AE T AH")
    columns = task.per_example({}, Generated(prompts, y, too_long))
    assert columns["source"] == ["knights", "data", "antiques"]
    assert columns["output"] == ["N AY T", "D AE T AH", ""]
    np.testing.assert_array_equal(
        columns["symbol_error_rate"], [[1, 4], [0, 4], [6, 6]]
    )
    np.testing.assert_array_equal(columns["word_error_rate"], [[1, 1], [0, 1], [1, 1]])
    assert task.sample_metrics({})(Generated(prompts, y, too_long)) == pytest.approx(
        {"symbol_error_rate": 7 / 14, "word_error_rate": 2 / 3}
    )


def test_stress_option_keeps_stress_marks(speech_dir):
    with_stress = Pronunciation(dir=speech_dir, stress=True)
    without = Pronunciation(dir=speech_dir)
    assert with_stress.y.vocab == 71 and without.y.vocab == 41
    pair = [task.examples("train")[0]["y"] for task in (with_stress, without)]
    spoken, plain = (
        decode(task.y, y) for task, y in zip((with_stress, without), pair, strict=True)
    )
    assert [phone.rstrip("012") for phone in spoken] == plain
    assert any(phone[-1] in "012" for phone in spoken)


def test_prompts_are_words_or_phonemes_by_direction(speech_dir):
    task = Pronunciation(dir=speech_dir)
    example = task.parse_prompt("text", "Light")
    assert "".join(decode(task.x, example["x"])) == "light"
    back = Pronunciation(dir=speech_dir, direction="p2g")
    assert decode(back.x, back.parse_prompt("text", "l ay t")["x"]) == ["L", "AY", "T"]
    with pytest.raises(UserError, match="pronunciation reads --text=WORD"):
        task.parse_prompt("audio", "a.wav")
    assert (
        task.sample_metrics({})(Generated(stack([example]), outputs(task, "L AY T")))
        == {}
    )


@pytest.mark.parametrize(
    "options, words",
    [
        ({"direction": "g2"}, "direction must be 'g2p' or 'p2g', not 'g2'"),
        ({"max_length": 0}, "max_length must be at least 1, not 0"),
    ],
)
def test_wrong_option_raises_value_error(options, words):
    with pytest.raises(ValueError, match=words):
        Pronunciation(**options)
