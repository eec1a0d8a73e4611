import itertools

import numpy as np

from regen_jax.modalities.music import events
from regen_jax.modalities.music.rhythm import encode_rhythms, rhythm_patterns


def encode(division, *voices):
    ids = [[events.SYMBOLS.index(symbol) for symbol in v.split()] for v in voices]
    ids = np.array(ids).T
    index = encode_rhythms(
        events.sounding_pitches(ids), events.onset_mask(ids), division
    )
    return [rhythm_patterns(division)[i] for i in index]


def test_rhythm_patterns_are_all_without_continued_silence():
    assert rhythm_patterns(1) == ("x", "-", "r")
    assert rhythm_patterns(2) == ("xx", "x-", "xr", "-x", "--", "-r", "rx", "rr")
    candidates = map("".join, itertools.product("x-r", repeat=4))
    assert set(rhythm_patterns(4)) == {p for p in candidates if "r-" not in p}


def test_rhythm_of_one_voice():
    assert encode(2, "C4 C4- D4 E4 E4- E4- r r r F4") == ["x-", "xx", "--", "rr", "rx"]
    assert encode(3, "C4 C4- D4 D4- r r") == ["x-x", "-rr"]


def test_joint_rhythm_of_voices():
    assert encode(2, "r r C4 C4- r r", "C4 D4 D4- D4- D4- r") == ["xx", "x-", "-r"]


def test_each_pattern_is_encoded_as_itself():
    states = {"x": "C4", "-": "C4-", "r": "r"}
    for pattern in rhythm_patterns(3):
        line = " ".join(["C4", "C4-", "C4-", *(states[s] for s in pattern)])
        assert encode(3, line)[1] == pattern
