import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.music.music_template import MusicTemplate
from regen_jax.data.readers.scores import load_scores
from regen_jax.modalities.music import events
from regen_jax.modalities.music.score import to_events

TEMPLATE = MusicTemplate(events.space(8, 4), melody=True)
SPACE = TEMPLATE.output_space


def violations(rows: np.ndarray, template: MusicTemplate) -> np.ndarray:
    """Counts the violations of each id of a template, [beats, levels]."""
    constraints, length = template.output_space.constraints, len(rows)
    # Padded to one shape, so that each operation is compiled once.
    rows = np.pad(rows, ((0, max(0, 24 - length)), (0, 0)))
    padded = np.pad(rows, ((constraints.context, 0), (0, 0)))
    before = np.stack([padded[i : i + constraints.context] for i in range(len(rows))])
    levels = [
        np.take_along_axis(
            np.asarray(
                constraints.violations(
                    jnp.array(before[..., : k + 1]), jnp.array(rows[:, :k])
                )
            ),
            rows[:, k : k + 1],
            axis=1,
        )
        for k in range(rows.shape[1])
    ]
    return np.concatenate(levels, axis=1)[:length]


@pytest.mark.parametrize("voices", [4, 1])
def test_templates_of_chorales_have_no_violations(music_dir, voices):
    steps = 256
    template = MusicTemplate(events.space(steps, voices), melody=voices > 1)
    pieces = [piece.score for piece in load_scores("chorales", "test", music_dir)]
    scores = [piece.coarsen(2) for piece in pieces if piece.length <= 4 * steps // 2]
    cadences = 0
    for score in scores:
        ids = to_events(score, steps).reshape(steps, -1)[:, :voices]
        rows = template.extract(ids.reshape(template.input_space.shape), {})
        assert violations(rows.reshape(len(rows), -1), template).sum() == 0
        cadences += template.to_text(rows).count("authentic")
    assert cadences


def beat(key: str, chord: str, cadence: str) -> list[int]:
    columns = (key, chord, "x-", cadence, "C4", "C4-")
    starts = [*TEMPLATE._first_ids.tolist()]
    return [
        SPACE.symbols.index(symbol, start)
        for symbol, start in zip(columns, starts, strict=True)
    ]


@pytest.mark.parametrize(
    "chords, possible",
    [
        ("D7 G", ["authentic"]),
        ("D7 G G", ["authentic"]),
        ("D7 G N G", ["authentic"]),
        ("F#o G", ["authentic"]),
        ("D7 C G", ["other"]),
        ("G G", ["other"]),
        ("G", ["other"]),
        ("G D", ["half"]),
        ("G D7", ["half"]),
        ("G C", ["other"]),
        ("D7 N", ["other"]),
        # The previous chord is beyond the context.
        ("D7" + 17 * " G", ["authentic", "other"]),
        ("D7" + 16 * " G", ["authentic"]),
    ],
)
def test_cadence_that_contradicts_the_chords_is_a_violation(chords, possible):
    for cadence in ("authentic", "half", "other"):
        *before, last = chords.split()
        rows = [beat("G", chord, ".") for chord in before]
        counts = violations(np.array([*rows, beat("G", last, cadence)]), TEMPLATE)
        assert counts[-1, 3] == (cadence not in possible)
        assert counts.sum() == counts[-1, 3]


def test_change_of_key_is_a_violation():
    rows = np.array([beat("G", "G", "."), beat("C", "G", ".")])
    assert violations(rows, TEMPLATE).tolist() == [[0] * 6, [1, 0, 0, 0, 0, 0]]
    ended = np.array([beat("G", "G", "."), [0] * 6])
    assert violations(ended, TEMPLATE).sum() == 0
