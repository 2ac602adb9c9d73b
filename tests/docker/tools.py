"""Programs and files that the checks of `docker/` need."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

DOCKER = ROOT / "docker"
_INSTALLED = Path(sys.executable).parent


def tool(name: str) -> str:
    """Path of a program; in continuous integration its absence is a failure."""
    found = shutil.which(name, path=f"{_INSTALLED}:{os.environ['PATH']}:/usr/sbin")
    if found is None:
        assert not os.environ.get("CI"), f"{name} is missing; .ci/run installs it"
        pytest.skip(f"unchecked: {name} is not installed, see .ci/run")
    return found


def run(*command: object, **options: Any) -> str:
    """Run a program to its end; its output, or a failure that shows all of it."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, cwd=ROOT, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compose(*overrides: str) -> dict[str, Any]:
    """The services of compose.yaml by name, variables at their defaults, overrides merged as Docker does."""
    merged: dict[str, Any] = {}
    for name in ("compose.yaml", *overrides):
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (DOCKER / name).read_text())
        merged = _merged(merged, yaml.safe_load(text)["services"])
    return merged


def _merged(under: Any, over: Any) -> Any:
    if isinstance(under, dict) and isinstance(over, dict):
        return under | {key: _merged(under.get(key), value) for key, value in over.items()}
    return over


def instructions(name: str) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile in order: name and arguments, lines joined."""
    text = (DOCKER / f"{name}.Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
    return [(instruction, arguments) for instruction, arguments in pairs]


def manifests(path: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]
