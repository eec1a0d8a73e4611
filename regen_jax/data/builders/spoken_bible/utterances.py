"""Reads texts aloud with espeak-ng, and aligns phonemes and samples."""

from collections.abc import Iterator

import numpy as np

from regen_jax.modalities.audio import files
from regen_jax.modalities.text import espeak

SAMPLE_RATE = 16_000
MAX_SECONDS = 2.0


def synthesize(texts: Iterator[str]) -> Iterator[dict]:
    """Yields the example of each text, without those that last longer than 2 s.

    An example has `text`, `audio` i16[N] at 16 kHz, `phonemes` and their `durations`.
    """
    for text in texts:
        wave, phones = espeak.speak(text)
        if len(wave) <= MAX_SECONDS * espeak.SAMPLE_RATE:
            audio = files.to_int16(
                files.resample(wave / 2**15, espeak.SAMPLE_RATE, SAMPLE_RATE)
            )
            names, durations = align(phones, len(audio))
            yield {
                "text": text,
                "audio": audio,
                "phonemes": names,
                "durations": durations,
            }


def align(
    phones: list[tuple[str, int]], num_samples: int
) -> tuple[list[str], np.ndarray]:
    """Computes the duration of each phoneme in samples at 16 kHz.

    Phonemes without samples are left out, and consecutive pauses are joined. The first
    phoneme includes the 12 ms of silence before it.

    Args:
      phones: names of phonemes and their first samples at `espeak.SAMPLE_RATE`.
      num_samples: of the audio at 16 kHz.

    Returns:
      The names of P phonemes, and their durations i32[P], whose sum is `num_samples`.
    """
    names, starts = zip(*phones, strict=True)
    edges = np.rint(np.array(starts) * (SAMPLE_RATE / espeak.SAMPLE_RATE)).astype(int)
    edges = np.minimum(np.append(edges, num_samples), num_samples)
    edges[0] = 0
    aligned, durations = [], []
    for name, duration in zip(names, np.diff(edges).tolist(), strict=True):
        if name == espeak.PAUSE and aligned[-1:] == [name]:
            durations[-1] += duration
        elif duration:
            aligned.append(name)
            durations.append(duration)
    return aligned, np.array(durations, np.int32)
