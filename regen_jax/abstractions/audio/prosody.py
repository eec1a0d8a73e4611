"""Prosody of speech: phonemes with duration, pitch and energy, on the host."""

import dataclasses

import numpy as np

from regen_jax.errors import UserError
from regen_jax.interfaces import Example, HostFeature
from regen_jax.modalities.audio import prosody
from regen_jax.modalities.audio.frame_options import FrameOptions, check_wave
from regen_jax.ranges import Count, Natural, Positive
from regen_jax.spaces import Array, Padded, Tokens

CONSONANTS = (
    *("b", "d", "dʒ", "f", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "tʃ", "v"),
    *("w", "x", "z", "ð", "ŋ", "ɡ", "ɬ", "ɲ", "ɹ", "ɾ", "ʃ", "ʒ", "ʔ", "ʲ", "θ"),
)
VOWELS = (
    *("a", "aɪ", "aɪə", "aɪɚ", "aʊ", "e", "eɪ", "i", "iə", "iː", "n̩", "o", "oː", "oʊ"),
    *(
        "u",
        "uː",
        "æ",
        "ɐ",
        "ɑː",
        "ɑːɹ",
        "ɑ̃",
        "ɒ",
        "ɔ",
        "ɔɪ",
        "ɔː",
        "ɔːɹ",
        "ɔ̃",
        "ə",
        "əl",
    ),
    *("ɚ", "ɛ", "ɛɹ", "ɜː", "ɪ", "ɪɹ", "ʊ", "ʊɹ", "ʌ", "ᵻ"),
)
SYMBOLS = (
    "_",
    *CONSONANTS,
    *(stress + vowel for vowel in VOWELS for stress in ("", "ˌ", "ˈ")),
)
"""Phonemes of espeak-ng's American voice in IPA, and `_` for a pause."""


@dataclasses.dataclass(frozen=True)
class Prosody(FrameOptions, HostFeature):
    """Waves with a phoneme alignment to a stack of four ids per phoneme.

    The levels are the phoneme, its duration in frames, its mean log pitch and its mean
    energy, the last two in log-spaced bins: the variances of FastSpeech 2 (Ren et al.,
    arXiv 2006.04558, section 2.3), whose energy bins are spaced linearly, with pitch and
    energy averaged over each phoneme as in FastPitch (Łańcucki, arXiv 2006.06873).

    Frame i belongs to the phoneme of sample i * hop, so that durations add up to the
    frames of `Mel`. A phoneme without a frame has the pitch and energy of the frame
    nearest to its middle.

    In every level 0 is padding. Ids are phonemes in the order of `symbols` plus 1, frames
    plus 1, pitch bins plus 2, where 1 is a phoneme without a voiced frame, and energy
    bins plus 1.

    Attributes:
      input_space: waves [N] or [N, 1].
      symbols: all phonemes that alignments may have.
      length: maximum number of phonemes; 0 is one per 512 samples.
      bins: of pitch, and of energy.
      n_fft: samples per window of the energy.
      lowest_pitch: Hz, lower end of the pitch bins; pitch is clipped to the bins.
      highest_pitch: Hz, upper end of the pitch bins.
      range_db: range of the energy bins below n_fft / 2, which is about that of a wave of
        full scale; energy is clipped to the bins.
    """

    input_space: Array
    symbols: tuple[str, ...] = SYMBOLS
    length: Natural = 0
    bins: Count = 64
    lowest_pitch: Positive = 60.0
    highest_pitch: Positive = 400.0
    range_db: Positive = 80.0

    def __post_init__(self):
        super().__post_init__()
        check_wave(self.input_space)
        object.__setattr__(self, "symbols", tuple(self.symbols))
        if not self.symbols or len(set(self.symbols)) < len(self.symbols):
            raise ValueError("symbols must be one or more phonemes, none of them twice")
        if not self.lowest_pitch < self.highest_pitch < self.sample_rate / 4:
            raise ValueError(
                "pitch must be within 0 < lowest_pitch < highest_pitch < sample_rate / 4, "
                f"not {self.lowest_pitch}, {self.highest_pitch}, {self.sample_rate / 4}"
            )

    @property
    def output_space(self) -> Tokens:
        samples = self.input_space.shape[0]
        frames = -(-samples // self.hop)
        vocab = max(1 + len(self.symbols), 2 + frames, 2 + self.bins)
        length = self.length or max(1, samples // 512)
        return Tokens(length, vocab, depth=4, padded=True)

    def extract(self, value: np.ndarray | Padded, metadata: Example) -> np.ndarray:
        """Returns ids i32[length, 4] of one wave float[*input_space.shape].

        Args:
          value: the wave.
          metadata: `phonemes`, a str each, and `durations`, the samples of each.

        Raises:
          UserError: metadata lack these or disagree with the wave, a phoneme is unknown,
            or there are too many.
        """
        space = self.input_space
        samples, length = value if space.padded else (value, space.shape[0])
        wave = np.asarray(samples).reshape(-1)[: int(length)]
        phonemes, durations = self._checked_alignment(metadata, len(wave))
        ends = np.cumsum(durations)
        starts = ends - durations
        first, last = -(-starts // self.hop), -(-ends // self.hop)
        f0 = prosody.pitch(
            wave, self.sample_rate, self.hop, self.lowest_pitch, self.highest_pitch
        )
        energy = prosody.energy(wave, self.n_fft, self.hop)
        middle = np.rint((starts + ends) / (2 * self.hop)).astype(int)
        middle = np.minimum(middle, len(energy) - 1)
        ids = np.zeros(self.output_space.shape, np.int32)
        for i, phoneme in enumerate(phonemes):
            frames = slice(first[i], last[i])
            if first[i] == last[i]:
                frames = slice(middle[i], middle[i] + 1)
            ids[i] = (
                1 + self.symbols.index(phoneme),
                1 + last[i] - first[i],
                1 + self._pitch_bin(f0[frames]),
                1 + self._energy_bin(energy[frames]),
            )
        return ids

    def _checked_alignment(
        self, metadata: Example, num_samples: int
    ) -> tuple[list[str], np.ndarray]:
        """Returns phonemes and durations in samples, or raises a UserError."""
        if "phonemes" not in metadata or "durations" not in metadata:
            raise UserError(
                "abstraction 'prosody' needs phonemes and their durations, which this "
                "data set does not have: use data set 'spoken_bible'"
            )
        phonemes = list(metadata["phonemes"])
        durations = np.asarray(metadata["durations"])
        if not phonemes or len(phonemes) != len(durations):
            raise UserError(
                f"an example has {len(phonemes)} phonemes and {len(durations)} durations: "
                "abstraction 'prosody' needs one or more, and as many of each"
            )
        if durations.min() < 0 or durations.sum() != num_samples:
            raise UserError(
                f"durations of an example add up to {durations.sum()} samples, and its "
                f"wave has {num_samples}: abstraction 'prosody' needs them to be equal"
            )
        if unknown := [symbol for symbol in phonemes if symbol not in self.symbols]:
            raise UserError(
                f"phoneme {unknown[0]!r} is not among the symbols of abstraction "
                f"'prosody': {' '.join(self.symbols)}"
            )
        if len(phonemes) > self.output_space.length:
            raise UserError(
                f"an example has {len(phonemes)} phonemes, and at most "
                f"{self.output_space.length} fit: raise the option length of abstraction "
                "'prosody'"
            )
        return phonemes, durations

    def _pitch_bin(self, f0: np.ndarray) -> int:
        """Returns 0 where all frames are unvoiced, else 1 and up."""
        voiced = f0[f0 > 0]
        if not voiced.size:
            return 0
        unit = np.mean(np.log(voiced / self.lowest_pitch))
        return 1 + self._bin(unit / np.log(self.highest_pitch / self.lowest_pitch))

    def _energy_bin(self, energy: np.ndarray) -> int:
        relative = max(np.mean(energy) / (self.n_fft / 2), 1e-12)
        return self._bin(1 + 20 * np.log10(relative) / self.range_db)

    def _bin(self, unit: float) -> int:
        """Returns the bin of a position in [0, 1] within the range."""
        return int(np.clip(np.floor(unit * self.bins), 0, self.bins - 1))
