"""Runs functions of the page's modules that need no browser."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

ASSETS: Final = Path(__file__).resolve().parents[2] / "ui" / "assets"
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="needs Node")


def call(folder: Path, module: str, expression: str, given: Any) -> Any:
    """The value of an expression over `given`, with all that a module exports in `page`.

    Args:
        folder: where copies of the modules may lie, for Node to take them as such.
        module: its file name.
        expression: JavaScript.
        given: goes there and comes back as JSON.
    """
    for source in ASSETS.glob("*.js"):
        (folder / source.name).write_bytes(source.read_bytes())
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "run.js").write_text(
        f'import * as page from "./{module}";\n'
        'import { readFileSync } from "node:fs";\n'
        'const given = JSON.parse(readFileSync(0, "utf8"));\n'
        f"console.log(JSON.stringify({expression}));\n"
    )
    done = subprocess.run(
        ["node", "run.js"], cwd=folder, input=json.dumps(given), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
