"""`python -m tests.faults.alive FILE`, flags as of `python -m ui`: the page, which tells what lives in it.

The memory of a process also counts the holes that its allocators keep, which come and go; what lives grows
only if something is kept. On SIGUSR1 the page counts it and writes it to FILE; `growth.py` asks and judges.
"""

import ctypes
import gc
import json
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ui.__main__ import app


@dataclass(frozen=True)
class Alive:
    """What lives in a process.

    Attributes:
        blocks: of Python, about one for each object.
        bytes: that were asked of the C library and not given back: arrays, pictures, what libraries hold.
    """

    blocks: int
    bytes: int


class _MallInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc, see mallinfo(3)."""

    _names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = tuple((name, ctypes.c_size_t) for name in _names.split())


def _tell(file: Path) -> None:
    gc.collect()
    info = _mallinfo()
    now = Alive(sys.getallocatedblocks(), info.uordblks + info.hblkhd)
    spare = file.with_suffix(".new")
    spare.write_text(json.dumps(asdict(now)))
    spare.replace(file)


def _mallinfo() -> Any:
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _MallInfo
    return mallinfo()


if __name__ == "__main__":
    told = Path(sys.argv.pop(1))
    signal.signal(signal.SIGUSR1, lambda *_: _tell(told))
    sys.exit(app())
