"""Prompts, errors and metrics of captions, by a judge whose embeddings are given."""

import numpy as np
import pytest

from regen_jax.errors import UserError
from regen_jax.interfaces import Generated
from regen_jax.judges.contrastive import Contrastive
from regen_jax.modalities.text import captions, tokenizer
from regen_jax.tasks.text_to_image import FRECHET_DRAWS, TextToImage


@pytest.fixture(scope="module")
def task(emoji_dir):
    return TextToImage(dir=emoji_dir, size=16, vocab=600)


@pytest.fixture
def judged(task, monkeypatch):
    """The judge sees a caption in the first pixels of a picture: its pieces."""
    length, vocab = task.x.length, task.x.vocab

    def one_hot(ids):
        ids = np.asarray(ids, int).reshape(-1, length)
        # Not of unit length, so that products are exact.
        return np.eye(vocab)[ids].reshape(len(ids), -1)

    def embed_images(self, variables, images):
        pixels = np.asarray(images).reshape(len(images), -1)[:, : 2 * length]
        ids = pixels[:, ::2].astype(int) + 256 * pixels[:, 1::2].astype(int)
        return one_hot(np.minimum(ids, vocab - 1)), np.float32(pixels[:, :2])

    monkeypatch.setattr(Contrastive, "embed_captions", lambda s, v, x: one_hot(x))
    monkeypatch.setattr(Contrastive, "embed_images", embed_images)


def pictures_of(x):
    """Pictures in whose first pixels captions i32[N, L] are written."""
    y = np.zeros((len(x), 16 * 16 * 3), np.uint8)
    y[:, : 2 * x.shape[1] : 2], y[:, 1 : 2 * x.shape[1] : 2] = x % 256, x // 256
    return y.reshape(-1, 16, 16, 3)


def prompts_of(task, number):
    examples = task.prompts(number, "test")
    return {key: np.stack([e[key] for e in examples]) for key in ("x", "y")}


def test_captions_are_read_as_pieces_with_their_picture(task):
    train = task.examples("train")
    texts = [tokenizer.decode(task.x, pieces) for pieces in train.pieces]
    expected = [captions.normalize(c) for c in train.images.captions]
    assert texts == [expected[row] for row in train.rows]
    assert len(texts) == len(expected) and train[3]["y"].shape == task.y.shape


def test_tokenizer_is_trained_on_the_train_split_alone(task):
    texts = map(captions.normalize, task.examples("train").images.captions)
    assert task.x.symbols == tokenizer.train(texts, 600)


def test_longer_captions_are_left_out(task, emoji_dir):
    short = TextToImage(dir=emoji_dir, size=16, vocab=600, max_length=2)
    numbers = (task.examples("train").pieces != 0).sum(axis=1)
    assert 0 < len(short.examples("train")) == (numbers <= 2).sum()


def test_prompts_are_of_train_and_of_the_split_in_turn(task):
    train, test = (
        {row.tobytes() for row in task.examples(split).pieces}
        for split in ("train", "test")
    )
    assert train.isdisjoint(test)
    listed = [prompt["x"].tobytes() for prompt in task.prompts(6, "test")]
    half = min(3, len(test))
    assert {*listed[: 2 * half : 2], *listed[2 * half :]} <= train
    assert {*listed[1 : 2 * half : 2]} <= test
    whole = [prompt["x"].tobytes() for prompt in task.prompts(0, "test")]
    assert test <= {*whole} and len(whole) == len(set(whole))


@pytest.mark.parametrize("text", ["A red heart", "red heart", "  the Red Heart "])
def test_prompt_is_the_caption_without_article(task, text):
    prompt = task.parse_prompt("text", text)
    assert tokenizer.decode(task.x, prompt["x"]) == "red heart"


@pytest.mark.parametrize(
    "kind, value, words",
    [
        ("text", "a red dinosaurus", "'dinosaurus' in .* is in no caption"),
        ("text", "красное сердце", "'красное' in"),
        ("text", "❤", "'❤', character 1 of '❤', is unknown"),
        ("text", " the ", "the text is empty"),
        ("text", "red " * 40, "has 40 pieces: at most 24 fit"),
        ("audio", "/a.wav", "reads --text=CAPTION, not --audio"),
    ],
)
def test_wrong_prompt_raises_user_error_of_one_line(task, kind, value, words):
    with pytest.raises(UserError, match=words) as caught:
        task.parse_prompt(kind, value)
    assert "\n" not in str(caught.value)


def test_small_vocabulary_raises_user_error(emoji_dir):
    with pytest.raises(UserError, match="config.data: a vocabulary of 5 pieces"):
        _ = TextToImage(dir=emoji_dir, vocab=5).info


def test_pictures_of_their_captions_rank_first(task, judged):
    prompts = prompts_of(task, 12)
    values = task.sample_metrics({"judge": {}})(
        Generated(prompts, pictures_of(prompts["x"]))
    )
    groups = [f"{p}caption_top{k}" for p in ("", "held_out_") for k in (1, 5)]
    assert [values[name] for name in groups] == [1, 1, 1, 1]
    splits = [task.examples(s) for s in ("train", "validation", "test")]
    assert values["caption_candidates"] == sum(map(len, splits))


def test_rank_counts_the_captions_that_are_nearer(task, judged):
    train = task.examples("train").pieces[:3]
    rank, _ = task._ranking({"judge": {}})
    # The pictures say the caption of another example.
    ranks, _ = rank(train, pictures_of(np.roll(train, 1, axis=0)))
    assert (ranks >= 1).all()
    candidates = np.concatenate(
        [task.examples(s).pieces for s in ("train", "validation", "test")]
    )
    for own, said, number in zip(train, np.roll(train, 1, axis=0), ranks, strict=True):
        # The same number of pieces in the same places.
        shared = (candidates == said).sum(axis=1)
        nearer = (shared >= (own == said).sum()) & (candidates != own).any(axis=1)
        assert number == nearer.sum()


def test_real_pictures_have_the_distance_of_random_sets(task, judged, monkeypatch):
    drawn = []

    def distances(features, number, draws):
        drawn.append((len(features), number, draws))
        return np.arange(float(draws))

    monkeypatch.setattr("regen_jax.metrics.frechet.random_split_distances", distances)
    metrics = task.sample_metrics({"judge": {}})
    prompts = prompts_of(task, 12)
    num_train = 12 - min(6, len(task.examples("test")))
    real = metrics(Generated(prompts, prompts["y"]))
    assert drawn == [(len(task.examples("train")), num_train, FRECHET_DRAWS)]
    assert real["frechet"] == 9.5 and real["frechet_samples"] == num_train
    assert real["nearest_training"] == 0 or num_train < 6
    reversed_pictures = metrics(Generated(prompts, prompts["y"][::-1]))
    assert np.isfinite(reversed_pictures["frechet_std"])
    assert len(drawn) == 1


def test_results_per_example_name_the_caption(task, judged):
    prompts = prompts_of(task, 4)
    columns = task.per_example(
        {"judge": {}}, Generated(prompts, pictures_of(prompts["x"]))
    )
    assert columns["caption"][0] == tokenizer.decode(task.x, prompts["x"][0])
    np.testing.assert_array_equal(columns["caption_top5"], np.ones((4, 2)))


def test_rendered_samples_carry_the_credit_line(task):
    prompts = prompts_of(task, 4)
    media = task.render_samples(prompts, prompts["y"])
    assert "CC BY-SA 4.0" in media.texts["samples"]
    assert tokenizer.decode(task.x, prompts["x"][0]) in media.texts["samples"]
    one = {"x": prompts["x"][:1]}
    assert (
        media.images["samples"].shape
        > task.render_samples(one, prompts["y"][:1]).images["samples"].shape
    )
