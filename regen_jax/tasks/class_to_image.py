"""Class → image, on any labelled image set."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.data.readers.images import LabeledImages, open_images
from regen_jax.data.tfds.splits import DEFAULT_SPLITS, SplitOptions
from regen_jax.interfaces import (
    Example,
    Generated,
    Judge,
    LossOutput,
    PerExample,
    SampleMetrics,
    Task,
    Variables,
)
from regen_jax.judges.classifier import Classifier, augment
from regen_jax.media.image_grid import image_grid
from regen_jax.media.media import Media
from regen_jax.metrics.frechet import frechet_distance, random_split_distances
from regen_jax.metrics.image import mean_pairwise_distance, mse, nearest_neighbors, psnr
from regen_jax.spaces import Array, Category

FRECHET_DRAWS = 20
"""Random sets of real images from which `frechet_std` is estimated."""


@dataclasses.dataclass(frozen=True)
class ClassToImage(Task):
    """X is a class, Y an 8-bit image; a small classifier judges the samples.

    Attributes:
      name: of a prepared TFDS set with images of one shape and labels.
      dir: where it is prepared; TFDS's default folder if empty.
      splits: the splits of the set that are read.
    """

    name: str = "digits"
    dir: str = ""
    splits: SplitOptions = DEFAULT_SPLITS

    @property
    def x(self) -> Category:
        return Category(len(self.info["label_names"]))

    @property
    def y(self) -> Array:
        return Array(tuple(self.info["shape"]), 0.0, 255.0, step=1.0)

    def read_info(self) -> dict[str, Any]:
        train = self.examples("train")
        return {"shape": list(train.shape), "label_names": list(train.label_names)}

    def examples(self, split: str) -> LabeledImages:
        return _images(self.name, self.splits.stored(split), self.dir)

    @property
    def judges(self) -> dict[str, Judge]:
        return {"judge": ImageJudge(self.x, self.y)}

    def prompts(self, number: int, split: str = "test") -> list[Example]:
        """Every class in turn; as many as the split has images where `number` is 0."""
        number = number or len(self.examples(split))
        return [{"x": np.int32(i % self.x.size)} for i in range(number)]

    def postprocess(self, y: np.ndarray) -> np.ndarray:
        return np.clip(np.round(y), 0, 255).astype(np.uint8)

    def sample_metrics(self, variables: Mapping[str, Variables]) -> SampleMetrics:
        """Returns metrics of images y [N, H, W, C] by the judge and the training images.

        `accuracy`: fraction whose class the judge recognizes. `frechet`: Fréchet distance
        on the judge's features between `frechet_samples` of them and all training images;
        it needs two images. `nearest_training`: median root mean squared difference to the
        nearest training image, in units of the range. `variety`: its mean between images
        of a class, where a class has two.

        For real images, whose prompts have a y, `frechet` is one draw of the baseline;
        `frechet_std` is its standard deviation, over `FRECHET_DRAWS` random sets of as
        many training images against the rest.
        """
        judged = functools.partial(self.judges["judge"].judged, variables["judge"])
        train = stacked(self.examples("train"), "y")
        _, reference = judged(train)
        most = min(len(self.examples(split)) for split in ("validation", "test"))

        def metrics(generated: Generated) -> dict[str, float]:
            prompts, y, _ = generated
            x = prompts["x"]
            recognized, features = judged(y)
            distances, _ = nearest_neighbors(y, train)
            values = {
                "accuracy": float(np.mean(recognized == x)),
                "nearest_training": float(np.median(distances) / 255),
            }
            # As many as there are held-out images, whose own distance is the baseline.
            count = min(len(y), most)
            chosen = np.linspace(0, len(y) - 1, count).round().astype(int)
            if count > 1 and np.isfinite(features).all():
                values["frechet"] = frechet_distance(features[chosen], reference)
                values["frechet_samples"] = count
                if "y" in prompts and count < len(reference) - 1:
                    draws = random_split_distances(reference, count, FRECHET_DRAWS)
                    values["frechet_std"] = float(np.std(draws, ddof=1))
            classes = [y[x == k] for k in range(self.x.size) if np.sum(x == k) > 1]
            if classes:
                variety = np.mean([mean_pairwise_distance(same) for same in classes])
                values["variety"] = float(variety / 255)
            return values

        return metrics

    def per_example(
        self, variables: Mapping[str, Variables], generated: Generated
    ) -> PerExample:
        """Returns the class of each prompt, and whether the judge recognizes it."""
        prompts, y, _ = generated
        seen, _ = self.judges["judge"].judged(variables["judge"], y)
        names = self.info["label_names"]
        return {
            "class": [names[x] for x in prompts["x"]],
            "accuracy": np.stack([seen == prompts["x"], np.ones(len(y))], axis=1),
        }

    def reconstruction_metrics(
        self, y: np.ndarray, other: np.ndarray
    ) -> dict[str, float]:
        """Mean squared error in units of the range, and the PSNR of it in dB if finite."""
        error = float(np.mean(mse(y, other, peak=255.0)))
        return {"mse": error} | ({"psnr": psnr(error)} if error else {})

    def render_samples(self, prompts: Example, y: np.ndarray) -> Media:
        """A row for each class asked for, at most ten images long."""
        x = prompts["x"]
        names = self.info["label_names"]
        rows = [y[x == k][:10] for k in range(self.x.size)]
        length = max(1, min(map(len, rows)))
        shown = [(name, row) for name, row in zip(names, rows, strict=True) if len(row)]
        scale = max(1, round(56 / self.y.shape[1]))
        picture = image_grid(
            np.concatenate([row[:length] for _, row in shown]),
            length,
            row_labels=[name for name, _ in shown],
            scale=scale,
        )
        return Media({"samples": picture})

    def render_reconstructions(self, y: np.ndarray, other: np.ndarray) -> Media:
        """Ten pairs: the first version above the second."""
        pairs = np.concatenate([y[:10], other[:10]])
        scale = max(1, round(56 / self.y.shape[1]))
        return Media({"reconstructions": image_grid(pairs, len(y[:10]), scale=scale)})


@dataclasses.dataclass(frozen=True)
class ImageJudge(Judge):
    """A classifier that is trained on real, slightly moved images."""

    x: Category
    y: Array

    def init(self, rng: jax.Array, x: jax.Array, y: jax.Array) -> Variables:
        return self._network.init(rng, self.y.normalize(y))

    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        x: jax.Array,
        y: jax.Array,
        train: bool,
    ) -> LossOutput:
        """Cross-entropy in nats."""
        image = self.y.normalize(y)
        if train:
            image = augment(keys, image)
        logits, _ = self._network.apply(variables, image, keys if train else None)
        log_probs = jax.nn.log_softmax(logits)
        hits = (jnp.argmax(logits, axis=-1) == x).astype(jnp.float32)
        return LossOutput(
            loss=-jnp.take_along_axis(log_probs, x[:, None], axis=-1)[:, 0],
            metrics={"accuracy": hits},
        )

    def judged(
        self, variables: Variables, y: np.ndarray, batch_size: int = 500
    ) -> tuple[np.ndarray, np.ndarray]:
        """Classes i32[N] and features f32[N, D] of images y [N, H, W, C]."""
        count = math.ceil(len(y) / batch_size)
        parts = [self._judged(variables, part) for part in np.array_split(y, count)]
        classes, features = zip(*parts, strict=True)
        return np.concatenate(classes), np.concatenate(features)

    @functools.partial(jax.jit, static_argnums=0)
    def _judged(
        self, variables: Variables, y: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        logits, features = self._network.apply(variables, self.y.normalize(y))
        return jnp.argmax(logits, axis=-1), features

    @property
    def _network(self) -> Classifier:
        return Classifier(self.x.size)


@functools.lru_cache
def _images(name: str, split: str, data_dir: str) -> LabeledImages:
    return open_images(name, split, data_dir)


def stacked(examples: LabeledImages, key: str) -> np.ndarray:
    """That entry of every example, [N, …]."""
    return np.stack([examples[i][key] for i in range(len(examples))])
