"""Communications between devices, read from the text of a compiled program."""

import dataclasses
import math
import re
from collections.abc import Iterator

KINDS = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
)


@dataclasses.dataclass(frozen=True)
class Collective:
    """One communication between devices, `count` times per step.

    Attributes:
      kind: one of `KINDS`.
      bytes: of the whole array that is reduced, gathered or exchanged, each time.
      count: how often per step; a loop of an unknown number of trips counts once.
      group_size: devices that take part together.
    """

    kind: str
    bytes: int
    count: int
    group_size: int

    @property
    def sent(self) -> float:
        """Bytes that a device sends per step, by the ring algorithm.

        A reduction takes as much as a scatter and a gather (Patarasuk and Yuan,
        "Bandwidth optimal all-reduce algorithms", 2009, section 3).
        """
        once = self.count * self.bytes
        if self.kind == "collective-permute":
            return once
        others = (self.group_size - 1) / self.group_size
        return once * others * (2 if self.kind == "all-reduce" else 1)


def collectives(hlo: str, num_devices: int) -> tuple[Collective, ...]:
    """Returns the communications of an optimized HLO module, equal ones as one.

    Those in the body of a loop count as often as XLA knows that it runs.
    """
    bodies, entry = _computations(hlo)
    counts: dict[tuple[str, int, int], int] = {}

    def visit(name: str, times: int) -> None:
        for line in bodies.get(name, ()):
            collective = _collective(line, num_devices)
            if collective:
                counts[collective] = counts.get(collective, 0) + times
            for callee, trips in _callees(line):
                visit(callee, times * trips)

    visit(entry, 1)
    return tuple(
        Collective(kind, size, count, group)
        for (kind, size, group), count in sorted(counts.items(), key=_largest_first)
    )


def _largest_first(item: tuple) -> tuple:
    (kind, size, group), count = item
    return -size * count, kind, group


def _computations(hlo: str) -> tuple[dict[str, list[str]], str]:
    """Returns the lines of each computation by name, and the name of the entry."""
    bodies: dict[str, list[str]] = {}
    entry, lines = "", list[str]()
    for line in hlo.splitlines():
        start = re.match(r"(ENTRY )?%?([\w.-]+) .*\{$", line)
        if start:
            bodies[start[2]] = lines = []
            entry = start[2] if start[1] else entry
        else:
            lines.append(line)
    return bodies, entry


def _callees(line: str) -> Iterator[tuple[str, int]]:
    """Yields the computations that an instruction runs, and how often."""
    trips = re.search(r'"known_trip_count":\{"n":"(\d+)"', line)
    called = r"\b(body|calls|to_apply|true_computation|false_computation)=%?([\w.-]+)"
    for role, name in re.findall(called, line):
        yield name, int(trips[1]) if trips and role == "body" else 1
    for names in re.findall(r"\bbranch_computations=\{([^}]*)\}", line):
        for name in names.split(","):
            yield name.strip().lstrip("%"), 1


def _collective(line: str, num_devices: int) -> tuple[str, int, int] | None:
    """Returns (kind, bytes, group size) if an instruction is a communication."""
    match = re.search(rf" = (.*?) ({'|'.join(KINDS)})(-start)?\(", line)
    if match is None:
        return None
    shape, kind, starts = match.groups()
    if starts and kind in ("all-gather", "collective-permute"):
        # The start of one has operands and results, and for the latter counters too.
        shape = _parts(shape)[1]
    size, group = _bytes(shape), _group_size(line, num_devices)
    if kind == "reduce-scatter":
        size *= group
    return kind, size, group


def _parts(shape: str) -> list[str]:
    """Returns the top-level elements of the text of a tuple's shape."""
    parts, depth = [""], 0
    for character in shape[1:-1]:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _bytes(shape: str) -> int:
    """Returns the bytes of the arrays in the text of a shape."""
    total = 0.0
    for dtype, axes in re.findall(r"\b([a-z]\w*)\[([\d,]*)\]", shape):
        bits = 8 if dtype == "pred" else int((re.findall(r"\d+", dtype) or "0")[0])
        total += bits / 8 * math.prod(int(n) for n in axes.split(",") if n)
    return int(total)


def _group_size(line: str, num_devices: int) -> int:
    """Returns the number of devices of a group, in any notation of XLA."""
    mesh = re.search(r"replica_groups=mesh\[(.*?)\].*? \{(.*?)\}", line)
    if mesh:
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", mesh[1]))
        return math.prod(int(sizes[axis]) for axis in re.findall(r"'(\w+)'", mesh[2]))
    iota = re.search(r"replica_groups=\[\d+,(\d+)\]<=", line)
    if iota:
        return int(iota[1])
    listed = re.search(r"replica_groups=\{\{([\d,]*)\}", line)
    return len(listed[1].split(",")) if listed else num_devices
