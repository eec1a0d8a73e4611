import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from regen_jax.metrics.music import voice_leading_violations
from regen_jax.modalities.music import events
from regen_jax.modalities.music.voice_leading import VoiceLeadingConstraints

CONSTRAINTS = VoiceLeadingConstraints()
VOICES, STEPS = 3, 6
# Few pitches, near each other, so that voices often cross and move in parallel.
SCORES = st.lists(
    st.lists(st.integers(60, 69), min_size=VOICES, max_size=VOICES),
    min_size=1,
    max_size=STEPS,
)


@jax.jit
def num_violations(ids: jax.Array) -> jax.Array:
    """Sums the violations of all events of a score i32[STEPS, VOICES]."""
    before = jnp.concatenate([jnp.zeros_like(ids[:1]), ids[:-1]])
    counts = [
        CONSTRAINTS.violations(before[:, None, : k + 1], ids[:, :k])[
            jnp.arange(STEPS), ids[:, k]
        ]
        for k in range(VOICES)
    ]
    return jnp.sum(jnp.stack(counts))


@given(SCORES)
@settings(max_examples=60, deadline=None)
def test_violations_of_events_sum_to_those_of_the_score(pitches):
    pitches = np.array(pitches)
    is_held = np.diff(pitches, axis=0, prepend=0) == 0
    ids = np.vectorize(
        lambda pitch, held: (
            events.sustained_id(pitch) if held else events.note_id(pitch)
        )
    )(pitches, is_held)
    counts = voice_leading_violations(
        events.sounding_pitches(ids), events.onset_mask(ids)
    )
    # Padded to one shape, so that all scores share a compiled function.
    padded = np.pad(ids, ((0, STEPS - len(ids)), (0, 0)))
    assert num_violations(padded) == sum(counts.values())


def test_violations_of_known_events():
    def violations(before: list[str], above: list[str], event: str) -> float:
        ids = [[events.SYMBOLS.index(s) for s in row] for row in (before, above)]
        before_ids, above_ids = (jnp.array([row], jnp.int32) for row in ids)
        row = CONSTRAINTS.violations(before_ids[:, None], above_ids)[0]
        return float(row[events.SYMBOLS.index(event)])

    assert violations(["G4", "C4"], ["A4"], "D4") == 1  # parallel fifths
    assert violations(["G4", "C4"], ["G4"], "D4") == 0  # oblique motion
    assert violations(["G4", "C4"], ["F4"], "D4") == 0  # contrary motion
    assert violations(["C5", "C4"], ["D5"], "D4^") == 1  # parallel octaves
    assert violations(["C5", "C4"], ["D5"], "r") == 0  # silence
    assert violations(["G4", "C4"], ["A4"], "B4") == 1  # a crossing starts
    assert violations(["G4", "A4"], ["A4"], "B4") == 0  # a crossing continues
    assert violations(["C5", "G4", "C4"], ["D5", "A4"], "D4") == 2  # with both voices
