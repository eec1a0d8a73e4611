"""Speech and one picture of a face → a clip of that face."""

import dataclasses
import functools
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Interval

from regen_jax.data.readers import talking_faces
from regen_jax.data.tfds import prepared
from regen_jax.data.tfds.splits import SetOptions
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, Judge, RunVariables, Task
from regen_jax.interfaces.task import Generated, PerExample, PromptKind, SampleMetrics
from regen_jax.judges.face_identity import FaceIdentity
from regen_jax.media.faces import render_clips
from regen_jax.media.markdown import table
from regen_jax.media.media import Media
from regen_jax.metrics.image import psnr
from regen_jax.metrics.talking_head import mouth_correlation, mouth_metrics
from regen_jax.modalities.faces.face import SIZE, TRACKS
from regen_jax.modalities.faces.inverse import read_tracks
from regen_jax.modalities.faces.portrait import read_identity
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Padded, Record

JUDGED_FRAMES = 4
"""Frames of a clip whose mean embedding the judge compares."""
_SHOWN = 4
_CREDIT = (
    "Faces are drawn, and voices of the data set are synthetic: they are no person's."
)


@dataclasses.dataclass(frozen=True)
class Examples:
    """Clips with speech and picture as the source."""

    clips: talking_faces.TalkingFaces

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Example:
        clip = dict(self.clips[index])
        x = {name: clip.pop(name) for name in ("speech", "picture")}
        return {"x": x, "y": clip.pop("clip"), **clip}


@dataclasses.dataclass(frozen=True)
class TalkingHead(SetOptions, Task):
    """X is speech and a picture, Y the clip in which that face says it.

    The mouth of a clip is read off its frames by the inverse of the renderer that drew
    the faces; the judge recognizes faces.

    Attributes:
      name: of a prepared set with the features of `talking_faces`.
      max_seconds: of a clip. Longer ones of the data set are cut. Longer speech that is
        given as a prompt, up to 60 s, needs a prior that joins chunks.
      judge_width: channels of the judge of identity.
    """

    num_rendered = _SHOWN
    prompt_kinds: ClassVar = {
        "audio": PromptKind("a file of speech to generate from", is_file=True),
        "image": PromptKind("a file of a picture to generate from", is_file=True),
    }
    joint_kinds = ("audio", "image")

    name: str = "talking_faces"
    max_seconds: Annotated[float, Interval(ge=0.6, le=60)] = 4.0
    judge_width: Count = 32

    @property
    def x(self) -> Record:
        samples = self.info["sample_rate"] // self.info["frame_rate"]
        speech = Array((self._num_frames, samples), -1.0, 1.0, padded=True)
        return Record((("speech", speech), ("picture", self._picture)))

    @property
    def y(self) -> Array:
        shape = (self._num_frames, *self._picture.shape)
        return dataclasses.replace(self._picture, shape=shape, padded=True)

    @property
    def _picture(self) -> Array:
        return Array((SIZE, SIZE, 3), 0.0, 255.0, step=1.0)

    @property
    def _num_frames(self) -> int:
        return round(self.max_seconds * self.info["frame_rate"])

    def read_info(self) -> dict[str, Any]:
        stored = self.splits.stored("train")
        metadata = prepared.require(self.name, stored, self.dir).info.metadata or {}
        if missing := {"sample_rate", "frame_rate"} - set(metadata):
            raise UserError(
                f"data set {self.name!r} has no {sorted(missing)[0]} in its metadata: "
                "use talking_faces"
            )
        return {name: int(metadata[name]) for name in ("sample_rate", "frame_rate")}

    def examples(self, split: str) -> Examples:
        stored = self.splits.stored(split)
        return Examples(
            talking_faces.open_talking_faces(
                self.name, stored, self._num_frames, self.dir
            )
        )

    @property
    def judges(self) -> dict[str, Judge]:
        return {"judge": FaceIdentity(self.x, self.y, self.judge_width)}

    def parse_prompt(self, kind: str, value: str) -> Example:
        if kind == "audio":
            rates = self.info["frame_rate"], self.info["sample_rate"]
            speech = talking_faces.read_speech(value, self._num_frames, *rates)
            return {"x": {"speech": speech}}
        if kind == "image":
            return {"x": {"picture": talking_faces.read_face(value)}}
        raise UserError(
            f"talking_head reads --audio=FILE and --image=FILE, not --{kind}"
        )

    def postprocess(self, y: Padded) -> Padded:
        return Padded(_pixels(y.values), y.length)

    def sample_metrics(self, variables: RunVariables) -> SampleMetrics:
        """Returns metrics of clips by the renderer's inverse and the judge.

        `mouth_correlation`: mean over clips of the correlation of the mouth's opening, read
        off the frames, with the true track of the sentence. `mouth_lag_ms`: distance from 0
        of the lag at which their cross-correlation, averaged over clips, peaks; and
        `mouth_lag_clip_ms` the mean of that of single clips. `psnr`: of all frames against
        the real ones. `identity_accuracy`: fraction of clips whose own picture is the
        nearest of all pictures of the prompts to the mean embedding of frames, and
        `identity_cosine` the mean cosine of the two.
        """
        judge = self.judges["judge"]
        assert isinstance(judge, FaceIdentity)
        frame_ms = 1000 / self.info["frame_rate"]

        def metrics(generated: Generated) -> dict[str, float]:
            prompts, y, _ = generated
            pairs = [pair for pair in self._mouths(prompts, y) if pair is not None]
            values = mouth_metrics(pairs, frame_ms)
            if "y" in prompts:
                values |= self._frame_metrics(prompts["y"], y)
            pictures = np.asarray(prompts["x"]["picture"])
            own = judge.embed(variables["judge"], pictures)
            frames = _spread_frames(y, JUDGED_FRAMES)
            flat = frames.reshape(-1, *pictures.shape[1:])
            embedded = judge.embed(variables["judge"], flat)
            embedded = embedded.reshape(len(own), JUDGED_FRAMES, -1).mean(axis=1)
            embedded /= np.linalg.norm(embedded, axis=-1, keepdims=True) + 1e-6
            cosines = embedded @ own.T
            is_own = np.diag(cosines) >= cosines.max(axis=1) - 1e-6
            return values | {
                "identity_accuracy": float(np.mean(is_own)),
                "identity_cosine": float(np.mean(np.diag(cosines))),
            }

        return metrics

    def per_example(self, variables: RunVariables, generated: Generated) -> PerExample:
        """Returns the text of each clip, and the correlation of its mouth."""
        prompts, y, _ = generated
        known = [self._known(picture) for picture in prompts["x"]["picture"]]
        pairs = self._mouths(prompts, y)
        values = [pair and mouth_correlation(*pair) for pair in pairs]
        columns = [(value or 0.0, value is not None) for value in values]
        return {
            "text": ["" if clip is None else clip["text"] for clip in known],
            "mouth_correlation": np.array(columns, np.float64),
        }

    def reconstruction_metrics(self, y: Padded, other: Padded) -> dict[str, float]:
        """Computes the `psnr` of frames, and the `mouth_correlation` of both clips."""
        jaws = [_read_jaw(y.values[:, 0], clips) for clips in (y, other)]
        pairs = [(b[:n], a[:n]) for a, b, n in zip(*jaws, y.length, strict=True)]
        mouth = mouth_metrics(pairs, 1000 / self.info["frame_rate"])
        return self._frame_metrics(y, other) | {
            name: mouth[name] for name in ("mouth_correlation",) if name in mouth
        }

    def speed_metrics(self, y: Padded, seconds: float) -> dict[str, float]:
        """Computes `real_time_factor`: seconds of computation per second of video."""
        shown = float(np.sum(y.length)) / self.info["frame_rate"]
        return {"real_time_factor": seconds / shown} if shown else {}

    def render_samples(self, prompts: Example, y: Padded) -> Media:
        """Renders clips with their sound, frames, curves of tracks, and prompts.

        Prompts are files as `parse_prompt` reads them. The text has the credit line, and
        sentences where they are known.
        """
        versions, texts = {"sample": y}, [_CREDIT]
        pictures = np.asarray(prompts["x"]["picture"])
        if "y" in prompts:
            versions["reference"] = prompts["y"]
            known = [self._known(picture) for picture in pictures]
            columns = {"sentence": ["" if c is None else c["text"] for c in known]}
            texts.insert(0, table({"clip": map(str, range(len(known)))} | columns))
        media = self._render("sample", versions, pictures)
        rate = self.info["sample_rate"]
        speech = np.asarray(prompts["x"]["speech"].values)
        for name, picture, wave, length in zip(
            list(media.videos), pictures, speech, y.length, strict=False
        ):
            sound = wave[:length].reshape(-1)
            video = media.videos[name]
            media.videos[name] = dataclasses.replace(
                video, sound=sound, sample_rate=rate
            )
            media.audio[f"{name}_speech"] = sound, rate
            media.images[f"{name}_face"] = _pixels(picture)
        media.texts["samples"] = "\n\n".join(texts)
        return media

    def render_reconstructions(self, y: Padded, other: Padded) -> Media:
        """Renders clips beside their reconstructions."""
        versions = {"reference": y, "reconstruction": other}
        return self._render("reconstruction", versions, y.values[:, 0])

    def _render(
        self, name: str, versions: dict[str, Padded], pictures: np.ndarray
    ) -> Media:
        """Renders clips of each version, and the first ones in pictures."""
        shown = {k: Padded(*(part[:_SHOWN] for part in v)) for k, v in versions.items()}
        tracks = {k: _read_tracks(pictures[:_SHOWN], v) for k, v in shown.items()}
        return render_clips(name, versions, tracks, self.info["frame_rate"])

    def _frame_metrics(self, y: Padded, other: Padded) -> dict[str, float]:
        """Computes the `psnr` in dB of frames, where it is finite."""
        valid = np.arange(y.values.shape[1]) < np.asarray(y.length)[:, None]
        # Clip by clip, as all of them at once would need memory.
        errors = [
            np.sum(np.square(np.float32(a[v]) - b[v]))
            for a, b, v in zip(y.values, other.values, valid, strict=True)
        ]
        error = float(np.sum(errors) / (valid.sum() * np.prod(y.values.shape[2:])))
        return {"psnr": psnr(error, 255.0)} if error else {}

    def _mouths(
        self, prompts: Example, y: Padded
    ) -> list[tuple[np.ndarray, np.ndarray] | None]:
        """Returns the jaw of clips, read off frames, with the true one where known."""
        pictures = np.asarray(prompts["x"]["picture"])
        read = _read_jaw(pictures, y)
        pairs = []
        for picture, jaw, length in zip(pictures, read, y.length, strict=True):
            if (clip := self._known(picture)) is None:
                pairs.append(None)
                continue
            true = clip["tracks"][:length, TRACKS.index("jaw")]
            pairs.append((jaw[: len(true)], true))
        return pairs

    def _known(self, picture: np.ndarray) -> Example | None:
        """Returns the held-out clip that begins with a picture; None for none."""
        return _held_out_clips(self).get(np.asarray(picture).tobytes())


def _pixels(values: np.ndarray) -> np.ndarray:
    """Returns values as u8, rounded."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _spread_frames(y: Padded, number: int) -> np.ndarray:
    """Returns frames [N, number, …] of clips, evenly spread from first to last."""
    share = np.linspace(0, 1, number)
    last = np.maximum(np.asarray(y.length)[:, None] - 1, 0)
    index = np.rint(share * last).astype(int)
    return np.asarray(y.values)[np.arange(len(index))[:, None], index]


def _read_jaw(pictures: np.ndarray, y: Padded) -> np.ndarray:
    """Returns the opening of the mouth f32[N, T] in clips of faces in pictures."""
    return _read_tracks(pictures, y)[..., TRACKS.index("jaw")]


def _read_tracks(pictures: np.ndarray, y: Padded) -> np.ndarray:
    """Returns the tracks f32[N, T, 7] of clips of faces in pictures."""
    return np.asarray(_tracks(jnp.asarray(pictures), jnp.asarray(y.values)))


@jax.jit
def _tracks(pictures: jax.Array, clips: jax.Array) -> jax.Array:
    def read(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
        picture, clip = (part.astype(jnp.float32)[None] for part in pair)
        return read_tracks(read_identity(picture), clip)[0]

    # Clip by clip: all of them as floats would need four times the memory.
    return jax.lax.map(read, (pictures, clips))


@functools.lru_cache(maxsize=4)
def _held_out_clips(task: TalkingHead) -> dict[bytes, Example]:
    """Returns text and tracks of clips by the bytes of their first frames."""
    clips: dict[bytes, Example] = {}
    for split in ("validation", "test"):
        try:
            examples = task.examples(split).clips
        except UserError:
            continue  # A run samples where its data are gone.
        for index in range(len(examples)):
            clip = examples[index]
            facts = {name: clip[name] for name in ("text", "tracks")}
            clips[clip["picture"].tobytes()] = facts
    return clips
