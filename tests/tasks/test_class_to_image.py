"""Metrics of few images, by a judge whose predictions are given."""

import numpy as np
import pytest

from regen_jax.interfaces import Generated
from regen_jax.judges.image_classifier import ImageClassifier
from regen_jax.tasks import class_to_image
from regen_jax.tasks.class_to_image import FRECHET_DRAWS, ClassToImage


class Images(list):
    """Random images of three classes."""

    label_names, shape = ("a", "b", "c"), (2, 2, 1)

    def __init__(self, number, seed):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 256, (number, *self.shape), np.uint8)
        super().__init__({"x": np.int32(i % 3), "y": y[i]} for i in range(number))


@pytest.fixture
def task(monkeypatch):
    splits = {"train": Images(60, 0), "validation": Images(9, 1), "test": Images(12, 2)}
    monkeypatch.setattr(class_to_image, "_images", lambda name, split, _: splits[split])

    def judged(self, variables, y):
        features = np.float32(y).reshape(len(y), -1)[:, :2]
        return np.zeros(len(y), int), features

    monkeypatch.setattr(ImageClassifier, "predict", judged)
    return ClassToImage()


ALWAYS = {"accuracy", "nearest_training"}
FRECHET = {"frechet", "frechet_samples"}


@pytest.mark.parametrize(
    "classes, extra",
    [
        ([0], set()),
        ([0, 1], FRECHET),
        ([0, 1, 2], FRECHET),
        ([0, 0, 1], FRECHET | {"variety"}),
    ],
)
def test_metrics_without_a_value_are_left_out(task, classes, extra):
    y = np.stack([example["y"] for example in task.examples("test")])[: len(classes)]
    found = task.sample_metrics({"judge": {}})(
        Generated({"x": np.array(classes)}, y, too_long=())
    )
    assert set(found) == ALWAYS | extra
    assert np.isfinite(list(found.values())).all()


def test_real_images_have_the_spread_of_their_distance(task, monkeypatch):
    drawn = []

    def distances(features, number, draws):
        drawn.append((len(features), number, draws))
        return np.arange(float(draws))

    monkeypatch.setattr(class_to_image, "random_split_distances", distances)
    test = task.examples("test")
    batch = {k: np.stack([example[k] for example in test]) for k in ("x", "y")}
    found = task.sample_metrics({"judge": {}})(Generated(batch, batch["y"]))
    # As many as the smaller of the held-out splits has.
    assert drawn == [(60, 9, FRECHET_DRAWS)] and found["frechet_samples"] == 9
    assert found["frechet_std"] == pytest.approx(np.std(np.arange(20.0), ddof=1))


def test_samples_have_the_spread_of_their_own_distance(task, monkeypatch):
    def distances(features, reference, draws):
        assert (len(features), len(reference)) == (9, 60)
        return np.arange(float(draws))

    monkeypatch.setattr(class_to_image, "half_sample_distances", distances)
    y = np.stack([example["y"] for example in task.examples("test")])
    classes = np.zeros(len(y), int)
    found = task.sample_metrics({"judge": {}})(Generated({"x": classes}, y))
    assert found["frechet_std"] == pytest.approx(np.std(np.arange(20.0), ddof=1))


def test_number_of_prompts_defaults_to_that_of_the_split(task):
    assert len(task.prompts(0, "validation")) == 9
    assert [p["x"] for p in task.prompts(4, "test")] == [0, 1, 2, 0]


def test_perfect_reconstructions_have_no_psnr(task):
    y = np.stack([example["y"] for example in task.examples("test")])
    assert task.reconstruction_metrics(y, y) == {"mse": 0}
    assert set(task.reconstruction_metrics(y, y[::-1])) == {"mse", "psnr"}
