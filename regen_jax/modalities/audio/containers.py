"""Headers of sound files: their declared length, and repair of WAV files.

libsndfile reads a file that is shorter than its header declares as if it were complete,
and cannot read some WAV files that players can. References of the formats:

- WAV: RIFF chunks, https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html;
  64-bit RF64 and BW64, https://www.itu.int/rec/R-REC-BS.2088.
- AIFF, AU, CAF and Wave64: as in libsndfile.
- Xing header of MPEG: http://gabriel.mp3-tech.org/mp3infotag.html.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_UNKNOWN_SIZE = 0x7FFFF000
"""Programs that stream write at least this size, or 0."""

_XING_SEARCH_SIZE = 256
"""Bytes of the first MPEG frame in which the Xing header is searched."""

_CHUNK_NAMES = (b"data", b"fmt ", b"fact", b"LIST", b"PEAK", b"bext", b"JUNK")
"""Chunks that may follow one of odd size whose padding is missing."""


class Header(NamedTuple):
    """Contents of the header of a sound file.

    Attributes:
      data: the file in a form that libsndfile reads.
      declared: bytes of samples according to the header; None if it does not tell.
      present: bytes after the header, of samples and possibly other chunks.
      rate: sample rate in Hz if known, read as an unsigned number.
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
        return _parse_chunks(data, 12, ">4sI", b"SSND", num_fields=8)
    if magic == b"caff":
        return _parse_chunks(data, 8, ">4sQ", b"data", num_fields=4, alignment=1)
    if data[:4] == b"riff" and data[24:28] == b"wave":
        return _parse_chunks(
            data, 40, "<16sQ", b"data", alignment=8, size_includes_header=True
        )
    if magic in (b".snd", b"dns.") and len(data) >= 12:
        start, size = struct.unpack_from(">II" if magic == b".snd" else "<II", data, 4)
        declared = None if size >= _UNKNOWN_SIZE else size
        return Header(data, declared, max(0, len(data) - start))
    return Header(data)


def has_mpeg_length(data: bytes) -> bool:
    """Returns whether an MPEG file declares its number of frames.

    A Xing header in its first frame does, after an optional ID3 tag.
    """
    start = 0
    if data[:3] == b"ID3" and len(data) >= 10:
        sizes = data[6:10]
        start = 10 + sum((byte & 0x7F) << 7 * (3 - i) for i, byte in enumerate(sizes))
    first = data[start : start + _XING_SEARCH_SIZE]
    position = max(first.find(b"Xing"), first.find(b"Info"))
    return 0 <= position < len(first) - 7 and bool(first[position + 7] & 1)


def _parse_chunks(
    data: bytes,
    start: int,
    header_format: str,
    name_prefix: bytes,
    num_fields: int = 0,
    alignment: int = 2,
    size_includes_header: bool = False,
) -> Header:
    """Finds the size of the chunk of samples.

    Args:
      data: the file.
      start: position of the first chunk.
      header_format: `struct` format of the name and size of a chunk.
      name_prefix: how the name of the chunk of samples begins.
      num_fields: bytes of that chunk before the samples.
      alignment: chunks are padded to a multiple of it, in bytes.
      size_includes_header: whether sizes include the headers of chunks.
    """
    for name, body, size in _chunks(
        data, start, header_format, alignment, size_includes_header
    ):
        if name.startswith(name_prefix):
            max_size = _UNKNOWN_SIZE if header_format.endswith("I") else 2**62
            declared = None if size >= max_size else max(0, size - num_fields)
            return Header(data, declared, max(0, len(data) - body - num_fields))
    return Header(data)


def _chunks(
    data: bytes,
    start: int,
    header_format: str,
    alignment: int = 2,
    size_includes_header: bool = False,
) -> Iterator[_Chunk]:
    """Yields the chunks from `start` on; padding may be missing."""
    length = struct.calcsize(header_format)
    while start + length <= len(data):
        name, size = struct.unpack_from(header_format, data, start)
        size -= length if size_includes_header else 0
        if size < 0:
            return
        yield _Chunk(name, start + length, size)
        end = start + length + size
        start = end + (-end if size_includes_header else size) % alignment
        names = data[start : start + 4], data[end : end + 4]
        if names[0] not in _CHUNK_NAMES and names[1] in _CHUNK_NAMES:
            start = end


def _parse_wave(data: bytes) -> Header:
    """Parses a WAV file and repairs the sizes and padding of its chunks."""
    order = ">" if data[:4] == b"RIFX" else "<"
    preceding, rate, size_64 = [], None, None
    for chunk in _chunks(data, 12, f"{order}4sI"):
        name, body, size = chunk
        if name == b"data":
            break
        if name == b"fmt " and body + 8 <= len(data):
            (rate,) = struct.unpack_from(f"{order}I", data, body + 4)
        if name == b"ds64" and body + 16 <= len(data):
            (size_64,) = struct.unpack_from(f"{order}Q", data, body + 8)
        else:
            preceding.append(chunk)
    else:
        return Header(data, rate=rate)
    present = len(data) - body
    is_64_bit = size_64 is not None and size == 0xFFFFFFFF
    declared: int | None = size_64 if is_64_bit else size
    if not declared:
        # 0 means an unknown size, unless only other chunks follow.
        declared = 0 if _has_only_chunks(data, body, order) else None
    elif not is_64_bit and declared >= _UNKNOWN_SIZE:
        declared = None
    # Rewrites the file with correct padding and sizes, and as RIFF in place of BW64.
    num_bytes = present if declared is None else min(declared, present)
    if num_bytes < _UNKNOWN_SIZE:
        parts = [(c.name, data[c.body : c.body + c.size]) for c in preceding]
        parts.append((b"data", data[body : body + num_bytes]))
        content = b"WAVE" + b"".join(
            name + struct.pack(f"{order}I", len(part)) + part + bytes(len(part) % 2)
            for name, part in parts
        )
        magic = b"RIFX" if order == ">" else b"RIFF"
        data = magic + struct.pack(f"{order}I", len(content)) + content
    return Header(data, declared, present, rate)


def _has_only_chunks(data: bytes, start: int, order: str) -> bool:
    """Returns whether the file consists of complete chunks from `start` on."""
    end = start
    for name, body, size in _chunks(data, start, f"{order}4sI"):
        if not all(32 <= byte < 127 for byte in name):
            return False
        end = body + size
    return len(data) - end in (0, 1)
