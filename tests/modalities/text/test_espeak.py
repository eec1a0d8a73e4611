import sys
import time

import numpy as np
import pytest

from regen_jax.errors import UserError
from regen_jax.modalities.audio.prosody import pitch
from regen_jax.modalities.text import espeak


def test_speech_has_its_phonemes_in_order():
    wave, phones = espeak.speak("hello world")
    assert wave.dtype == np.int16
    assert 0.5 < len(wave) / espeak.SAMPLE_RATE < 1.2
    names, starts = zip(*phones, strict=True)
    spoken = [name for name in names if name != espeak.PAUSE]
    assert spoken == ["h", "ə", "l", "ˈoʊ", "w", "ˈɜː", "l", "d"]
    assert list(starts) == sorted(starts)
    assert 0 <= starts[0] and starts[-1] <= len(wave)


def test_phoneme_starts_match_the_sound():
    """A hiss has its power above 2.5 kHz, the next vowel below."""
    wave, phones = espeak.speak("sha")
    edges = [start for _, start in phones]

    def high_fraction(part):
        power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
        frequency = np.fft.rfftfreq(len(part), 1 / espeak.SAMPLE_RATE)
        return power[frequency > 2500].sum() / power.sum()

    assert [name for name, _ in phones][:2] == ["ʃ", "ˈɑː"]
    assert high_fraction(wave[edges[0] : edges[1]]) > 0.5
    assert high_fraction(wave[edges[1] : edges[2]]) < 0.1


def test_rate_and_voice_change_the_speech():
    fast, slow = (len(espeak.speak("a long day", rate=r)[0]) for r in (300, 100))
    assert fast < 0.6 * slow
    assert espeak.phonemize("el niño", "es") == ("e", "l", "n", "ˈi", "ɲ", "o")
    assert espeak.phonemize("hello world")[:3] == ("h", "ə", "l")


def fundamental_frequency(wave):
    frames = pitch(wave / 2**15, espeak.SAMPLE_RATE, 256, 60.0, 400.0)
    return np.median(frames[frames > 0])


def test_variant_and_pitch_change_the_fundamental_frequency():
    espeak.restart()
    male, female = (
        [
            fundamental_frequency(
                espeak.speak("nine nine nine", f"en-us+{v}", pitch=p)[0]
            )
            for p in (20, 50, 80)
        ]
        for v in ("m1", "f1")
    )
    assert male == sorted(male) and female == sorted(female)
    assert all(1.5 * m < f for m, f in zip(male, female, strict=True))
    # The next text has the pitch of its own arguments.
    again = fundamental_frequency(espeak.speak("nine nine nine", "en-us+m1")[0])
    assert again == pytest.approx(male[1], rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("",), "nothing to speak in the text ''"),
        ((" ... ",), "nothing to speak"),
        (("a", "klingon-xx"), "has no voice 'klingon-xx': choose en-us"),
        (("a", "en-us+x9"), "no variant 'x9' of its voices: choose f1 to f5"),
        (("a", "en-us+"), "no variant ''"),
        (("a", "en-us", 175, 101), "no pitch 101: choose 0 to 100"),
        (("a", "en-us", 175, -1), "no pitch -1"),
        (("a", "en-us", 79), "79 words a minute"),
        (("a", "en-us", 451), "451 words a minute"),
    ],
)
def test_invalid_arguments_raise_user_error(arguments, message):
    with pytest.raises(UserError, match=message):
        espeak.speak(*arguments)


def assert_restart_forgets():
    texts = [("in the beginning",), ("seven", "en-us+f3", 220, 80)]
    espeak.restart()
    first = [espeak.speak(*arguments)[0] for arguments in texts]
    assert not np.array_equal(espeak.speak(*texts[0])[0], first[0])
    time.sleep(1.01)  # The library would draw noise by the seconds of the clock.
    espeak.restart()
    for arguments, wave in zip(texts, first, strict=True):
        np.testing.assert_array_equal(espeak.speak(*arguments)[0], wave)


def test_restart_forgets_what_was_spoken():
    assert_restart_forgets()


def test_missing_package_raises_user_error(monkeypatch):
    espeak.restart()
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match="needs the package espeakng_loader: .*speech"):
        espeak.speak("hello")


@pytest.mark.parametrize("part", ["library", "data"])
def test_damaged_package_raises_user_error(monkeypatch, tmp_path, part):
    import espeakng_loader

    espeak.restart()
    if part == "library":
        (tmp_path / "lib.so").write_bytes(b"not a library")
        monkeypatch.setattr(
            espeakng_loader, "get_library_path", lambda: str(tmp_path / "lib.so")
        )
    else:
        monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(UserError, match="espeak") as caught:
        espeak.speak("hello")
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    # Nothing of the damaged one stays open, so that it is unloaded then.
    assert_restart_forgets()
