"""Headers of sound files: their declared length, and repairs of WAV files.

libsndfile reads a file that is shorter than its header declares as if it were complete,
and cannot read some WAV files that players can. The formats:

- WAV: RIFF chunks, https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html;
  RF64 and BW64 of 64 bits, https://www.itu.int/rec/R-REC-BS.2088.
- AIFF, AU, CAF and Wave64, as libsndfile has them.
- The Xing header of MPEG: http://gabriel.mp3-tech.org/mp3infotag.html.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_STREAMED = 0x7FFFF000
"""Programs that do not know the size in advance write at least this, or 0."""

_FIRST_FRAME = 256
"""Bytes in which the Xing header of an MPEG file begins."""

_NAMES = (b"data", b"fmt ", b"fact", b"LIST", b"PEAK", b"bext", b"JUNK")
"""Chunks that may follow one of an odd size whose padding was forgotten."""


class Header(NamedTuple):
    """What the header of a sound file says.

    Attributes:
      data: the file in a form that libsndfile reads.
      declared: bytes of sound according to the header; None if it does not say.
      present: bytes after the header, of sound and perhaps other chunks.
      rate: samples per second if known, as an unsigned number.
    """

    data: bytes
    declared: int | None = None
    present: int = 0
    rate: int | None = None


class _Chunk(NamedTuple):
    name: bytes
    body: int
    size: int


def parse(data: bytes) -> Header:
    """Parses the header of a file; returns `data` alone if its format is unknown."""
    magic = data[:4]
    if magic in (b"RIFF", b"RIFX", b"RF64", b"BW64") and data[8:12] == b"WAVE":
        return _parse_wave(data)
    if magic == b"FORM" and data[8:11] == b"AIF":
        return _parse_chunks(data, 12, ">4sI", b"SSND", fields=8)
    if magic == b"caff":
        return _parse_chunks(data, 8, ">4sQ", b"data", fields=4, pad=1)
    if data[:4] == b"riff" and data[24:28] == b"wave":
        return _parse_chunks(data, 40, "<16sQ", b"data", pad=8, whole=True)
    if magic in (b".snd", b"dns.") and len(data) >= 12:
        start, size = struct.unpack_from(">II" if magic == b".snd" else "<II", data, 4)
        known = None if size >= _STREAMED else size
        return Header(data, known, max(0, len(data) - start))
    return Header(data)


def has_mpeg_length(data: bytes) -> bool:
    """Whether an MPEG file says how many frames it has.

    Its first frame has a Xing header then, after a tag ID3 that may come first.
    """
    start = 0
    if data[:3] == b"ID3" and len(data) >= 10:
        sizes = data[6:10]
        start = 10 + sum((byte & 0x7F) << 7 * (3 - i) for i, byte in enumerate(sizes))
    first = data[start : start + _FIRST_FRAME]
    at = max(first.find(b"Xing"), first.find(b"Info"))
    return 0 <= at < len(first) - 7 and bool(first[at + 7] & 1)


def _parse_chunks(
    data: bytes,
    start: int,
    head: str,
    wanted: bytes,
    fields: int = 0,
    pad: int = 2,
    whole: bool = False,
) -> Header:
    """Finds the size of the chunk of sound.

    Args:
      data: the file.
      start: of the first chunk.
      head: format of the name and size of a chunk.
      wanted: how the name of the chunk of sound begins.
      fields: bytes of that chunk before the sound.
      pad: to a multiple of how many bytes chunks are padded.
      whole: whether sizes count the heads of their chunks.
    """
    for name, body, size in _chunks(data, start, head, pad, whole):
        if name.startswith(wanted):
            unknown = size >= (_STREAMED if head.endswith("I") else 2**62)
            declared = None if unknown else max(0, size - fields)
            return Header(data, declared, max(0, len(data) - body - fields))
    return Header(data)


def _chunks(
    data: bytes, start: int, head: str, pad: int = 2, whole: bool = False
) -> Iterator[_Chunk]:
    """Yields the chunks from `start` on; the padding of some may be missing."""
    length = struct.calcsize(head)
    while start + length <= len(data):
        name, size = struct.unpack_from(head, data, start)
        size -= length if whole else 0
        if size < 0:
            return
        yield _Chunk(name, start + length, size)
        end = start + length + size
        start = end + -end % pad if whole else end + size % pad
        names = data[start : start + 4], data[end : end + 4]
        if names[0] not in _NAMES and names[1] in _NAMES:
            start = end


def _parse_wave(data: bytes) -> Header:
    order = ">" if data[:4] == b"RIFX" else "<"
    before, rate, large = [], None, None
    for chunk in _chunks(data, 12, f"{order}4sI"):
        name, body, size = chunk
        if name == b"data":
            break
        if name == b"fmt " and body + 8 <= len(data):
            (rate,) = struct.unpack_from(f"{order}I", data, body + 4)
        if name == b"ds64" and body + 16 <= len(data):
            (large,) = struct.unpack_from(f"{order}Q", data, body + 8)
        else:
            before.append(chunk)
    else:
        return Header(data, rate=rate)
    present = len(data) - body
    is_large = large is not None and size == 0xFFFFFFFF
    declared: int | None = large if is_large else size
    if not declared:
        # 0 means an unknown size, unless nothing but other chunks follows.
        declared = 0 if _is_followed(data, body, order) else None
    elif not is_large and declared >= _STREAMED:
        declared = None
    # Written again with right paddings and sizes, and as RIFF in place of BW64.
    found = present if declared is None else min(declared, present)
    if found < _STREAMED:
        parts = [(c.name, data[c.body : c.body + c.size]) for c in before]
        parts.append((b"data", data[body : body + found]))
        written = b"WAVE" + b"".join(
            name + struct.pack(f"{order}I", len(part)) + part + bytes(len(part) % 2)
            for name, part in parts
        )
        magic = b"RIFX" if order == ">" else b"RIFF"
        data = magic + struct.pack(f"{order}I", len(written)) + written
    return Header(data, declared, present, rate)


def _is_followed(data: bytes, start: int, order: str) -> bool:
    """Returns whether the file from `start` on is nothing but complete chunks."""
    end = start
    for name, body, size in _chunks(data, start, f"{order}4sI"):
        if not all(32 <= byte < 127 for byte in name):
            return False
        end = body + size
    return len(data) - end in (0, 1)
