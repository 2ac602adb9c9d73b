"""The prepared samples, and sets of scans made in memory."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from data.labels import Label
from data.manifest import MASKS, Scan, Split
from tests.conftest import ROOT
from training.scans import ScanSet


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples as `python -m data prepare` leaves them; not to be written to."""
    out = tmp_path_factory.mktemp("prepared") / "samples"
    command = [sys.executable, "-m", "data", "prepare", "data/samples", "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return out


@pytest.fixture
def scan_set(tmp_path: Path) -> Callable[..., ScanSet]:
    """A function that makes a ScanSet of images `[N, 224, 224, 3]`, targets, sources, groups and masks."""

    def make(
        images: NDArray[np.uint8],
        targets: Sequence[bool] | NDArray,
        *,
        sources: Sequence[str] = (),
        groups: Sequence[str] = (),
        masks: dict[int, NDArray[np.bool_]] | None = None,
    ) -> ScanSet:
        scans = [
            Scan(
                path=f"train/{i}.png",
                label=Label.TUMOR if tumour else Label.NO_TUMOR,
                source=sources[i] if sources else "here",
                split=Split.TRAIN,
                group=groups[i] if groups else str(i),
                sha256="0" * 64,
                origin="",
            )
            for i, tumour in enumerate(targets)
        ]
        for i, mask in (masks or {}).items():
            path = tmp_path / MASKS / scans[i].path
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((mask * 255).astype(np.uint8)).save(path)
        return ScanSet(scans=scans, packed=images, rows=np.arange(len(scans)), folder=tmp_path)

    return make
