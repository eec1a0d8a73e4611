import struct

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regen_jax.errors import UserError
from regen_jax.modalities.music import midi, midi_file

END = b"\x00\xff\x2f\x00"


def variable(number: int) -> bytes:
    groups = [number & 127]
    while number := number >> 7:
        groups.insert(0, number & 127 | 128)
    return bytes(groups)


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack(">I", len(body) if size is None else size) + body


def track(*events: tuple[int, bytes], end: bytes = END, size=None) -> bytes:
    body = b"".join(variable(delta) + data for delta, data in events) + end
    return chunk(b"MTrk", body, size)


def header(count: int = 1, kind: int = 1, division: int = 480) -> bytes:
    return chunk(b"MThd", struct.pack(">HHH", kind, count, division))


def on(pitch: int, velocity: int = 80, channel: int = 0) -> bytes:
    return bytes([0x90 | channel, pitch, velocity])


def off(pitch: int, channel: int = 0) -> bytes:
    return bytes([0x80 | channel, pitch, 64])


def meta(kind: int, data: bytes) -> bytes:
    return bytes([0xFF, kind]) + variable(len(data)) + data


TUNE = ((0, on(60)), (480, off(60)), (0, on(62)), (960, off(62)))
FIRST, SECOND = (0, 2, 60), (2, 4, 62)
PLAIN = header() + track(*TUNE)


@pytest.fixture
def read(tmp_path):
    """Returns a function from bytes to (start, duration, pitch) of the notes."""

    def read(content: bytes, division: int = 2) -> list[tuple[int, int, int]]:
        (tmp_path / "some.mid").write_bytes(content)
        (voice,) = midi.read(tmp_path / "some.mid", division, voices=1).voices
        return [(note.start, note.duration, note.pitch) for note in voice]

    return read


def riff(content: bytes, *before: bytes, size: int | None = None) -> bytes:
    body = b"RMID" + b"".join(before)
    body += b"data" + struct.pack("<I", len(content) if size is None else size)
    body += content
    body += b"LIST" + struct.pack("<I", 4) + b"INFO"
    return b"RIFF" + struct.pack("<I", len(body)) + body


TWO = header(2) + track((0, meta(0x03, b"piano"))) + track(*TUNE)
UNUSUAL = {
    "riff": riff(PLAIN),
    "riff with a chunk before": riff(PLAIN, b"DISP" + struct.pack("<I", 3) + b"abc\0"),
    "riff without a length": riff(PLAIN, size=0),
    "bytes before": bytes(128) + PLAIN,
    "long header": chunk(b"MThd", struct.pack(">HHHH", 1, 1, 480, 7)) + track(*TUNE),
    "unknown chunk before": header() + chunk(b"XFIH", b"MTrk") + track(*TUNE),
    "unknown chunk between": TWO.replace(b"MTrk", b"XFKM\0\0\0\0MTrk"),
    "unknown chunk after": PLAIN + chunk(b"CASM", bytes(9)),
    "bytes after": PLAIN + b"\0\0\0",
    "part of a track after": PLAIN + b"MTrk\0\0\0\x09\0\x90",
    "text after": PLAIN + b"written by a program of 1994",
    "another file after": PLAIN + header() + track((0, on(64)), (480, off(64))),
    "padding between": header(2) + track((0, meta(3, b"a"))) + b"\0" + track(*TUNE),
    "more tracks than declared": header(1) + TWO[14:],
    "no end of track": header() + track(*TUNE, end=b""),
    "no end of track, and bytes after": header()
    + track(*TUNE, end=b"")
    + b"\0\x3c\x50",
    "length 0": header() + track(*TUNE, size=0),
    "length too short": header(2) + track((0, meta(3, b"name")), size=3) + track(*TUNE),
    "length too long": header(2)
    + track((0, meta(3, b"name")), size=999)
    + track(*TUNE, size=2**32 - 1),
    "type 2 of one track": header(kind=2) + track(*TUNE),
    "type 0": header(kind=0) + track(*TUNE),
    "events after the end": header() + track(*TUNE, end=END + b"\0" + on(90)),
    "running status": header()
    + track((0, on(60)), (480, b"\x3c\0"), (0, b"\x3e\x50"), (960, b"\x3e\0")),
    "running status over meta and system events": header()
    + track(
        *((0, on(60)), (0, meta(1, b"text")), (480, b"\x3c\0")),
        *((0, b"\xf0\x03\x7e\x7f\xf7"), (0, b"\x3e\x50"), (960, b"\x3e\0")),
    ),
    "split system exclusive": header()
    + track((0, b"\xf0\x02\x43\x12"), (0, b"\xf7\x02\x43\xf7"), *TUNE),
    "system messages": header()
    + track((0, b"\xf8"), (0, b"\xf2\x01\x02"), (0, b"\xf1\x01"), (0, b"\xfe"), *TUNE),
    "controller above 127": header() + track((0, b"\xb0\x07\xff"), *TUNE),
    "velocity above 127": header() + track((0, on(60, 200)), *TUNE[1:]),
    "other channel messages": header()
    + track((0, b"\xc0\x05"), (0, b"\xe0\x00\x40"), (0, b"\xd0\x11"), *TUNE),
    "empty key": header() + track((0, meta(0x59, b"")), *TUNE),
    "key of 9 flats": header() + track((0, meta(0x59, b"\xf7\0")), *TUNE),
    "key of no mode": header() + track((0, meta(0x59, b"\0\x07")), *TUNE),
    "empty meter": header() + track((0, meta(0x58, b"")), *TUNE),
    "meter of two bytes": header() + track((0, meta(0x58, b"\4\2")), *TUNE),
    "empty tempo, number and offset": header()
    + track((0, meta(0x51, b"")), (0, meta(0, b"\1")), (0, meta(0x54, b"\xff")), *TUNE),
    "unknown meta event": header() + track((0, meta(0x77, b"\xff\xff")), *TUNE),
    "tempo changes": header()
    + track((0, meta(0x51, b"\7\xa1\x20")), (100, meta(0x51, b"\1\0\0")))
    + track(*TUNE),
    "drums in another track": header(2)
    + track((0, on(36, 80, 9)), (9, off(36, 9)))
    + track(*TUNE),
    "latin text": header() + track((0, meta(5, b"\xfcber")), *TUNE),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_file_is_read(read, name):
    assert read(UNUSUAL[name]) == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"RIFF....WAVE", "is not a MIDI file: it has no header 'MThd'"),
        (riff(b""), "is not a MIDI file: it has no header"),
        (PLAIN[:12], "is cut off in its header"),
        (header(), "is cut off: 0 of its 1 tracks are there"),
        (header(0), "has no notes"),
        (header() + b"MTrk\0", "is cut off in track 1"),
        (PLAIN[:-6], "is cut off in track 1: get it again"),
        (PLAIN[:-4], "is cut off in track 1"),
        (TWO[:-9], "is cut off in track 2"),
        (header(3) + TWO[14:], "is cut off: 2 of its 3 tracks are there"),
        (header(kind=2, count=2) + TWO[14:], "is of type 2, of 2 separate pieces"),
        (header(kind=3) + track(*TUNE), "is of type 3: type 0 or 1 is needed"),
        (header(division=0) + track(*TUNE), "has 0 ticks per quarter note"),
        (header(division=0xE728) + track(*TUNE), "is timed in SMPTE frames"),
        (header() + track((0, b"\x3c\x50")), "is damaged in track 1, at byte 24"),
        (header() + chunk(b"MTrk", b"\xff" * 9), "is damaged in track 1"),
        (
            header() + track((0, on(60, 80, 9))),
            "on channel 10 alone, which plays drums",
        ),
        (header() + track((0, b"\xb0\x07\x40")), "has no notes"),
        (header() + track((0, on(60, 0))), "has no notes"),
        (header() + track((0, on(200))), "bar 1, beat 1: G9 is out of range"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_file_that_would_lose_notes_raises_user_error(read, content, words):
    with pytest.raises(UserError) as caught:
        read(content)
    message = str(caught.value)
    assert message.startswith("MIDI file '") and words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        # The first of two overlapping notes ends first; none outlasts the next onset.
        ([(0, on(60)), (480, on(60)), (0, off(60)), (480, off(60))], [(0, 4), (4, 4)]),
        (
            [(0, on(60)), (480, on(60)), (240, off(60)), (240, off(60))],
            [(0, 4), (4, 4)],
        ),
        (
            [(0, on(60)), (240, on(60)), (240, on(60)), *[(240, off(60))] * 3],
            [(0, 2), (2, 2), (4, 6)],
        ),
        # Simultaneous onsets with one or two ends: one note.
        ([(0, on(60)), (0, on(60)), (480, off(60))], [(0, 4)]),
        ([(0, on(60)), (0, on(60)), (480, off(60)), (480, off(60))], [(0, 8)]),
        # Without an end: until the last end, the next onset, or the end of the track.
        ([(0, on(60)), (480, on(60)), (480, off(60))], [(0, 4), (4, 4)]),
        ([(0, on(60)), (480, on(60)), (480, meta(1, b""))], [(0, 4), (4, 4)]),
        (
            [(0, on(60)), (480, off(60)), (0, on(60)), (960, meta(1, b""))],
            [(0, 4), (4, 8)],
        ),
        # An end without a note does not end the next note.
        ([(0, off(60)), (480, on(60)), (480, off(60))], [(4, 4)]),
        ([(0, off(60)), (0, on(60)), (480, on(60, 0)), (9, off(60))], [(0, 4)]),
        # Controllers that silence a channel end its notes only.
        ([(0, on(60)), (480, b"\xb0\x7b\0"), (960, off(60))], [(0, 4)]),
        (
            [(0, on(60)), (480, b"\xb0\x78\0"), (0, on(60)), (480, off(60))],
            [(0, 4), (4, 4)],
        ),
        ([(0, on(60)), (240, b"\xb1\x7b\0"), (240, off(60))], [(0, 4)]),
        # Without duration.
        ([(480, on(60)), (0, off(60))], [(4, 1)]),
    ],
)
def test_notes_of_a_pitch_end_in_order(read, events, expected):
    notes = read(header() + track(*events), division=4)
    assert notes == [(*times, 60) for times in expected]


def test_pitch_of_another_channel_or_track_is_another_note(tmp_path):
    path = tmp_path / "some.mid"
    events = [(0, on(60)), (0, on(60, 80, 1)), (480, off(60, 1)), (480, off(60))]
    path.write_bytes(header(kind=0) + track(*events))
    spans = [[(n.start, n.end) for n in voice] for voice in midi.read(path, 1).voices]
    assert spans == [[(0, 2)], [(0, 1)]]
    tracks = [track((0, on(60)), (size, off(60))) for size in (960, 480)]
    path.write_bytes(header(2) + b"".join(tracks))
    spans = [[(n.start, n.end) for n in voice] for voice in midi.read(path, 1).voices]
    assert spans == [[(0, 2)], [(0, 1)]]


def test_one_tick_per_quarter_note_and_longest_delta_are_read(read):
    events = [(0, on(60)), (1, off(60)), (2**28 - 1, on(62)), (1, off(62))]
    notes = read(header(division=1) + track(*events), division=4)
    assert notes == [(0, 4, 60), (4 * 2**28, 4, 62)]


def test_key_is_the_first_valid_one(tmp_path):
    keys = [meta(0x59, data) for data in (b"\x09\0", b"", b"\xfd\x01", b"\0\0")]
    path = tmp_path / "some.mid"
    path.write_bytes(header() + track(*[(0, key) for key in keys], *TUNE))
    assert midi.read(path, 2).key == "c"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            *(st.integers(0, 3), st.integers(1, 5), st.integers(36, 84)),
            st.sampled_from([off, lambda pitch: on(pitch, 0), lambda pitch: b""]),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([24, 96, 480]),
    st.binary(max_size=4),
)
def test_read_notes_equal_encoded_notes(tmp_path_factory, notes, ticks, trailing):
    """Notes are gap and duration in eighths, pitch, and end; b"" is running status."""
    step, events, expected, now = ticks // 2, [], [], 0
    for gap, duration, pitch, end in notes:
        ending = end(pitch) or bytes([pitch, 0])
        events += [(gap * step, on(pitch)), (duration * step, ending)]
        expected.append((now + gap, duration, pitch))
        now += gap + duration
    path = tmp_path_factory.getbasetemp() / "encoded.mid"
    path.write_bytes(header(division=ticks) + track(*events) + trailing)
    (voice,) = midi.read(path, 2).voices
    assert [(note.start, note.duration, note.pitch) for note in voice] == expected


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.one_of(
                st.tuples(st.just("note_on"), st.integers(0, 127), st.integers(0, 127)),
                st.tuples(
                    st.just("note_off"), st.integers(0, 127), st.integers(0, 127)
                ),
                st.tuples(st.just("control_change"), *[st.integers(0, 127)] * 2),
            ),
            st.integers(0, 15),
        ),
        max_size=30,
    )
)
def test_events_equal_those_written_by_mido(tmp_path_factory, events):
    names = {"note_on": ("note", "velocity"), "note_off": ("note", "velocity")}
    messages = []
    for delta, (kind, *values), channel in events:
        fields = zip(names.get(kind, ("control", "value")), values, strict=True)
        messages.append(mido.Message(kind, channel=channel, time=delta, **dict(fields)))
    file = mido.MidiFile(tracks=[mido.MidiTrack(messages)])
    path = tmp_path_factory.getbasetemp() / "mido.mid"
    file.save(path)
    (parsed,) = midi_file.parse(path.read_bytes()).tracks
    tick, expected = 0, []
    for message in messages:
        tick += message.time
        if message.type != "control_change":
            data = bytes([message.note, message.velocity])
            expected.append((tick, message.type, message.channel, data))
        elif message.control in (120, 123, 124, 125, 126, 127):
            data = bytes([message.control, message.value])
            expected.append((tick, "notes_off", message.channel, data))
    assert list(parsed.events) == expected and parsed.end == tick


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([*UNUSUAL.values(), TWO]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 400),
    st.binary(max_size=20),
)
def test_damaged_file_is_read_or_raises_user_error(
    tmp_path_factory, content, changes, position, new
):
    damaged = bytearray(content)
    for index, value in changes:
        damaged[index % len(damaged)] = value
    start = position % len(damaged)
    damaged[start:] = new + damaged[start:][len(changes) :]
    path = tmp_path_factory.getbasetemp() / "damaged.mid"
    path.write_bytes(damaged)
    try:
        assert midi.read(path, 2).length
    except UserError as error:
        assert "\n" not in str(error)
