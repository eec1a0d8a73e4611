"""Class → image, on any labeled image set."""

import dataclasses
import functools
from typing import Any

import numpy as np

from regen_jax.data.readers.images import LabeledImages, open_images
from regen_jax.interfaces import Example, Judge, RunVariables
from regen_jax.interfaces.task import Generated, PerExample, SampleMetrics
from regen_jax.judges.image_classifier import ImageClassifier
from regen_jax.media.image_grid import image_grid
from regen_jax.media.media import Media
from regen_jax.metrics.frechet import (
    frechet_distance,
    half_sample_distances,
    random_split_distances,
)
from regen_jax.metrics.image import mean_pairwise_distance, nearest_neighbors
from regen_jax.spaces import Array, Category
from regen_jax.tasks.pictured import ImageTask

FRECHET_DRAWS = 20
"""Random sets of images from which `frechet_std` is estimated."""


@dataclasses.dataclass(frozen=True)
class ClassToImage(ImageTask):
    """X is a class, Y an 8-bit image; a small classifier judges the samples.

    Attributes:
      name: of a prepared TFDS set with images of one shape and labels.
    """

    name: str = "digits"

    @property
    def x(self) -> Category:
        return Category(len(self.info["label_names"]))

    @property
    def y(self) -> Array:
        return self.image_space(tuple(self.info["shape"]))

    def read_info(self) -> dict[str, Any]:
        train = self.examples("train")
        return {"shape": list(train.shape), "label_names": list(train.label_names)}

    def examples(self, split: str) -> LabeledImages:
        return _images(self.name, self.splits.stored(split), self.dir)

    @property
    def judges(self) -> dict[str, Judge]:
        return {"judge": ImageClassifier(self.x, self.y)}

    def prompts(self, number: int, split: str = "test") -> list[Example]:
        """Returns every class in turn; as many as the split has images if `number` is 0."""
        number = number or len(self.examples(split))
        return [{"x": np.int32(i % self.x.size)} for i in range(number)]

    def sample_metrics(self, variables: RunVariables) -> SampleMetrics:
        """Returns metrics of images y [N, H, W, C] by the judge and the training images.

        `accuracy`: fraction whose class the judge recognizes. `frechet`: Fréchet distance
        on the judge's features between `frechet_samples` of them and all training images;
        it needs two images. `nearest_training`: median root mean squared difference to the
        nearest training image, in units of the range. `variety`: its mean between images
        of a class, where a class has two.

        `frechet_std`: standard deviation of `frechet`, from `FRECHET_DRAWS` random halves
        of the samples, which have to be four. For real images, whose prompts have a y,
        `frechet` is one draw of the baseline, and its standard deviation is that of as many
        random training images against the rest.
        """
        predict = functools.partial(self.judges["judge"].predict, variables["judge"])
        train = stacked(self.examples("train"), "y")
        _, reference = predict(train)
        most = min(len(self.examples(split)) for split in ("validation", "test"))

        def metrics(generated: Generated) -> dict[str, float]:
            prompts, y, _ = generated
            x = prompts["x"]
            recognized, features = predict(y)
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
                elif "y" not in prompts and count > 3:
                    draws = half_sample_distances(
                        features[chosen], reference, FRECHET_DRAWS
                    )
                    values["frechet_std"] = float(np.std(draws, ddof=1))
            classes = [y[x == k] for k in range(self.x.size) if np.sum(x == k) > 1]
            if classes:
                variety = np.mean([mean_pairwise_distance(same) for same in classes])
                values["variety"] = float(variety / 255)
            return values

        return metrics

    def per_example(self, variables: RunVariables, generated: Generated) -> PerExample:
        """Returns the class of each prompt, and whether the judge recognizes it."""
        prompts, y, _ = generated
        predicted, _ = self.judges["judge"].predict(variables["judge"], y)
        names = self.info["label_names"]
        return {
            "class": [names[x] for x in prompts["x"]],
            "accuracy": np.stack([predicted == prompts["x"], np.ones(len(y))], axis=1),
        }

    def render_samples(self, prompts: Example, y: np.ndarray) -> Media:
        """Renders a row of at most ten images per class."""
        x = prompts["x"]
        names = self.info["label_names"]
        rows = [y[x == k][:10] for k in range(self.x.size)]
        length = max(1, min(map(len, rows)))
        shown = [(name, row) for name, row in zip(names, rows, strict=True) if len(row)]
        picture = image_grid(
            np.concatenate([row[:length] for _, row in shown]),
            length,
            row_labels=[name for name, _ in shown],
            scale=self.shown_scale,
        )
        return Media({"samples": picture})


@functools.lru_cache
def _images(name: str, split: str, data_dir: str) -> LabeledImages:
    return open_images(name, split, data_dir)


def stacked(examples: LabeledImages, key: str) -> np.ndarray:
    """Stacks an entry of all examples, [N, …]."""
    return np.stack([examples[i][key] for i in range(len(examples))])
