"""The rules that sampling heeds are the faults that are counted afterwards."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from regen_jax.metrics.music import voice_leading_violations
from regen_jax.modalities.music import events
from regen_jax.modalities.music.voice_leading import VoiceLeading

RULES = VoiceLeading()
VOICES = 3
# Few pitches, near each other, so that voices often cross and move in parallel.
SCORES = st.lists(
    st.lists(st.integers(60, 69), min_size=VOICES, max_size=VOICES),
    min_size=1,
    max_size=6,
)


def found(ids: np.ndarray) -> float:
    """The faults of each event [T, voices], added up."""
    before = jnp.array(np.concatenate([np.zeros_like(ids[:1]), ids[:-1]]))
    return sum(
        float(RULES.violations(was[None, None, : k + 1], now[None, :k])[0, now[k]])
        for was, now in zip(before, jnp.array(ids), strict=True)
        for k in range(VOICES)
    )


@given(SCORES)
@settings(max_examples=60, deadline=None)
def test_faults_of_events_add_up_to_those_of_the_score(pitches):
    pitches = np.array(pitches)
    held = np.diff(pitches, axis=0, prepend=0) == 0
    ids = np.vectorize(
        lambda pitch, held: events.sustained(pitch) if held else events.note(pitch)
    )(pitches, held)
    counted = voice_leading_violations(events.sounding(ids), events.begins(ids))
    assert found(ids) == sum(counted.values())


def test_worked_examples():
    def against(before: list[str], above: list[str], event: str) -> float:
        ids = [[events.SYMBOLS.index(s) for s in row] for row in (before, above)]
        was, now = (jnp.array([row], jnp.int32) for row in ids)
        row = RULES.violations(was[:, None], now)[0]
        return float(row[events.SYMBOLS.index(event)])

    assert against(["G4", "C4"], ["A4"], "D4") == 1  # parallel fifths
    assert against(["G4", "C4"], ["G4"], "D4") == 0  # oblique motion
    assert against(["G4", "C4"], ["F4"], "D4") == 0  # contrary motion
    assert against(["C5", "C4"], ["D5"], "D4^") == 1  # parallel octaves
    assert against(["C5", "C4"], ["D5"], "r") == 0  # silence has no faults
    assert against(["G4", "C4"], ["A4"], "B4") == 1  # a crossing begins
    assert against(["G4", "A4"], ["A4"], "B4") == 0  # and goes on
    assert against(["C5", "G4", "C4"], ["D5", "A4"], "D4") == 2  # with both
