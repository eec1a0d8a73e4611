"""Lenient parsing of Standard MIDI Files.

mido, which writes the files of `midi`, raises on files that players accept: RIFF
wrappers, unknown chunks, wrong lengths, invalid key signatures and data bytes above 127.
Here errors that do not affect notes are ignored, and those that would lose notes raise.
The format is that of "Standard MIDI Files 1.0" (MIDI Manufacturers Association, RP-001).
"""

import struct
from typing import NamedTuple

_HEADER, _TRACK = b"MThd", b"MTrk"
_HEADER_SEARCH_SIZE = 4096
"""Bytes in which the header is searched, as unknown wrappers may precede it."""
_META, _END_OF_TRACK = 0xFF, 0x2F
_SYSTEM_EXCLUSIVE = (0xF0, 0xF7)
_SYSTEM_DATA = {0xF1: 1, 0xF2: 2, 0xF3: 1}
_KINDS = {0x80: "note_off", 0x90: "note_on"}
_CONTROL = 0xB0
_SILENCING = (120, *range(123, 128))
"""Controllers that end all notes of a channel: all sound off, all notes off, modes."""
_META_KINDS = {
    0x05: "lyric",
    0x06: "marker",
    0x58: "time_signature",
    0x59: "key_signature",
}


class Event(NamedTuple):
    """A message of a track.

    Attributes:
      tick: ticks from the start of the track.
      kind: `note_on`, `note_off`, `notes_off` (of all pitches of the channel), `lyric`,
        `marker`, `time_signature`, `key_signature`.
      channel: 0 to 15; 0 where the message has none.
      data: pitch and velocity of a note; the bytes in the file for others.
    """

    tick: int
    kind: str
    channel: int
    data: bytes


class Track(NamedTuple):
    """Ordered events, and the tick at which the track ends."""

    events: tuple[Event, ...]
    end: int


class MidiFile(NamedTuple):
    """Ticks per quarter note, and simultaneous tracks."""

    ticks: int
    tracks: tuple[Track, ...]


def parse(content: bytes) -> MidiFile:
    """Parses a file of type 0 or 1, or of type 2 with a single track.

    The length of a chunk is used if it leads to a chunk or to the end of the file;
    otherwise the end-of-track event ends a track. Data bytes above 127 are clipped to
    127. System and meta events keep the running status.

    Raises:
      ValueError: the file is not MIDI, truncated, damaged, of another type or not timed
        in beats. The message continues "MIDI file 'x.mid' …".
    """
    content = _unwrap_riff(content)
    start = content.find(_HEADER, 0, _HEADER_SEARCH_SIZE)
    if start < 0:
        raise ValueError(
            "is not a MIDI file: it has no header 'MThd'" if content else "is empty"
        )
    if len(content) < start + 14:
        raise ValueError("is cut off in its header: get it again")
    length, kind, count, division = struct.unpack_from(">IHHH", content, start + 4)
    if division >= 0x8000:
        raise ValueError(
            "is timed in SMPTE frames and has no beats: save it with ticks per quarter "
            "note"
        )
    if division == 0:
        raise ValueError("has 0 ticks per quarter note: save it with at least 1")
    if kind > 2:
        raise ValueError(f"is of type {kind}: type 0 or 1 is needed")
    first = start + 8 + length
    position = first if 6 <= length <= len(content) else start + 14
    tracks = _tracks(content, position, count)
    if len(tracks) < count:
        raise ValueError(
            f"is cut off: {len(tracks)} of its {count} tracks are there: get it again"
        )
    if kind == 2 and len(tracks) > 1:
        raise ValueError(
            f"is of type 2, of {len(tracks)} separate pieces: save one of them as type 0 "
            "or 1"
        )
    return MidiFile(division, tuple(tracks))


class _TruncatedError(Exception):
    """The bytes of a track end within an event."""


class _Reader:
    """Reads the bytes of a track up to a given end."""

    def __init__(self, content: bytes, position: int, end: int):
        self._content, self.position, self._end = content, position, end

    @property
    def more(self) -> bool:
        return self.position < self._end

    def take(self, number: int) -> bytes:
        first, self.position = self.position, self.position + number
        if self.position > self._end:
            raise _TruncatedError
        return self._content[first : self.position]

    def byte(self) -> int:
        return self.take(1)[0]

    def variable(self) -> int:
        """Reads a variable-length number: one to four bytes of seven bits."""
        value = 0
        for _ in range(4):
            byte = self.byte()
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise ValueError


def _unwrap_riff(content: bytes) -> bytes:
    """Returns the `data` chunk of a RIFF MIDI file, and other content unchanged."""
    if content[:4] != b"RIFF" or content[8:12] != b"RMID":
        return content
    position = 12
    while position + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, position)
        position += 8
        if name == b"data":
            return content[position : position + size] if size else content[position:]
        position += size + size % 2
    return content


def _tracks(content: bytes, position: int, count: int) -> list[Track]:
    """Parses all tracks from `position` on; those after `count` may be damaged."""
    tracks: list[Track] = []
    # A second header starts another piece.
    while content[position : position + 4] != _HEADER:
        if content[position : position + 4] == _TRACK:
            try:
                track, position = _track(content, position, len(tracks) + 1)
            except ValueError:
                if len(tracks) < count:
                    raise
                break
            tracks.append(track)
        elif _is_chunk(content, position):
            position += 8 + struct.unpack_from(">I", content, position + 4)[0]
        elif (position := content.find(_TRACK, position + 1)) < 0:
            break
    return tracks


def _is_chunk(content: bytes, position: int) -> bool:
    """Returns whether a chunk starts at `position`: a name, a length and its bytes."""
    if position + 8 > len(content):
        return False
    name, size = struct.unpack_from(">4sI", content, position)
    printable = all(0x20 <= byte < 0x7F for byte in name)
    return name == _TRACK or (printable and position + 8 + size <= len(content))


def _track(content: bytes, position: int, number: int) -> tuple[Track, int]:
    """Parses a track chunk at `position`; returns the position of the next chunk too."""
    if position + 8 > len(content):
        raise ValueError(f"is cut off in track {number}: get it again")
    limit = position + 8 + struct.unpack_from(">I", content, position + 4)[0]
    exact = limit == len(content) or _is_chunk(content, limit)
    # A length that leads nowhere is used only if no end of the track is found.
    ends = [limit] if exact else [len(content), limit]
    problem = ""
    for end in ends:
        reader = _Reader(content, position + 8, min(end, len(content)))
        try:
            track, ended = _events(reader)
        except _TruncatedError:
            problem = problem or f"is cut off in track {number}: get it again"
            continue
        except ValueError:
            problem = problem or (
                f"is damaged in track {number}, at byte {reader.position}: save it again"
            )
            continue
        if ended or reader.position == limit:
            following = content[reader.position : reader.position + 4] == _TRACK
            return track, limit if exact and not following else reader.position
        problem = problem or f"is cut off in track {number}: get it again"
    raise ValueError(problem)


def _events(reader: _Reader) -> tuple[Track, bool]:
    """Parses the events of a track; returns whether it has an end-of-track event too."""
    events: list[Event] = []
    tick, running = 0, 0
    while reader.more:
        tick += reader.variable()
        status = reader.byte()
        if status == _META:
            kind, data = reader.byte(), reader.take(reader.variable())
            if kind == _END_OF_TRACK:
                return Track(tuple(events), tick), True
            if kind in _META_KINDS:
                events.append(Event(tick, _META_KINDS[kind], 0, data))
        elif status in _SYSTEM_EXCLUSIVE:
            reader.take(reader.variable())
        elif status > 0xF0:
            reader.take(_SYSTEM_DATA.get(status, 0))
        else:
            first = b""
            if status < 0x80:
                first, status = bytes([status]), running
            if not status:
                raise ValueError
            running = status
            # Program change and channel pressure have one data byte, others two.
            number = 1 if status & 0xF0 in (0xC0, 0xD0) else 2
            data = first + reader.take(number - len(first))
            if kind := _KINDS.get(status & 0xF0):
                data = bytes(min(byte, 0x7F) for byte in data)
                events.append(Event(tick, kind, status & 0x0F, data))
            elif status & 0xF0 == _CONTROL and data[0] in _SILENCING:
                events.append(Event(tick, "notes_off", status & 0x0F, data))
    return Track(tuple(events), tick), False
