"""Makes clips of drawn faces that read texts aloud."""

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np
from PIL import Image

from regen_jax.modalities.audio import files
from regen_jax.modalities.faces.animation import animate
from regen_jax.modalities.faces.face import RATE, Identity, draw_identity
from regen_jax.modalities.faces.renderer import render
from regen_jax.modalities.text import espeak

SAMPLE_RATE = 16_000
FRAME_SAMPLES = SAMPLE_RATE // RATE
MAX_FRAMES = 100
SILENCE = 0.2
"""Seconds before and after speech, so that a clip begins with a mouth at rest."""
VOICES = tuple(f"en-us{v}" for v in ("", "+f1", "+f2", "+f4", "+m2", "+m3", "+m4"))
SLOWEST, FASTEST = 140, 185
"""Words per minute."""


def make_clips(texts: Iterable[str], seed: int) -> Iterator[dict[str, Any]]:
    """Yields the example of each text, without those that last longer than 4 s.

    Each has a face, a voice, blinks and a pose of its own, drawn by NumPy's `RandomState`
    from the seed and the number of the text.
    """
    for number, text in enumerate(texts):
        random = np.random.RandomState([seed, number])
        voice = VOICES[random.randint(len(VOICES))]
        rate = int(random.randint(SLOWEST, FASTEST + 1))
        sound, phones = espeak.speak(text, voice, rate)
        wave = files.resample(sound / 2**15, espeak.SAMPLE_RATE, SAMPLE_RATE)
        quiet = round(SILENCE * SAMPLE_RATE)
        num_frames = -(-(len(wave) + 2 * quiet) // FRAME_SAMPLES)
        if num_frames > MAX_FRAMES:
            continue
        audio = np.zeros(num_frames * FRAME_SAMPLES, np.int16)
        audio[quiet : quiet + len(wave)] = files.to_int16(wave)
        phonemes = [(n, SILENCE + start / espeak.SAMPLE_RATE) for n, start in phones]
        end = SILENCE + len(sound) / espeak.SAMPLE_RATE
        identity = draw_identity(random)
        tracks = animate(random, phonemes, end, num_frames)
        yield {
            "text": text,
            "voice": voice,
            "audio": audio,
            "frames": film(draw_clip(identity, tracks)),
            "tracks": tracks,
            "geometry": identity.geometry,
            "colors": identity.colors,
        }


def draw_clip(identity: Identity, tracks: np.ndarray) -> np.ndarray:
    """Draws tracks f32[T, 7], T at most `MAX_FRAMES`, as frames u8[T, SIZE, SIZE, 3]."""
    padded = np.pad(tracks, ((0, MAX_FRAMES - len(tracks)), (0, 0)))
    one = Identity(*(np.asarray(part)[None] for part in identity))
    frames = np.asarray(_render()(one, padded[None]))[0, : len(tracks)]
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def film(frames: np.ndarray) -> Image.Image:
    """Returns frames u8[T, H, W, 3] as one picture, one below another."""
    return Image.fromarray(frames.reshape(-1, *frames.shape[2:]))


@functools.cache
def _render() -> Any:
    return jax.jit(render)
