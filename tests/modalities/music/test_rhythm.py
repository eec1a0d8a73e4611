import itertools

import numpy as np

from regen_jax.modalities.music import events
from regen_jax.modalities.music.rhythm import patterns, rhythms


def found(division, *voices):
    ids = [[events.SYMBOLS.index(symbol) for symbol in v.split()] for v in voices]
    ids = np.array(ids).T
    index = rhythms(events.sounding(ids), events.begins(ids), division)
    return [patterns(division)[i] for i in index]


def test_patterns():
    assert patterns(1) == ("x", "-", "r")
    assert patterns(2) == ("xx", "x-", "xr", "-x", "--", "-r", "rx", "rr")
    every = map("".join, itertools.product("x-r", repeat=4))
    assert set(patterns(4)) == {p for p in every if "r-" not in p}


def test_of_one_voice():
    assert found(2, "C4 C4- D4 E4 E4- E4- r r r F4") == ["x-", "xx", "--", "rr", "rx"]
    assert found(3, "C4 C4- D4 D4- r r") == ["x-x", "-rr"]


def test_of_voices_jointly():
    assert found(2, "r r C4 C4- r r", "C4 D4 D4- D4- D4- r") == ["xx", "x-", "-r"]


def test_all_patterns_are_told_apart():
    states = {"x": "C4", "-": "C4-", "r": "r"}
    for pattern in patterns(3):
        line = " ".join(["C4", "C4-", "C4-", *(states[s] for s in pattern)])
        assert found(3, line)[1] == pattern
