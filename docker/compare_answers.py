"""How two versions answer the same scans: what a canary would change, before it is promoted.

    python -m serving predict scans/*/* --version-label stable --json > stable.json
    python -m serving predict scans/*/* --version-label canary --json > canary.json
    python docker/compare_answers.py stable.json canary.json

Exit code 1 where more decisions change than `--at-most` allows. Where scans lie in folders `yes` and `no` it
also says how often each version is right.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter, validators

Rows = dict[str, dict[str, Any]]
_TRUTH = {"yes": "tumor", "no": "no_tumor"}
_Share = Annotated[float, Parameter(validator=validators.Number(gte=0, lte=1))]


def compare(before: Path, after: Path, /, *, at_most: _Share = 0.05) -> int:
    """Compare two outputs of `python -m serving predict --json`.

    Args:
        before: Of the version that serves.
        after: Of the one that shall.
        at_most: Share of scans whose label may change, or whether they are refused.
    """
    old, new = _read(before), _read(after)
    if old.keys() != new.keys() or not old:
        print("The two files are not about the same scans, or about none.", file=sys.stderr)
        return 2
    changed = [file for file in old if _decision(old[file]) != _decision(new[file])]
    moved = max(old, key=lambda file: abs(old[file]["probability"] - new[file]["probability"]))
    print(f"{len(old)} scans, versions {_versions(old)} and {_versions(new)}")
    print(f"risk changes: {sum(old[file]['risk'] != new[file]['risk'] for file in old)}")
    print(
        f"P(tumour) moves most: {old[moved]['probability']:.3f} to {new[moved]['probability']:.3f}, {moved}"
    )
    for rows in (old, new):
        # A folder says nothing about the single slices of a volume.
        stills = {file: row["label"] for file, row in rows.items() if "slice" not in row}
        known = [file for file in stills if Path(file).parent.name in _TRUTH]
        if known:
            right = sum(stills[file] == _TRUTH[Path(file).parent.name] for file in known)
            print(f"version {_versions(rows)} is right about {right} of {len(known)}")
    print(f"label changes, or whether it is refused: {len(changed)}")
    for file in changed:
        print(f"  {file}: {_told(old[file])} before, {_told(new[file])} after")
    return int(len(changed) > at_most * len(old))


def _read(path: Path) -> Rows:
    """Answers by the name of a scan; a volume has one for each slice that was asked about."""
    rows = {}
    for row in json.loads(path.read_text()):
        name = "/".join(row[key] for key in ("file", "member") if key in row)
        for one in [] if "error" in row else row.get("slices", [row]):
            if not one.get("empty"):
                number = f", slice {one['slice']}" if "slice" in one else ""
                rows[name + number] = {"version": row["version"]} | one
    return rows


def _decision(row: dict[str, Any]) -> tuple[str, bool]:
    return row["label"], row["in_distribution"]


def _told(row: dict[str, Any]) -> str:
    return f"{row['label']} {row['probability']:.3f}" + (
        "" if row["in_distribution"] else ", refused"
    )


def _versions(rows: Rows) -> str:
    return ", ".join(sorted({str(row["version"]) for row in rows.values()}))


if __name__ == "__main__":
    app = cyclopts.App(help=__doc__, help_format="plaintext")
    app.default(compare)
    sys.exit(app())
