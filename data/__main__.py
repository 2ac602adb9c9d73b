"""`python -m data`: build a dataset from folders of scans, and describe one."""

import sys
from pathlib import Path

import cyclopts
from rich.console import Console

from data.manifest import DatasetError
from data.prepare import PrepareSettings, prepare

app = cyclopts.App(
    name="python -m data",
    help="From any pile of scans to a validated, de-duplicated, group-split dataset.",
    config=cyclopts.config.Env("DATA_", command=False),
)


@app.command(name="prepare")
def prepare_command(*sources: Path, settings: PrepareSettings) -> None:
    """Build a dataset of 224x224 PNGs, split so that no picture and no patient is in two parts."""
    prepare(sources, settings, Console(stderr=True))


def main() -> int:
    """Run the command line; errors that a person can mend are one line."""
    try:
        app()
    except (DatasetError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
