"""How speech is spoken: phonemes with duration, pitch and energy, on the host."""

import dataclasses

import numpy as np

from regen_jax import ranges
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, HostFeature
from regen_jax.modalities.audio import prosody
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
"""Phonemes in IPA of espeak-ng's American voice, `_` for a pause; see `speak`."""


@dataclasses.dataclass(frozen=True)
class Prosody(HostFeature):
    """A wave with known phonemes to a stack of four ids a phoneme.

    These are the phoneme, its duration in frames, its mean log pitch and its mean energy,
    the last two in bins spaced evenly in log: the variances of FastSpeech 2 (Ren et al.,
    arXiv 2006.04558, section 2.3), which spaces those of energy evenly, with pitch
    and energy averaged over each phoneme as FastPitch does (Łańcucki, arXiv 2006.06873).

    Frame i is that of the phoneme in which sample i * hop lies, so that the durations add
    up to the frames of `Mel`. A phoneme with no frame has the pitch and energy of the
    frame nearest to its middle.

    In every channel 0 is padding, so that ids are shifted: phonemes, in the order of
    `symbols`, and energy bins by 1; frames, which may be 0, by 1; pitch bins by 2, as 1
    is the bin of phonemes without a voiced frame.

    Attributes:
      y: the space of waves, [N] or [N, 1].
      symbols: all phonemes that the notes may have.
      length: the most phonemes; 0 is one every 512 samples.
      bins: of pitch, and of energy.
      sample_rate: in Hz.
      n_fft: samples in a frame for the energy.
      hop: samples from a frame to the next.
      lowest_pitch: in Hz, the low end of the bins.
      highest_pitch: in Hz, the high end of the bins.
      range_db: how far the bins of energy go down from n_fft / 2, which only a wave of
        full scale comes near. What lies outside a range is in its last bin.
    """

    input_space: Array
    symbols: tuple[str, ...] = SYMBOLS
    length: Natural = 0
    bins: Count = 64
    sample_rate: Count = 16000
    n_fft: Count = 1024
    hop: Count = 256
    lowest_pitch: Positive = 60.0
    highest_pitch: Positive = 400.0
    range_db: Positive = 80.0

    def __post_init__(self):
        ranges.check(self)
        if (
            not isinstance(self.input_space, Array)
            or self.input_space.size != self.input_space.shape[0]
        ):
            raise ValueError(
                f"needs a wave, an Array of samples, not {self.input_space}"
            )
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

    def extract(self, y: np.ndarray | Padded, notes: Example) -> np.ndarray:
        """Ids int32 [y_prime.length, 4] of one wave, float [*y.shape].

        `notes` has `phonemes`, str each, and `durations`, how many samples each lasts.

        Raises:
          UserError: the notes lack these or disagree with the wave, a phoneme is unknown,
            or there are too many.
        """
        values, samples = (
            y if self.input_space.padded else (y, self.input_space.shape[0])
        )
        wave = np.asarray(values).reshape(-1)[: int(samples)]
        phonemes, durations = self._checked(notes, len(wave))
        ends = np.cumsum(durations)
        starts = ends - durations
        first, last = -(-starts // self.hop), -(-ends // self.hop)
        f0 = prosody.pitch(
            wave, self.sample_rate, self.hop, self.lowest_pitch, self.highest_pitch
        )
        energy = prosody.energy(wave, self.n_fft, self.hop)
        middle = np.rint((starts + ends) / (2 * self.hop)).astype(int)
        middle = np.minimum(middle, len(energy) - 1)
        found = np.zeros(self.output_space.shape, np.int32)
        for i, phoneme in enumerate(phonemes):
            frames = slice(first[i], last[i])
            if first[i] == last[i]:
                frames = slice(middle[i], middle[i] + 1)
            found[i] = (
                1 + self.symbols.index(phoneme),
                1 + last[i] - first[i],
                1 + self._pitch_bin(f0[frames]),
                1 + self._energy_bin(energy[frames]),
            )
        return found

    def _checked(self, notes: Example, samples: int) -> tuple[list[str], np.ndarray]:
        if "phonemes" not in notes or "durations" not in notes:
            raise UserError(
                "abstraction 'prosody' needs phonemes and their durations, which this "
                "data set does not tell: use data set 'spoken_bible'"
            )
        phonemes, durations = list(notes["phonemes"]), np.asarray(notes["durations"])
        if not phonemes or len(phonemes) != len(durations):
            raise UserError(
                f"an example has {len(phonemes)} phonemes and {len(durations)} durations: "
                "abstraction 'prosody' needs one or more, and as many of each"
            )
        if durations.min() < 0 or durations.sum() != samples:
            raise UserError(
                f"durations of an example add up to {durations.sum()} samples, and its "
                f"wave has {samples}: abstraction 'prosody' needs them to be equal"
            )
        if unknown := [symbol for symbol in phonemes if symbol not in self.symbols]:
            raise UserError(
                f"phoneme {unknown[0]!r} is not among the symbols of abstraction "
                f"'prosody': {' '.join(self.symbols)}"
            )
        if len(phonemes) > self.output_space.length:
            raise UserError(
                f"an example has {len(phonemes)} phonemes, and at most "
                f"{self.output_space.length} fit: raise the option length of the abstraction "
                "'prosody'"
            )
        return phonemes, durations

    def _pitch_bin(self, f0: np.ndarray) -> int:
        """0 for unvoiced frames, else from 1 on."""
        voiced = f0[f0 > 0]
        if not voiced.size:
            return 0
        unit = np.mean(np.log(voiced / self.lowest_pitch))
        return 1 + self._bin(unit / np.log(self.highest_pitch / self.lowest_pitch))

    def _energy_bin(self, energy: np.ndarray) -> int:
        relative = max(np.mean(energy) / (self.n_fft / 2), 1e-12)
        return self._bin(1 + 20 * np.log10(relative) / self.range_db)

    def _bin(self, unit: float) -> int:
        """The bin of a position from 0 to 1 in a range."""
        return int(np.clip(np.floor(unit * self.bins), 0, self.bins - 1))
