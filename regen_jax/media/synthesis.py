"""Scores as sound, by additive synthesis."""

import math

import numpy as np

from regen_jax.modalities.music.score import Score

RELEASE = 0.15
"""Seconds in which a note dies away behind its end."""

_ATTACK = 0.03
# Fundamental and harmonics, louder and faster to fade in the order of a soft organ.
_AMPLITUDES = (1.0, 0.45, 0.28, 0.14, 0.08, 0.04)
_DECAY = 0.5
_PEAK = 0.8


def render(score: Score, sample_rate: int = 16_000, tempo: float = 80) -> np.ndarray:
    """Plays a score in equal temperament, A4 at 440 Hz, as loud as always.

    Arguments:
      score: it sounds as written; a fermata is not held.
      sample_rate: Hz.
      tempo: quarter notes a minute.

    Returns:
      float32 [N] in [-1, 1], of the score's duration and `RELEASE` seconds.
    """
    second = 60 / (tempo * score.division)
    wave = np.zeros(math.ceil((score.length * second + RELEASE) * sample_rate))
    for note in (note for voice in score.voices for note in voice):
        first = round(note.start * second * sample_rate)
        sound = _tone(note.pitch, note.duration * second, sample_rate)
        room = wave[first : first + len(sound)]
        room += sound[: len(room)]
    peak = np.abs(wave).max(initial=0)
    return (wave * (_PEAK / peak if peak else 0)).astype(np.float32)


def _tone(pitch: int, duration: float, sample_rate: int) -> np.ndarray:
    """float32 [N]: a note of that many seconds and its release."""
    seconds = np.arange(int((duration + RELEASE) * sample_rate)) / sample_rate
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    phase = 2 * np.pi * frequency * seconds
    fade = np.exp(-_DECAY * seconds).astype(np.float32)
    # sin(h x) = 2 cos(x) sin((h - 1) x) - sin((h - 2) x) saves most of the sines, and
    # powers of one exponential the others.
    twice_cosine = (2 * np.cos(phase)).astype(np.float32)
    before, sine = np.zeros_like(fade), np.sin(phase).astype(np.float32)
    faded = fade
    wave = np.zeros_like(fade)
    for harmonic, amplitude in enumerate(_AMPLITUDES, start=1):
        if harmonic * frequency >= sample_rate / 2:
            break
        wave += amplitude * faded * sine
        before, sine = sine, twice_cosine * sine - before
        faded = faded * fade
    attack = np.clip(seconds / _ATTACK, 0, 1)
    release = np.clip((duration + RELEASE - seconds) / RELEASE, 0, 1)
    # Half a cosine each way: no clicks.
    envelope = (1 - np.cos(np.pi * attack)) * (1 - np.cos(np.pi * release)) / 4
    return wave * envelope.astype(np.float32)
