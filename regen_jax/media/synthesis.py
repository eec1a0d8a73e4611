"""Additive synthesis of scores."""

import functools
import math

import numpy as np

from regen_jax.modalities.music.score import Score

RELEASE = 0.15
"""Seconds in which a note fades out after its end."""

_ATTACK = 0.03
# Amplitudes of the fundamental and its harmonics, as of a soft organ.
_AMPLITUDES = (1.0, 0.45, 0.28, 0.14, 0.08, 0.04)
_DECAY = 0.5
"""Decay rate of the fundamental per second; that of harmonic h is h times as large."""
_PEAK = 0.8


def synthesize(
    score: Score, sample_rate: int = 16_000, tempo: float = 80
) -> np.ndarray:
    """Synthesizes a score in equal temperament, A4 at 440 Hz, normalized to one peak.

    Args:
      score: played as written; fermatas are not held.
      sample_rate: Hz.
      tempo: quarter notes per minute.

    Returns:
      f32[N] in [-1, 1], as long as the score and `RELEASE` seconds.
    """
    step_seconds = 60 / (tempo * score.division)
    seconds = score.length * step_seconds + RELEASE
    wave = np.zeros(math.ceil(seconds * sample_rate))
    for note in (note for voice in score.voices for note in voice):
        start = round(note.start * step_seconds * sample_rate)
        tone = _tone(note.pitch, note.duration * step_seconds, sample_rate)
        segment = wave[start : start + len(tone)]
        segment += tone[: len(segment)]
    peak = np.abs(wave).max(initial=0)
    return (wave * (_PEAK / peak if peak else 0)).astype(np.float32)


# Scores have few tones: pitches of a voice, and durations of a rhythm.
@functools.lru_cache(maxsize=256)
def _tone(pitch: int, duration: float, sample_rate: int) -> np.ndarray:
    """Synthesizes a note of `duration` seconds and its release, f32[N]."""
    seconds = np.arange(int((duration + RELEASE) * sample_rate)) / sample_rate
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    phase = 2 * np.pi * frequency * seconds
    fade = np.exp(-_DECAY * seconds).astype(np.float32)
    # sin(h x) = 2 cos(x) sin((h - 1) x) - sin((h - 2) x) saves most sines, and powers of
    # one exponential save the other exponentials.
    twice_cosine = (2 * np.cos(phase)).astype(np.float32)
    previous, sine = np.zeros_like(fade), np.sin(phase).astype(np.float32)
    harmonic_fade = fade
    wave = np.zeros_like(fade)
    for harmonic, amplitude in enumerate(_AMPLITUDES, start=1):
        if harmonic * frequency >= sample_rate / 2:
            break
        wave += amplitude * harmonic_fade * sine
        previous, sine = sine, twice_cosine * sine - previous
        harmonic_fade = harmonic_fade * fade
    attack = np.clip(seconds / _ATTACK, 0, 1)
    release = np.clip((duration + RELEASE - seconds) / RELEASE, 0, 1)
    # Half a cosine at both ends avoids clicks.
    envelope = (1 - np.cos(np.pi * attack)) * (1 - np.cos(np.pi * release)) / 4
    return wave * envelope.astype(np.float32)
