"""What processes use, from Linux's /proc: CPU time, memory, descriptors."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
#: Fields of `/proc/PID/stat` after the name in brackets, which may hold spaces.
_PARENT: Final = 1
_TIMES: Final = slice(11, 15)  # of the process, user and system, and of its children that ended


@dataclass(frozen=True)
class Usage:
    """Of some processes, usually with all that they started.

    Attributes:
        cpu_s: CPU time since their start, in seconds.
        resident: bytes of memory.
        descriptors: open files and sockets.
    """

    cpu_s: float
    resident: int
    descriptors: int


def usage(*pids: int, descendants: bool = True) -> Usage:
    """Read it now; a process that is gone uses nothing."""
    stats = _stats()
    cpu_s, resident, descriptors = 0.0, 0, 0
    for pid in _with_descendants(pids, stats) if descendants else pids:
        ticks = sum(int(field) for field in stats[pid][_TIMES])
        try:
            pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
            descriptors += len(os.listdir(_PROC / str(pid) / "fd"))
        except (FileNotFoundError, ProcessLookupError):
            continue
        cpu_s += ticks / os.sysconf("SC_CLK_TCK")
        resident += pages * os.sysconf("SC_PAGE_SIZE")
    return Usage(cpu_s, resident, descriptors)


def _with_descendants(pids: tuple[int, ...], stats: dict[int, list[str]]) -> Iterator[int]:
    waiting, seen = [pid for pid in pids if pid in stats], set[int]()
    while waiting:
        pid = waiting.pop()
        if pid not in seen:
            seen.add(pid)
            yield pid
            waiting += [one for one, fields in stats.items() if int(fields[_PARENT]) == pid]


def _stats() -> dict[int, list[str]]:
    """By process, the fields after its name."""
    stats = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            stats[int(entry.name)] = text.rpartition(")")[2].split()
    return stats
