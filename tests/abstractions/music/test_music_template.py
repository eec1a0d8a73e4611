import numpy as np
import pytest

from regen_jax.abstractions.music.music_template import MusicTemplate
from regen_jax.errors import UserError
from regen_jax.modalities.music import events
from regen_jax.modalities.music.keys import KEYS
from regen_jax.spaces import Tokens

SCORES = events.space(32, 4)
# A phrase that ends in the middle of a beat.
PHRASE = """
B4 B4- B4- A4  G4 G4- G4- G4- B4 B4- C5 C5- A4  A4-  G4^ G4- G4-
G4 G4- G4- F#4 G4 G4- G4- G4- G4 G4- E4 E4- D4  C4   B3  B3- B3-
D4 D4- D4  D4- D4 D4- D4- D4- D4 D4- G3 G3- F#3 F#3- G3  G3- G3-
G3 G3- D3  D3- G2 G2- G2- G2- G3 G3- C3 C3- D3  D3-  G2  G2- G2-
"""
LEAD_SHEET = """\
beat  key  chord  rhythm  cadence    melody1  melody2
1     G    G      x-      .          B4       B4-
2     G    D      xx      .          B4-      A4
3     G    G      x-      .          G4       G4-
4     G    G      --      .          G4-      G4-
5     G    G      x-      .          B4       B4-
6     G    C      x-      .          C5       C5-
7     G    D7     xx      .          A4       A4-
8     G    G      x-      authentic  G4^      G4-
9     G    G      -r      .          G4-      r
"""


def score(text, steps=32):
    lines = [line.split() for line in text.strip().splitlines()]
    ids = np.array([[events.SYMBOLS.index(s) for s in line] for line in lines]).T
    return np.concatenate([ids, np.zeros((steps - len(ids), ids.shape[1]), int)])


def random_scores(number, seed=0, space=SCORES):
    """Scores that end anywhere, without a tie between keys."""
    rng = np.random.default_rng(seed)
    drawn = rng.random((number, space.length, space.depth))
    notes = rng.choice([48, 50, 52, 53, 55, 57, 59, 60, 61, 66, 67, 69], drawn.shape)
    # Half of the steps say that a note goes on: some, as a model may, of one that does
    # not sound.
    again = (drawn < 0.5) & (rng.random(drawn.shape) < 0.9)
    steps = np.arange(space.length)[:, None]
    last = np.maximum.accumulate(np.where(again, 0, steps), axis=1)
    notes = np.take_along_axis(notes, last, axis=1)
    ids = notes + events.note_id(48) - 48
    ids += 49 * (rng.random(drawn.shape) < 0.2)
    ids = np.where(drawn < 0.6, events.REST, ids)
    ids = np.where(drawn < 0.5, notes + events.sustained_id(48) - 48, ids)
    ends = rng.integers(1, space.length + 1, number)
    return np.where(np.arange(space.length)[:, None] < ends[:, None, None], ids, 0)


def templates(template, scores):
    return np.stack([template.extract(ids, {}) for ids in scores])


def column(template, y_prime, name):
    lines = [line.split() for line in template.to_text(y_prime).splitlines()]
    index = lines[0].index(name)
    return [line[index] for line in lines[1:]]


def test_phrase_with_melody_is_a_lead_sheet():
    template = MusicTemplate(SCORES, melody=True)
    assert template.human_editable and template.runs_on_host and not template.invertible
    y_prime = template.extract(score(PHRASE), {})
    assert template.to_text(y_prime) == LEAD_SHEET
    np.testing.assert_array_equal(template.from_text(LEAD_SHEET), y_prime)


def test_levels_are_those_of_the_option():
    full = LEAD_SHEET.splitlines()
    template = MusicTemplate(SCORES, levels=("cadence", "chord"))
    assert template.levels == ("chord", "cadence")
    written = template.to_text(template.extract(score(PHRASE), {})).splitlines()
    assert [line.split() for line in written] == [
        [line.split()[i] for i in (0, 2, 4)] for line in full
    ]
    melody = MusicTemplate(SCORES, levels=(), melody=True)
    assert melody.output_space.shape == (16, 2)


def test_rhythm_without_melody_is_that_of_the_first_voice():
    y_prime = MusicTemplate(SCORES).extract(score(PHRASE), {})
    expected = ["x-", "-x", "x-", "--", "x-", "x-", "x-", "x-", "-r"]
    assert column(MusicTemplate(SCORES), y_prime, "rhythm") == expected


@pytest.mark.parametrize("levels", [("key",), ("chord", "rhythm")])
def test_score_of_one_voice_has_a_template(levels):
    space = events.space(32)
    template = MusicTemplate(space, levels=levels)
    assert template.output_space.shape == (16, 2)[: len(levels)]
    scores = random_scores(3, space=space)[..., 0]
    y_primes = templates(template, scores)
    assert y_primes.shape == (3, *template.output_space.shape)
    for y_prime in y_primes:
        np.testing.assert_array_equal(
            template.from_text(template.to_text(y_prime)), y_prime
        )
    assert set(template.consistency_metrics({}, scores, y_primes)) >= set(levels)


@pytest.mark.parametrize("division", [1, 2, 4])
@pytest.mark.parametrize("melody", [False, True])
def test_ids_of_levels_are_disjoint_and_not_padding(division, melody):
    template = MusicTemplate(SCORES, melody=melody, division=division)
    space = template.output_space
    scores = random_scores(20)
    y_primes = templates(template, scores)
    assert y_primes.shape == (20, *space.shape) and y_primes.dtype == np.int32
    beats = -(-(scores[:, :, 0] != 0).sum(axis=1) // division)
    live = np.arange(space.length) < beats[:, None]
    assert (y_primes[live] > 0).all() and (y_primes[~live] == 0).all()
    assert y_primes.max() < space.vocab == len(space.symbols)
    live_levels = y_primes[live].T
    ranges = [
        set(level.tolist()) for level in (*live_levels[:4], live_levels[4:].ravel())
    ]
    assert sum(map(len, ranges)) == len(set.union(*ranges))
    for y_prime in y_primes:
        np.testing.assert_array_equal(
            template.from_text(template.to_text(y_prime)), y_prime
        )


def test_template_of_an_empty_score_is_empty():
    empty = np.zeros((32, 4), int)
    assert not MusicTemplate(SCORES).extract(empty, {}).any()


def test_melody_is_the_first_voice():
    template = MusicTemplate(SCORES, levels=("chord",), melody=True)
    (ids,) = random_scores(1, seed=3)
    symbols = np.array(template.output_space.symbols)[template.extract(ids, {})]
    length = int((ids[:, 0] != 0).sum())
    melody = symbols[:, 1:].reshape(-1)
    assert melody[:length].tolist() == [events.SYMBOLS[i] for i in ids[:length, 0]]


@pytest.mark.parametrize("semitones", [-5, 1, 6])
def test_transposed_score_has_a_transposed_template(semitones):
    template = MusicTemplate(SCORES)
    for ids in random_scores(10):
        before = template.extract(ids, {})
        after = template.extract(events.transpose(ids, semitones), {})
        for name in ("rhythm", "cadence"):
            assert column(template, before, name) == column(template, after, name)
        np.testing.assert_array_equal(
            template.chord_tones(after),
            np.roll(template.chord_tones(before), semitones, axis=-1),
        )
        keys = [KEYS.index(column(template, y, "key")[0]) for y in (before, after)]
        assert keys[1] == keys[0] // 12 * 12 + (keys[0] + semitones) % 12
        assert template.chord_tones(before).any()


@pytest.mark.parametrize("melody", [False, True])
def test_exchanged_voices_and_octaves_change_nothing(melody):
    template = MusicTemplate(SCORES, melody=melody)
    ids = score(PHRASE)
    expected = template.extract(ids, {})
    np.testing.assert_array_equal(
        template.extract(ids, {"key": "C", "lyrics": "a"}), expected
    )
    np.testing.assert_array_equal(template.extract(ids[:, [0, 2, 3, 1]], {}), expected)
    inner = ids.copy()
    inner[:, 1] = events.transpose(ids[:, 1], 12)
    np.testing.assert_array_equal(template.extract(inner, {}), expected)
    other = ids.copy()
    other[0, 1] = events.note_id(66)
    if not melody:
        # Lower voices may move as they will.
        np.testing.assert_array_equal(
            template.extract(np.where(other == 0, 0, other), {})[:, 2:],
            expected[:, 2:],
        )


def test_consistency_compares_templates_of_scores():
    template = MusicTemplate(SCORES, melody=True)
    scores = np.stack([score(PHRASE), score(PHRASE)])
    y_primes = templates(template, scores)
    full = template.consistency_metrics({}, scores, y_primes)
    assert 0.9 < full.pop("in_chord") < 1
    assert full == dict.fromkeys(("key", "chord", "rhythm", "cadence", "melody"), 1)
    edited = LEAD_SHEET.replace("6     G    C  ", "6     G    Em ")
    edited = edited.replace("C5       C5-", "C5       B4").replace(
        "authentic", "other    "
    )
    changed = np.stack([y_primes[0], template.from_text(edited)])
    shares = template.consistency_metrics({}, scores, changed)
    assert 0.9 < shares.pop("in_chord") < 1
    assert shares == {
        "key": 1,
        "chord": 17 / 18,
        "rhythm": 1,
        "cadence": 1 / 2,
        "melody": 35 / 36,
    }


def test_in_chord_is_of_the_chords_of_the_template():
    template = MusicTemplate(events.space(4, 2), levels=("chord",))
    ids = score("C4 C4- D4 D4-\nE3 E3- G3 G3-", steps=4)
    asked = template.from_text("beat chord\n1 C\n2 C\n")
    assert template.consistency_metrics({}, ids[None], asked[None])["in_chord"] == 6 / 8
    silent = template.from_text("beat chord\n1 N\n2 C\n")
    assert (
        template.consistency_metrics({}, ids[None], silent[None])["in_chord"] == 2 / 4
    )
    shorter = template.from_text("beat chord\n1 C\n")
    assert template.consistency_metrics({}, ids[None], shorter[None])["in_chord"] == 1


def test_code_metrics_count_missing_beats_as_wrong():
    template = MusicTemplate(SCORES)
    text = "beat key chord rhythm cadence\n1 G G x- .\n2 G D x- .\n"
    longer = template.from_text(text + "3 G G xx authentic\n4 e C x- .\n")[None]
    shorter = template.from_text(text)[None]
    assert template.code_metrics(longer, shorter) == {
        "key": 1 / 2,
        "chord": 1 / 2,
        "rhythm": 1 / 2,
        "cadence": 0,
    }
    assert template.code_metrics(shorter, shorter) == dict.fromkeys(template.levels, 1)
    # What a prior puts after the end means nothing.
    ragged = shorter.copy()
    ragged[0, 3:] = longer[0, 3]
    assert template.code_metrics(ragged, shorter) == dict.fromkeys(template.levels, 1)
    np.testing.assert_array_equal(
        template.chord_tones(ragged), template.chord_tones(shorter)
    )


def test_ids_of_other_levels_are_written_with_a_question_mark():
    template = MusicTemplate(SCORES, levels=("chord", "rhythm"))
    y_prime = template.from_text("beat chord rhythm\n1 C x-\n2 G x-\n")
    y_prime[1] = y_prime[1, ::-1]
    written = template.to_text(y_prime)
    ids = [f"?{i}" for i in y_prime[1]]
    assert written.splitlines()[2].split() == ["2", *ids]
    np.testing.assert_array_equal(template.from_text(written), y_prime)
    with pytest.raises(UserError, match=r"line 3, beat 2: unknown chord '\?'"):
        template.from_text(written.replace(ids[0], "?"))
    with pytest.raises(UserError, match=r"there is no id \?999: the last is"):
        template.from_text(written.replace(ids[0], "?999"))
    assert not template.chord_tones(y_prime)[1].any()


def test_from_text_ignores_empty_lines_and_beat_numbers():
    template = MusicTemplate(SCORES, levels=("chord", "rhythm"))
    expected = template.from_text("beat chord rhythm\n1 C x-\n2 G x-\n")
    loose = "\n  beat chord   rhythm\r\n1 C x-\r\n\r\n7 G x-"
    np.testing.assert_array_equal(template.from_text(loose), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the header must be 'beat chord rhythm', not ''"),
        ("\nbeat chord\n1 C", "line 2: the header must be .*, not 'beat chord'"),
        ("beat chord rhythm\n", "line 1: no beat follows the header"),
        (
            "beat chord rhythm\n1 C",
            "line 2: 2 columns where 3 are needed: beat chord rhythm",
        ),
        ("beat chord rhythm\n\n1 C x- .", "line 3: 4 columns where 3 are needed"),
        (
            "beat chord rhythm\nC x- .",
            "line 2: 'C' where the number of a beat should be",
        ),
        (
            "beat chord rhythm\n1 C x-\n2 H7 x-",
            "line 3, beat 2: unknown chord 'H7': it must be C C# D … A# B and nothing",
        ),
        ("beat chord rhythm\n1 Bb x-", "line 2, beat 1: unknown chord 'Bb'"),
        (
            "beat chord rhythm\n1 C r-",
            r"unknown rhythm 'r-': it must be 2 of x \(a note begins\), - \(it goes on\)",
        ),
        (
            "beat chord rhythm\n" + "1 C x-\n" * 17,
            "line 18: beat 17 is one too many: at most 16 fit",
        ),
    ],
)
def test_from_text_of_invalid_text_raises_user_error(text, message):
    template = MusicTemplate(SCORES, levels=("chord", "rhythm"))
    with pytest.raises(UserError, match=message) as caught:
        template.from_text(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (Tokens(32, 9, padded=True), {}, "is one of scores, not of Tokens"),
        (
            SCORES,
            {"levels": ("tempo",)},
            r"levels\[0\] must be 'key', 'chord', 'rhythm' or 'cadence', not 'tempo'",
        ),
        (SCORES, {"levels": ()}, "levels must be one or more of key, chord"),
        (SCORES, {"division": 0}, r"division must be in \[1, 6\], not 0"),
        (SCORES, {"division": 3}, "division 3 must divide the 32 steps of a score"),
        (
            events.space(32),
            {"melody": True},
            "melody needs scores of two voices or more",
        ),
    ],
)
def test_invalid_option_raises_value_error(space, options, message):
    with pytest.raises(ValueError, match=message):
        MusicTemplate(space, **options)


def test_consistency_is_in_the_key_of_the_template():
    template = MusicTemplate(SCORES, melody=True)
    ids = score(PHRASE)
    y_prime = template.extract(ids, {})
    first = template._first_ids[0]
    asked = y_prime.copy()
    asked[: len(LEAD_SHEET.splitlines()) - 1, 0] = first + KEYS.index("C")
    shares = template.consistency_metrics({}, ids[None], asked[None])
    assert shares["key"] == 0
    # G is not the tonic of C: its cadence is a half one there.
    assert shares["cadence"] == 0
