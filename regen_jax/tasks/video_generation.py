"""Text → video: clips of moving digits from their captions."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Interval

from regen_jax.data.host_features import Origin
from regen_jax.data.readers.captioned_clips import CaptionedClips, open_captioned_clips
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, Judge, RunVariables
from regen_jax.interfaces.task import Generated, PerExample, PromptKind, SampleMetrics
from regen_jax.judges.digit_tracker import DigitTracker, top_parts
from regen_jax.media.markdown import table
from regen_jax.media.media import Media
from regen_jax.media.video import Video, film_strip, video_grid
from regen_jax.metrics.frame_prediction import structural_similarities
from regen_jax.metrics.frechet import distance_metrics
from regen_jax.metrics.video import Hits, match_parts, warping_error
from regen_jax.modalities.video import captions as captions_of
from regen_jax.modalities.video import files
from regen_jax.ranges import Count
from regen_jax.spaces import Array
from regen_jax.tasks.pictured import ImageTask

FRECHET_DRAWS = 20
"""Random sets of clips from which `frechet_std` is estimated."""
MAX_REFERENCES = 2000
"""The most training clips of the Fréchet distance, evenly spread."""
MAX_WARPED = 200
"""The most clips that the warping error is computed of, the first ones."""
MAX_SIMILAR = 100
"""The most clips whose structural similarity is computed, the first ones."""
DEFAULT_RATE = 8.0
"""Frames per second of clips whose data set does not state it."""
_CREDIT = "The digits of `moving_digits` are real, their motion is procedural."
_COLUMNS = 6
_STRIPS, _STRIP_FRAMES = 8, 8
"""Clips of a picture of film strips, one per row, and frames of each."""


@dataclasses.dataclass(frozen=True)
class CaptionedExamples:
    """Captions in words with their clips.

    Attributes:
      words: i32[N, L].
      clips: of the split.
      origin: identifies them.
    """

    words: np.ndarray
    clips: CaptionedClips = dataclasses.field(repr=False)
    origin: Origin

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, index: int) -> Example:
        return {"x": self.words[index], "y": self.clips.clips[index]}


@dataclasses.dataclass(frozen=True)
class VideoGeneration(ImageTask):
    """X is a caption of moving digits and Y its clip; a network judges the samples.

    The digits of `moving_digits` are real, their motion is procedural. Prompts are captions
    of combinations of digit and motion that `train` has, and captions with one that `train`
    lacks, in turn.

    Attributes:
      name: a prepared set of clips, whose captions are those of
        `regen_jax.modalities.video.captions`.
      size: height and width of Y in pixels.
      num_frames: frames of Y.
      judge_width: channels of the judge.
    """

    num_rendered = 2 * _COLUMNS
    prompt_kinds: ClassVar = {"text": PromptKind("a text to generate from")}

    name: str = "moving_digits"
    size: Annotated[int, Interval(ge=16, le=512)] = 32
    num_frames: Count = 16
    judge_width: Count = 48

    x = captions_of.SPACE

    @property
    def y(self) -> Array:
        shape = (self.num_frames, self.size, self.size, self.info["channels"])
        return self.image_space(shape)

    def read_info(self) -> dict[str, Any]:
        clips = self._clips("train")
        rate = clips.rate or DEFAULT_RATE
        files.check_rate(rate, f"data set {self.name!r}")
        parts = {part for caption in clips.captions for part in _parse(self, caption)}
        return {
            "channels": clips.channels,
            "rate": rate,
            "combinations": sorted(map(list, parts)),
        }

    def examples(self, split: str) -> CaptionedExamples:
        return _examples(self, split)

    @property
    def judges(self) -> dict[str, Judge]:
        return {"judge": self._judge}

    def prompts(self, number: int, split: str = "test") -> list[Example]:
        """Returns captions of learned and of held-out combinations in turn.

        They are half of `number` each, or fewer where the split has not as many; all of
        the split if `number` is 0.
        """
        examples = self.examples(split)
        is_part, is_known = self._known(examples.words)
        is_learned = np.all(is_known | ~is_part, axis=1)
        columns = map(np.flatnonzero, (is_learned, ~is_learned))
        rows = [row for pair in itertools.zip_longest(*columns) for row in pair]
        rows = [int(row) for row in rows if row is not None]
        return [examples[row] for row in rows[: number or None]]

    def parse_prompt(self, kind: str, value: str) -> Example:
        if kind != "text":
            raise UserError(f"video_generation reads --text=CAPTION, not --{kind}")
        return {"x": captions_of.encode(captions_of.parse(value))}

    def sample_metrics(self, variables: RunVariables) -> SampleMetrics:
        """Returns metrics of clips by the judge and the training clips.

        Of each clip the n digits with the highest presence are taken, n that of the
        caption, and matched in any order, see `match_parts`.
        `digit_accuracy`: fraction of digits of captions that are recognized, for
        combinations of digit and motion that `train` has; `motion_accuracy`: of their
        motions; `both_accuracy`: of digits that are recognized and move as asked for.
        `held_out_digit_accuracy` and so on are those of combinations that `train` lacks.
        `frechet`: Fréchet distance on the judge's features between the `frechet_samples`
        clips whose captions have combinations of `train` alone, and `MAX_REFERENCES`
        training clips, and `frechet_std` its deviation, from `FRECHET_DRAWS` random halves;
        for real clips, see `distance_metrics`. `warping_error`: mean of that of
        `metrics.video`, of at most `MAX_WARPED` clips; there is none of single frames.
        """
        train = self.examples("train")
        rows = np.linspace(0, len(train) - 1, min(len(train), MAX_REFERENCES))
        clips = np.stack([train[int(row)]["y"] for row in rows.round()])
        _, _, reference = self._judge.predict(variables["judge"], clips)

        def metrics(generated: Generated) -> dict[str, float]:
            prompts, y, _ = generated
            hits, features = self._hits(variables, prompts["x"], y)
            is_part, is_known = self._known(prompts["x"])
            values = {}
            groups = (("", is_part & is_known), ("held_out_", is_part & ~is_known))
            for prefix, rows in groups:
                if rows.any():
                    values |= {
                        f"{prefix}digit_accuracy": float(hits.digits[rows].mean()),
                        f"{prefix}motion_accuracy": float(hits.motions[rows].mean()),
                        f"{prefix}both_accuracy": float(
                            (hits.digits & hits.motions)[rows].mean()
                        ),
                    }
            if self.num_frames > 1:
                values["warping_error"] = float(warping_error(y[:MAX_WARPED]).mean())
            is_learned = np.all(is_known | ~is_part, axis=1)
            is_real = "y" in prompts and np.array_equal(y, prompts["y"])
            return values | distance_metrics(
                features[is_learned], reference, is_real, FRECHET_DRAWS
            )

        return metrics

    def reconstruction_metrics(
        self, y: np.ndarray, other: np.ndarray
    ) -> dict[str, float]:
        """Computes `mse` and `psnr` of all clips, and `ssim` of at most `MAX_SIMILAR`."""
        similarities = structural_similarities(y[:MAX_SIMILAR], other[:MAX_SIMILAR])
        values = super().reconstruction_metrics(y, other)
        return values | {"ssim": float(similarities.mean())}

    def render_samples(self, prompts: Example, y: np.ndarray) -> Media:
        """Renders clips with their captions as a video and as film strips."""
        texts = _texts(prompts["x"])
        media = self._render("samples", y, texts)
        media.texts["samples"] = f"{table({'caption': texts})}\n\n{_CREDIT}"
        return media

    def render_reconstructions(self, y: np.ndarray, other: np.ndarray) -> Media:
        """Renders clips, each above its reconstruction in the film strips."""
        pairs = np.stack([y, other], axis=1)
        labels = ["reference", "reconstruction"] * len(pairs)
        return self._render("reconstructions", np.concatenate(pairs), labels)

    def per_example(self, variables: RunVariables, generated: Generated) -> PerExample:
        """Returns each caption, and how many of its digits and motions are right."""
        prompts, y, _ = generated
        hits, _ = self._hits(variables, prompts["x"], y)
        is_part, _ = self._known(prompts["x"])
        number = is_part.sum(axis=1)
        return {
            "caption": _texts(prompts["x"]),
            "digit_accuracy": np.stack([hits.digits.sum(axis=1), number], axis=1),
            "motion_accuracy": np.stack([hits.motions.sum(axis=1), number], axis=1),
        }

    def _render(self, name: str, clips: np.ndarray, captions: Sequence[str]) -> Media:
        """Renders u8[N, T, H, W, C] as a video of all, and as film strips of the first."""
        columns, scale = min(_COLUMNS, len(clips)), 2 * self.shown_scale
        grid = video_grid(clips, columns, captions=captions, scale=scale)
        strips = film_strip(
            clips[:_STRIPS],
            _STRIP_FRAMES,
            labels=captions[:_STRIPS],
            scale=self.shown_scale,
        )
        strips = np.broadcast_to(strips, (*strips.shape[:2], 3))
        return Media({name: strips}, videos={name: Video(grid, self.info["rate"])})

    @property
    def _judge(self) -> DigitTracker:
        return DigitTracker(self.x, self.y, self.judge_width)

    def _hits(
        self, variables: RunVariables, x: np.ndarray, y: np.ndarray
    ) -> tuple[Hits, np.ndarray]:
        """Returns which parts of captions are in clips, and the judge's features."""
        presence, motions, features = self._judge.predict(variables["judge"], y)
        true_digits, true_motions = _parts(x)
        numbers = np.sum(true_digits >= 0, axis=1)
        most = captions_of.MAX_PARTS
        seen = top_parts(presence, motions, numbers, most)
        return match_parts(*seen, true_digits, true_motions), features

    def _known(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns which parts captions have, and which of these `train` has, bool[N, P]."""
        digits, motions = _parts(x)
        is_known = np.zeros((captions_of.NUM_DIGITS, len(captions_of.MOTIONS)), bool)
        is_known[tuple(zip(*self.info["combinations"], strict=True))] = True
        return digits >= 0, is_known[digits, motions]

    def _clips(self, split: str) -> CaptionedClips:
        stored = self.splits.stored(split)
        return _open(self.name, stored, self.num_frames, self.size, self.dir)


@functools.lru_cache(maxsize=8)
def _open(
    name: str, split: str, num_frames: int, size: int, data_dir: str
) -> CaptionedClips:
    return open_captioned_clips(name, split, num_frames, size, data_dir)


@functools.lru_cache(maxsize=8)
def _examples(task: VideoGeneration, split: str) -> CaptionedExamples:
    clips = task._clips(split)
    words = [captions_of.encode(_parse(task, caption)) for caption in clips.captions]
    origin = Origin(
        Path(clips.folder),
        f"{task.splits.stored(split)} in {task.num_frames} frames of {task.size} pixels",
    )
    return CaptionedExamples(np.stack(words), clips, origin)


def _parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns digits and motions i64[N, P] of captions i32[N, L]."""
    return captions_of.as_arrays([captions_of.decode(row) for row in np.asarray(x)])


def _texts(x: np.ndarray) -> list[str]:
    return [captions_of.write(captions_of.decode(row)) for row in np.asarray(x)]


def _parse(task: VideoGeneration, caption: str) -> Sequence[captions_of.Part]:
    try:
        return captions_of.parse(caption)
    except UserError as error:
        raise UserError(f"data set {task.name!r}: {error}") from error
