"""Get public collections of scans and arrange them for `prepare`."""

import csv
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cyclopts
from rich.console import Console
from rich.table import Table

from data.labels import FOLDER_OF_LABEL
from data.manifest import MANIFEST, DatasetError
from data.progress import shown_on
from data.public_sets import PUBLIC_SETS, PublicSet

_COLUMNS = ("path", "group", "patient", "sequence", "flag", "origin")


@cyclopts.Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FetchSettings:
    """Where collections go."""

    out: Path
    """Folder that gets a folder for each collection, with `yes/` and `no/`: a SOURCE for `prepare`."""

    unpacked: Path | None = None
    """Folder of a single collection that you have downloaded and unpacked yourself: nothing is
    downloaded, it is only arranged."""


def fetch(names: Sequence[str], settings: FetchSettings, console: Console) -> list[Path]:
    """Download collections, unless they are there, and arrange each as `OUT/NAME/{yes,no}`.

    Args:
        names: keys of `PUBLIC_SETS`; none for all.
        settings: where to.
        console: for the licences and for progress.

    Returns:
        The folders of the collections.

    Raises:
        DatasetError: unknown names, or a collection that cannot be downloaded or arranged.
    """
    names = names or list(PUBLIC_SETS)
    for name in names:
        if name not in PUBLIC_SETS:
            raise DatasetError(
                f"No collection is called {name!r}; known: {', '.join(PUBLIC_SETS)}."
            )
    if settings.unpacked and len(names) != 1:
        raise DatasetError("--unpacked is the folder of one collection: name that one.")
    if settings.unpacked and not settings.unpacked.is_dir():
        raise DatasetError(f"{settings.unpacked} is not a folder.")
    _show_terms(names, console)
    folders = []
    for name in names:
        folder = settings.out / name
        folders.append(folder)
        if folder.exists():
            console.print(f"{folder} is there already.")
            continue
        collection = PUBLIC_SETS[name]
        download = settings.unpacked or _download(name, collection, settings.out)
        count = _arrange(collection, download, folder, console)
        console.print(f"{folder}: {count} scans.")
    return folders


def _show_terms(names: Sequence[str], console: Console) -> None:
    table = Table(title="A model inherits the strictest of these terms")
    for column in ("name", "collection", "licence", "page"):
        table.add_column(column, overflow="fold")
    for name in names:
        one = PUBLIC_SETS[name]
        table.add_row(name, one.terms.title, one.terms.licence, one.page)
    console.print(table)


def _download(name: str, collection: PublicSet, out: Path) -> Path:
    """Get a collection by its host's client, which caches, checks and unpacks it."""
    try:
        if collection.kaggle:
            import kagglehub

            return Path(kagglehub.dataset_download(collection.kaggle))
        import pooch

        cache = Path(pooch.os_cache("brain-tumour-classifier")) / name
        archive = pooch.create(cache, base_url=f"doi:{collection.doi}/")
        archive.load_registry_from_doi()
        for file in archive.registry_files:
            unpack = pooch.Unzip() if file.endswith(".zip") else None
            archive.fetch(file, processor=unpack, progressbar=True)
        return cache
    except ImportError as error:
        reason = f"{error.name} is not installed: pip install kagglehub pooch tqdm"
    except Exception as error:  # the clients raise whatever their transport does
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    raise DatasetError(
        f"{name} could not be downloaded ({reason}). By hand: download it from {collection.page}, "
        f"unpack it to FOLDER, and run `python -m data fetch {name} --unpacked FOLDER --out {out}`."
    )


def _arrange(collection: PublicSet, download: Path, folder: Path, console: Console) -> int:
    """Write the scans of a download to `folder`, which appears once it is complete."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for word in FOLDER_OF_LABEL.values():
        (partial / word).mkdir(parents=True)
    count = 0
    with (partial / MANIFEST).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for scan in shown_on(console)(collection.arrange(download), "Arranging"):
            path = scan.write(partial / FOLDER_OF_LABEL[scan.label])
            writer.writerow({**vars(scan), "path": path.relative_to(partial).as_posix()})
            count += 1
    if not count:
        raise DatasetError(f"{download} holds no scans of this collection.")
    partial.rename(folder)
    return count
