import importlib.util

import numpy as np
import pytest

from regen_jax.errors import UserError
from regen_jax.modalities.text import espeak


def test_speaks_with_phonemes_in_order():
    wave, phones = espeak.speak("hello world")
    assert wave.dtype == np.int16
    assert 0.5 < len(wave) / espeak.SAMPLE_RATE < 1.2
    names, starts = zip(*phones, strict=True)
    spoken = [name for name in names if name != espeak.PAUSE]
    assert spoken == ["h", "ə", "l", "ˈoʊ", "w", "ˈɜː", "l", "d"]
    assert list(starts) == sorted(starts)
    assert 0 <= starts[0] and starts[-1] <= len(wave)


def test_events_are_where_the_sounds_are():
    """A hiss has its power above 2.5 kHz, the vowel behind it below."""
    wave, phones = espeak.speak("sha")
    edges = [start for _, start in phones]

    def high(part):
        power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
        frequency = np.fft.rfftfreq(len(part), 1 / espeak.SAMPLE_RATE)
        return power[frequency > 2500].sum() / power.sum()

    assert [name for name, _ in phones][:2] == ["ʃ", "ˈɑː"]
    assert high(wave[edges[0] : edges[1]]) > 0.5
    assert high(wave[edges[1] : edges[2]]) < 0.1


def test_rate_and_voice_matter():
    fast, slow = (len(espeak.speak("a long day", rate=r)[0]) for r in (300, 100))
    assert fast < 0.6 * slow
    assert espeak.phonemes("el niño", "es") == ("e", "l", "n", "ˈi", "ɲ", "o")
    assert espeak.phonemes("hello world")[:3] == ("h", "ə", "l")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("",), "nothing to speak in the text ''"),
        ((" ... ",), "nothing to speak"),
        (("a", "klingon-xx"), "has no voice 'klingon-xx': choose en-us"),
        (("a", "en-us", 79), "79 words a minute"),
        (("a", "en-us", 451), "451 words a minute"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(UserError, match=message):
        espeak.speak(*arguments)


def test_missing_package_is_named(monkeypatch):
    espeak._library.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'regen-jax\[speech\]'"):
        espeak.speak("hello")


@pytest.mark.parametrize("what", ["library", "data"])
def test_damaged_package_is_told(monkeypatch, tmp_path, what):
    import espeakng_loader

    espeak._library.cache_clear()
    if what == "library":
        (tmp_path / "lib.so").write_bytes(b"no library")
        monkeypatch.setattr(
            espeakng_loader, "get_library_path", lambda: str(tmp_path / "lib.so")
        )
    else:
        monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(UserError, match="espeak") as caught:
        espeak.speak("hello")
    assert "\n" not in str(caught.value)
    espeak._library.cache_clear()
