"""The core list of verses, and the scores of those that are too long."""

import numpy as np
import pytest

from regen_jax.data.readers.verses import in_core_list, open_verses
from regen_jax.interfaces import Generated
from regen_jax.judges.language_model import LanguageModel
from regen_jax.metrics import text as text_metrics
from regen_jax.modalities.text import tokenizer
from regen_jax.tasks.simplification import Simplification


@pytest.fixture(scope="module")
def make_task(text_dir):
    def make(vocab: int, max_length: int) -> Simplification:
        return Simplification(dir=text_dir, vocab=vocab, max_length=max_length)

    return make


def listed(task, split):
    """Pairs of the core list: those that fit, and those too long."""
    core, examples = task.core_list(split), task.examples(split)
    rows = [examples[int(row)] for row in core.rows]
    fitting = [
        tuple(tokenizer.decode(task.y, row[side]) for side in "xy") for row in rows
    ]
    return fitting, [(one["source"], one["target"]) for one in core.too_long]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_core_list_is_the_same_for_every_tokenizer_and_length(
    make_task, text_dir, split
):
    expected = sorted(
        verse[:2] for verse in open_verses("simple_bible", split, text_dir)
        if in_core_list(verse)
    )  # fmt: skip
    numbers = []
    for vocab, max_length in ((600, 32), (2000, 32), (2000, 128)):
        fitting, too_long = listed(make_task(vocab, max_length), split)
        assert sorted(fitting + too_long) == expected
        numbers.append(len(too_long))
    assert numbers[0] > numbers[1] and numbers[2] == 0


def test_core_list_is_whole_where_no_verse_is_left_out(make_task, text_dir):
    long, short = make_task(2000, 128), make_task(2000, 32)
    assert long.core_list("test").whole and not short.core_list("test").whole
    verses = list(open_verses("simple_bible", "test", text_dir))
    assert len(long.examples("test")) == len(verses) > len(short.examples("test"))


def test_tokenizer_is_trained_on_the_train_split_alone(make_task, text_dir):
    verses = open_verses("simple_bible", "train", text_dir)
    texts = [text for verse in verses for text in verse[:2]]
    assert make_task(600, 32).y.symbols == tokenizer.train(texts, 600, capitals=True)


def test_verse_that_is_too_long_scores_as_an_empty_output(make_task, monkeypatch):
    monkeypatch.setattr(LanguageModel, "nll", lambda self, v, y: np.ones(len(y)))
    task = make_task(600, 32)
    core, examples = task.core_list("test"), task.examples("test")
    rows = [examples[int(row)] for row in core.rows[:4]]
    prompts = {side: np.stack([row[side] for row in rows]) for side in "xy"}
    too_long = core.too_long[:3]
    # Outputs are the true texts of the verses before.
    y = np.roll(prompts["y"], 1, axis=0)

    metrics = task.sample_metrics({"judge": {}})
    fitting, all_of_them = (
        metrics(Generated(prompts, y)),
        metrics(Generated(prompts, y, too_long)),
    )
    sources, true, outputs = (
        [tokenizer.decode(task.y, row) for row in side]
        for side in (prompts["x"], prompts["y"], y)
    )
    sources += [record["source"] for record in too_long]
    true += [record["target"] for record in too_long]
    outputs += [""] * 3
    assert all_of_them == fitting | {
        "bleu": text_metrics.bleu(true, outputs),
        "chrf": text_metrics.chrf(true, outputs),
        "sari": text_metrics.sari(sources, true, outputs),
        "pinc": text_metrics.pinc(sources, outputs),
        "source_bleu": text_metrics.bleu(true, sources),
        "source_sari": text_metrics.sari(sources, true, sources),
    }
    assert all_of_them["chrf"] < fitting["chrf"]

    columns = task.per_example({}, Generated(prompts, y, too_long))
    assert columns["source"] == sources and columns["reference"] == true
    assert columns["output"] == outputs
    sums = columns["sari"].sum(axis=0)
    assert sums[0] / sums[1] == pytest.approx(all_of_them["sari"])
