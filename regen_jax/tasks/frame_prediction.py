"""First frames of a clip → the frames that follow."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge

from regen_jax.abstractions.image.grayscale import LUMA
from regen_jax.data.readers.clips import Clips, Cut, open_clips, video_info
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, RunVariables
from regen_jax.interfaces.task import Generated, PerExample, PromptKind, SampleMetrics
from regen_jax.media.media import Media
from regen_jax.media.video import Video, film_strip, video_grid
from regen_jax.metrics import frame_prediction as metrics
from regen_jax.metrics.image import psnr
from regen_jax.modalities.video import files
from regen_jax.modalities.video.predictions import copy_last, linear_motion
from regen_jax.ranges import Count, Counts, NonNegative
from regen_jax.spaces import Array
from regen_jax.tasks.pictured import ImageTask

HELD_OUT_STRIDE = 4
"""Frames between the starts of clips of a video in `validation` and `test`."""
_COLUMNS = 4


@dataclasses.dataclass(frozen=True)
class GivenAndFollowing:
    """The first frames of clips, and those that follow."""

    clips: Clips
    num_given: int

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Example:
        clip = self.clips[index]
        return {"x": clip[: self.num_given], "y": clip[self.num_given :]}


@dataclasses.dataclass(frozen=True)
class FramePrediction(ImageTask):
    """X is the first frames of a clip [T, H, W, C], and Y those that follow.

    Clips of `train` overlap in time, and by half in space; those of other splits begin
    `HELD_OUT_STRIDE` frames apart, and do not overlap in space.

    Attributes:
      name: a prepared set of videos, such as `real_clips`, or `ucf101` of TFDS.
      feature: of the set, that holds frames; empty for the only one, or `video`.
      size: height and width of a clip.
      num_given: frames of X.
      num_predicted: frames of Y.
      stride: frames between the starts of clips of a video in `train`.
      zooms: for each factor z, videos are resized to a shorter side of z · size before
        cropping.
      flips: whether `train` has each clip mirrored, backward, and both, too.
      rate: frames per second, 0.01 to 1000, of clips that are written, and of videos that
        are read as prompts; 0 for that of the set.
    """

    num_rendered = 2 * _COLUMNS
    prompt_kinds: ClassVar = {
        "video": PromptKind("a video file whose first frames to continue", is_file=True)
    }

    name: str = "real_clips"
    feature: str = ""
    size: Annotated[int, Ge(11)] = 32
    num_given: Count = 4
    num_predicted: Count = 8
    stride: Count = 1
    zooms: Counts = (1,)
    flips: bool = False
    rate: NonNegative = 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.rate and not files.MIN_RATE <= self.rate <= files.MAX_RATE:
            raise ValueError(
                f"rate must be 0, or {files.MIN_RATE:g} to {files.MAX_RATE:g} frames per "
                f"second, not {self.rate:g}"
            )

    @property
    def x(self) -> Array:
        return self._space(self.num_given)

    @property
    def y(self) -> Array:
        return self._space(self.num_predicted)

    def read_info(self) -> dict[str, Any]:
        train = self.splits.stored("train")
        info = video_info(self.name, train, self.dir, self.feature)
        rate = self.rate or info.rate
        if not rate:
            raise UserError(
                f"data set {self.name!r} does not state its frames per second: set "
                "config.data.rate"
            )
        files.check_rate(rate, f"data set {self.name!r}")
        return {"channels": info.channels, "rate": rate}

    def examples(self, split: str) -> GivenAndFollowing:
        is_train = split == "train"
        cut = Cut(
            self.num_given + self.num_predicted,
            self.size,
            self.stride if is_train else HELD_OUT_STRIDE,
            self.zooms,
            self.size // 2 if is_train else self.size,
            self.flips and is_train,
        )
        stored = self.splits.stored(split)
        clips = _clips(self.name, stored, cut, self.dir, self.feature)
        return GivenAndFollowing(clips, self.num_given)

    def parse_prompt(self, kind: str, value: str) -> Example:
        if kind != "video":
            raise UserError(f"frame_prediction reads --video=FILE, not --{kind}")
        frames, _ = files.read(
            value, rate=self.info["rate"], size=self.size, num_frames=self.num_given
        )
        if len(frames) < self.num_given:
            raise UserError(
                f"video file {value!r} has {len(frames)} frames at "
                f"{self.info['rate']:g} frames/s: needed are {self.num_given}"
            )
        if self.info["channels"] == 1:
            frames = np.rint(frames @ np.array(LUMA)).astype(np.uint8)[..., None]
        return {"x": frames}

    @property
    def baselines(self) -> Mapping[str, Callable[[Example], np.ndarray]]:
        """Copying of the last frame, and linear motion of blocks."""
        rules = {"copy": copy_last, "linear": linear_motion}
        return {
            name: functools.partial(_predict, rule, self.num_predicted)
            for name, rule in rules.items()
        }

    def sample_metrics(self, variables: RunVariables) -> SampleMetrics:
        """Returns metrics of predicted frames.

        `mse`: mean squared error in units of the range, `psnr`: that in dB, and `ssim`:
        mean structural similarity. `psnr_<source>`: of the clips of a source alone, such
        as a file, where the set has those. A ratio that is infinite is left out.
        """
        sources = self._labels("validation") | self._labels("test")

        def values(generated: Generated) -> dict[str, float]:
            prompts, y, _ = generated
            real = np.asarray(prompts["y"])
            errors = metrics.mean_squared_errors(y, real)
            names = [sources.get(x.tobytes(), ("", ""))[0] for x in prompts["x"]]
            groups = {"": np.ones(len(y), bool)}
            for name in sorted({*names} - {""}):
                groups[f"_{name}"] = np.array(names) == name
            result = {
                "mse": float(errors.mean() / 255**2),
                "ssim": float(metrics.structural_similarities(y, real).mean()),
            }
            for suffix, rows in groups.items():
                if error := float(errors[rows].mean()):
                    result[f"psnr{suffix}"] = psnr(error, 255.0)
            return result

        return values

    def per_example(self, variables: RunVariables, generated: Generated) -> PerExample:
        """Returns where each clip is, and its squared error and similarity."""
        prompts, y, _ = generated
        labels = self._labels("validation") | self._labels("test")
        real, ones = np.asarray(prompts["y"]), np.ones(len(y))
        errors = metrics.mean_squared_errors(y, real) / 255**2
        similarities = metrics.structural_similarities(y, real)
        return {
            "clip": [labels.get(x.tobytes(), ("", ""))[1] for x in prompts["x"]],
            "mse": np.stack([errors, ones], axis=1),
            "ssim": np.stack([similarities, ones], axis=1),
        }

    def render_samples(self, prompts: Example, y: np.ndarray) -> Media:
        """Renders clips from the given frames on, the real one above each prediction."""
        versions = {"sample": y}
        if "y" in prompts:
            versions = {"reference": np.asarray(prompts["y"])} | versions
        return self._render("samples", np.asarray(prompts["x"], np.uint8), versions)

    def render_reconstructions(self, y: np.ndarray, other: np.ndarray) -> Media:
        """Renders clips above their reconstructions."""
        versions = {"reference": y, "reconstruction": other}
        return self._render("reconstructions", y[:, :0], versions)

    def _render(
        self, name: str, given: np.ndarray, versions: Mapping[str, np.ndarray]
    ) -> Media:
        """Renders versions of the frames after those given, beneath one another.

        Those given are labeled as the source.
        """
        clips = [np.concatenate([given, y], axis=1) for y in versions.values()]
        rows = np.stack(clips, axis=1).reshape(-1, *clips[0].shape[1:])
        labels = [*versions] * len(given)
        num_source = given.shape[1]
        strip = film_strip(
            rows,
            rows.shape[1],
            labels=labels,
            scale=max(1, self.shown_scale),
            num_source=num_source,
        )
        captions = np.repeat([*versions], len(given)).tolist()
        grids = [
            video_grid(
                part,
                min(_COLUMNS, len(given)),
                captions=texts,
                scale=2 * self.shown_scale,
            )
            for part, texts in zip(
                np.split(np.concatenate(clips), [num_source], axis=1),
                (["source"] * len(captions), captions),
                strict=True,
            )
            if part.shape[1]
        ]
        videos = {name: Video(np.concatenate(grids), self.info["rate"])}
        return Media(images={name: strip}, videos=videos)

    def _space(self, num_frames: int) -> Array:
        shape = (num_frames, self.size, self.size, self.info["channels"])
        return self.image_space(shape)

    def _labels(self, split: str) -> dict[bytes, tuple[str, str]]:
        """Returns the source and the place of each clip, by the bytes of its x."""
        clips = self.examples(split).clips
        return {
            clips[i][: self.num_given].tobytes(): (
                clips.source(i),
                f"{clips.source(i)} {','.join(map(str, clips.index[i]))}".strip(),
            )
            for i in range(len(clips))
        }


def _predict(
    rule: Callable[[np.ndarray, int], np.ndarray], num_frames: int, prompts: Example
) -> np.ndarray:
    return rule(np.asarray(prompts["x"]), num_frames)


@functools.lru_cache(maxsize=8)
def _clips(name: str, split: str, cut: Cut, data_dir: str, feature: str) -> Clips:
    return open_clips(name, split, cut, data_dir, feature)
