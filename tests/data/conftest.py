"""Small piles of scans, and the grey levels of single ones, made from the samples."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from data.manifest import Scan, read_manifest
from data.prepare import PrepareSettings, prepare
from tests.data.medical import grey

Prepare = Callable[..., list[Scan]]


@pytest.fixture
def console() -> Console:
    """A console that keeps what is printed: `console.file.getvalue()`."""
    return Console(file=StringIO(), width=200)


@pytest.fixture(scope="session")
def scans(samples: dict[str, list[Path]]) -> list[np.ndarray]:
    """Five tumour scans, uint8 `[256, 256]`."""
    return [grey(path, 256) for path in samples["yes"][:5]]


@pytest.fixture(scope="session")
def scan(scans: list[np.ndarray]) -> np.ndarray:
    """One of them."""
    return scans[0]


@pytest.fixture
def pile(tmp_path: Path, samples: dict[str, list[Path]]) -> Path:
    """A SOURCE of eight different brains: four tumours, four normal scans."""
    source = tmp_path / "pile"
    for label, names in {
        "yes": ["cheng_0015", "cheng_0407", "cheng_0880", "cheng_1230"],
        "no": ["colin27_a50", "ixi012_a60", "mni152_c50", "mni152_s45"],
    }.items():
        folder = source / label
        folder.mkdir(parents=True)
        for path in samples[label]:
            if path.stem.startswith(tuple(names)):
                with Image.open(path) as image:
                    image.convert("RGB").save(folder / f"{path.stem}.png")
    return source


@pytest.fixture
def run_prepare(tmp_path: Path, console: Console) -> Prepare:
    """Prepare SOURCEs into `tmp_path/out`, in this process, and read the manifest."""

    def run(*sources: Path, **settings: object) -> list[Scan]:
        out = tmp_path / "out"
        prepare(sources, PrepareSettings(out=out, workers=1, **settings), console)
        return read_manifest(out)

    return run
