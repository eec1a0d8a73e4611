"""Text → image, on any set of pictures with captions."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge

from regen_jax.data.readers.captioned_images import (
    CaptionedImages,
    open_captioned_images,
)
from regen_jax.data.tfds import prepared
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, Judge, RunVariables
from regen_jax.interfaces.task import Generated, PerExample, PromptKind, SampleMetrics
from regen_jax.judges.contrastive import Contrastive
from regen_jax.media.image_grid import image_grid
from regen_jax.media.markdown import table
from regen_jax.media.media import Media
from regen_jax.metrics.frechet import distance_metrics
from regen_jax.metrics.image import nearest_neighbors
from regen_jax.modalities.text import captions as captions_of
from regen_jax.modalities.text import tokenizer
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Tokens
from regen_jax.tasks.pictured import ImageTask

MAX_CANDIDATES = 5000
"""The most captions of each split that a caption is retrieved from, evenly spread."""
TRAIN_PROMPTS = 500
"""The most captions of `train` among all prompts of a split."""
FRECHET_DRAWS = 20
"""Random sets of real images from which the Fréchet distance of real ones is estimated."""
_COLUMNS = 8


@dataclasses.dataclass(frozen=True)
class CaptionedExamples:
    """Captions in pieces with their pictures.

    Attributes:
      pieces: i32[N, L].
      rows: i64[N], the pair of `images` that each example is.
      images: pairs of the split.
    """

    pieces: np.ndarray
    rows: np.ndarray
    images: CaptionedImages = dataclasses.field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        picture = self.images.picture(int(self.rows[index]))
        return {"x": self.pieces[index], "y": picture}


@dataclasses.dataclass(frozen=True)
class TextToImage(ImageTask):
    """X is a caption and Y its picture; a contrastive network judges the samples.

    Prompts are captions of the split and of `train` in turn, so that metrics say how well
    captions are drawn that were learned, and that were held out.

    Attributes:
      name: a prepared set of pictures with captions, such as `coco_captions`.
      size: height and width of Y in pixels.
      vocab: pieces that the tokenizer learns of the captions of the train split.
      max_length: the most pieces of X; longer captions are left out.
      judge_width: channels of the judge's image encoder.
    """

    num_rendered = 2 * _COLUMNS
    prompt_kinds: ClassVar = {"text": PromptKind("a text to generate from")}

    name: str = "openmoji"
    size: Annotated[int, Ge(8)] = 32
    vocab: Count = 4000
    max_length: Count = 24
    judge_width: Count = 48

    @property
    def x(self) -> Tokens:
        return tokenizer.subword_space(tuple(self.info["pieces"]), self.max_length)

    @property
    def y(self) -> Array:
        return self.image_space((self.size, self.size, 3))

    def read_info(self) -> dict[str, Any]:
        train = self.splits.stored("train")
        captions = tuple(map(captions_of.normalize, self._images("train").captions))
        metadata = prepared.require(self.name, train, self.dir).info.metadata or {}
        return {
            "pieces": list(_learn_pieces(captions, self.vocab)),
            "words": list(captions_of.words(captions)),
            "credit": metadata.get("credit", ""),
        }

    def examples(self, split: str) -> CaptionedExamples:
        return _examples(self, split)

    @property
    def judges(self) -> dict[str, Judge]:
        return {"judge": Contrastive(self.x, self.y, self.judge_width)}

    def prompts(self, number: int, split: str = "test") -> list[Example]:
        """Returns captions of `train` and of a split in turn, and then the longer list.

        They are half of `number` each, or fewer of the split if that is smaller; if
        `number` is 0, all of the split and `TRAIN_PROMPTS`. Those of `train` are evenly
        spread over it.
        """
        train, held_out = self.examples("train"), self.examples(split)
        number = number or len(held_out) + TRAIN_PROMPTS
        num_held_out = min(number // 2, len(held_out))
        columns = (
            [train[i] for i in _spread(len(train), number - num_held_out)],
            [held_out[i] for i in _spread(len(held_out), num_held_out)],
        )
        pairs = itertools.zip_longest(*columns)
        return [example for pair in pairs for example in pair if example is not None]

    def real_examples(self, split: str) -> Sequence[Example]:
        return self.prompts(0, split)

    def parse_prompt(self, kind: str, value: str) -> Example:
        if kind != "text":
            raise UserError(f"text_to_image reads --text=CAPTION, not --{kind}")
        caption = captions_of.normalize(value)
        captions_of.check_words(caption, self.info["words"])
        return {"x": tokenizer.encode(self.x, caption)}

    def sample_metrics(self, variables: RunVariables) -> SampleMetrics:
        """Returns metrics of pictures by the judge and the training pictures.

        `caption_top1`, `caption_top5`: fraction of pictures whose caption is the nearest,
        or among the five nearest, of the captions of all splits, of prompts of `train`;
        `held_out_caption_top1`, `held_out_caption_top5` of other prompts.
        `caption_candidates`: their number. `frechet`: Fréchet distance on the judge's
        features between the `frechet_samples` pictures of captions of `train` and the
        training pictures, and `frechet_std` its deviation, from `FRECHET_DRAWS` random
        halves. `nearest_training`: median root mean squared difference to the nearest
        training picture, in units of the range.

        For real pictures, `frechet` is the mean over `FRECHET_DRAWS` random sets of as
        many training pictures against the rest, and `frechet_std` their deviation.
        """
        train = self.examples("train")
        rows = _spread(len(train), MAX_CANDIDATES)
        pictures = np.stack([train[row]["y"] for row in rows])
        _, reference = self._judge.embed_images(variables["judge"], pictures)
        known = {row.tobytes() for row in train.pieces}
        rank, num_candidates = self._ranking(variables)

        def metrics(generated: Generated) -> dict[str, float]:
            prompts, y, _ = generated
            x = np.asarray(prompts["x"])
            ranks, features = rank(x, y)
            is_known = np.array([row.tobytes() in known for row in x])
            values = {"caption_candidates": num_candidates}
            groups = (("", is_known), ("held_out_", ~is_known))
            for prefix, rows in groups:
                for most in (1, 5) if rows.any() else ():
                    fraction = float(np.mean(ranks[rows] < most))
                    values[f"{prefix}caption_top{most}"] = fraction
            distances, _ = nearest_neighbors(y, pictures)
            values["nearest_training"] = float(np.median(distances) / 255)
            is_real = "y" in prompts and np.array_equal(y, prompts["y"])
            return values | distance_metrics(
                features[is_known], reference, is_real, FRECHET_DRAWS
            )

        return metrics

    def render_samples(self, prompts: Example, y: np.ndarray) -> Media:
        """Renders pictures with their captions, each row above the real pictures."""
        texts, columns = self._texts(prompts["x"]), min(_COLUMNS, len(y))
        pictures, captions, labels = [], [], []
        for start in range(0, len(y) - len(y) % columns, columns):
            row = slice(start, start + columns)
            pictures.append(y[row])
            captions += texts[row]
            labels.append("sample")
            if "y" in prompts:
                pictures.append(np.asarray(prompts["y"])[row])
                captions += texts[row]
                labels.append("reference")
        grid = image_grid(
            np.concatenate(pictures),
            columns,
            row_labels=labels,
            captions=captions,
            scale=2 * self.shown_scale,
        )
        text = table({"caption": texts})
        if self.info["credit"]:
            text += f"\n\nReal pictures: {self.info['credit']}"
        return Media({"samples": grid}, texts={"samples": text})

    def per_example(self, variables: RunVariables, generated: Generated) -> PerExample:
        """Returns each caption, and whether it is among the five nearest."""
        prompts, y, _ = generated
        rank, _ = self._ranking(variables)
        ranks, _ = rank(np.asarray(prompts["x"]), y)
        return {
            "caption": self._texts(prompts["x"]),
            "caption_top5": np.stack([ranks < 5, np.ones(len(y))], axis=1),
        }

    @property
    def _judge(self) -> Contrastive:
        return Contrastive(self.x, self.y, self.judge_width)

    def _texts(self, pieces: np.ndarray) -> list[str]:
        return [tokenizer.decode(self.x, row) for row in np.asarray(pieces)]

    def _images(self, split: str) -> CaptionedImages:
        return _open(self.name, self.splits.stored(split), self.size, self.dir)

    def _ranking(
        self, variables: RunVariables
    ) -> tuple[Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]], int]:
        """Returns a function that ranks captions, and the number of candidates.

        The function takes captions i32[N, L] and pictures [N, H, W, 3], and returns the
        number i64[N] of candidates that are nearer to each picture than its caption, and
        the judge's features f32[N, F].
        """
        judge, weights = self._judge, variables["judge"]
        splits = [self.examples(name) for name in ("train", "validation", "test")]
        listed = [split.pieces[_spread(len(split), MAX_CANDIDATES)] for split in splits]
        candidates = np.unique(np.concatenate(listed), axis=0)
        embeddings = judge.embed_captions(weights, candidates)
        index = {row.tobytes(): number for number, row in enumerate(candidates)}

        def rank(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            pictures, features = judge.embed_images(weights, y)
            own = np.sum(pictures * judge.embed_captions(weights, x), axis=1)
            products = pictures @ embeddings.T
            for row, caption in enumerate(x):
                if (number := index.get(caption.tobytes())) is not None:
                    products[row, number] = -np.inf
            return np.sum(products >= own[:, None], axis=1), features

        return rank, len(candidates)


def _spread(length: int, number: int) -> np.ndarray:
    """Returns at most `number` indices i64[R], evenly spread from 0 to `length` - 1."""
    number = min(number, length)
    return np.linspace(0, length - 1, number).round().astype(int)


@functools.lru_cache(maxsize=8)
def _open(name: str, split: str, size: int, data_dir: str) -> CaptionedImages:
    return open_captioned_images(name, split, size, data_dir)


@functools.lru_cache(maxsize=4)
def _learn_pieces(captions: tuple[str, ...], vocab: int) -> tuple[str, ...]:
    try:
        return tokenizer.train(captions, vocab)
    except ValueError as error:
        raise UserError(f"config.data: {error}") from error


@functools.lru_cache(maxsize=8)
def _examples(task: TextToImage, split: str) -> CaptionedExamples:
    """Returns the pairs of a split that fit: short, and of known characters."""
    images, space = task._images(split), task.x
    alphabet = frozenset("".join(space.symbols)) | {" "}
    rows, encoded = [], []
    for row, caption in enumerate(map(captions_of.normalize, images.captions)):
        if caption and alphabet.issuperset(caption):
            ids = tokenizer.tokenize(space, caption)
            if len(ids) <= space.length:
                rows.append(row)
                encoded.append(
                    np.pad(np.array(ids, np.int32), (0, space.length - len(ids)))
                )
    pieces = np.stack(encoded) if encoded else np.zeros((0, space.length), np.int32)
    return CaptionedExamples(pieces, np.array(rows, np.int64), images)
