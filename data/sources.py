"""Which files of a SOURCE are scans, and what its folders and manifests say about them."""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from data.labels import LABEL_OF_FOLDER, Label
from data.manifest import MANIFEST, DatasetError, Split

#: Folders that hold no scans, wherever they are.
IGNORED_FOLDERS: Final = ("mask", "masks", "invalid_images", "__MACOSX")
#: Files that lie beside scans and are none; any other file in a class folder must prove itself.
SIDECAR_SUFFIXES: Final = (".csv", ".json", ".md", ".rst")
SIDECAR_STEMS: Final = ("readme", "license", "licence", "thumbs", "desktop")
#: Folders between a dataset's name and its class folders that do not name a source.
LAYOUT_FOLDERS: Final = (*Split, "scans", "training", "testing", "validation")


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file in a class folder, before anything has looked inside.

    Attributes:
        file: where it is.
        origin: posix path relative to its SOURCE; see `written`.
        root: name of its SOURCE.
        label: by its folder.
        source: the folder right below `yes`/`no`, else the folder that holds them.
        catalogue: the manifest that describes it, as a namespace for groups and patients, or empty.
        group: from the manifest, or empty; likewise patient, sequence and flag.
        split: proposed by the manifest, or None.
        stated_sha256: from the manifest, or empty.
        stated_label: from the manifest, or empty.
        stated_source: from the manifest, or empty.
        mask: image with the outline of the tumour, white on black, from the manifest, or None.
    """

    file: Path
    origin: str
    root: str
    label: Label
    source: str
    catalogue: str = ""
    group: str = ""
    patient: str = ""
    sequence: str = ""
    flag: str = ""
    split: Split | None = None
    stated_sha256: str = ""
    stated_label: str = ""
    stated_source: str = ""
    mask: Path | None = None


def find_scans(source: Path) -> list[Found]:
    """Find the files in the `yes` and `no` folders of a SOURCE, sorted by path.

    Args:
        source: holds `yes/` and `no/` at any depth, or is the folder that does.

    Raises:
        DatasetError: no such folder, nothing in it, or a manifest that cannot be read.
    """
    source = source.resolve()
    if not source.is_dir():
        raise DatasetError(f"{source} is not a folder.")
    pairs = sorted({folder.parent for folder in _class_folders(source)})
    if not pairs:
        raise DatasetError(
            f"{source} holds no class folders. Put tumours in `yes/` and normal scans in `no/`."
        )
    found: list[Found] = []
    catalogues: dict[Path, dict[str, dict[str, str]]] = {}
    for pair in pairs:
        described = _manifest_of(pair)
        if described and described not in catalogues:
            catalogues[described] = read_rows(described)
        for folder in sorted(pair.iterdir()):
            label = LABEL_OF_FOLDER.get(folder.name.lower())
            if label is None or not folder.is_dir():
                continue
            for file in _files(folder):
                row = _row_of(file, described, catalogues[described]) if described else {}
                inside = written(file.relative_to(folder)).split("/")
                found.append(
                    Found(
                        file=file,
                        origin=written(file.relative_to(source)),
                        root=written(source.name),
                        label=label,
                        source=inside[0]
                        if len(inside) > 1
                        else written(_source_name(pair, source)),
                        catalogue=str(described) if row else "",
                        group=row.get("group", ""),
                        patient=row.get("patient", ""),
                        sequence=row.get("sequence", ""),
                        flag=row.get("flag", "").strip(";"),
                        split=_split(row.get("split", ""), described),
                        stated_sha256=row.get("sha256", ""),
                        stated_label=stated_label(row.get("label", "")),
                        stated_source=row.get("source", ""),
                        mask=described.parent / row["mask"]
                        if described and row.get("mask")
                        else None,
                    )
                )
    if not found:
        raise DatasetError(f"The class folders in {source} are empty.")
    return sorted(found, key=lambda one: one.origin)


def written(path: str | Path) -> str:
    r"""A path as posix text that any file takes; bytes of it that are no UTF-8 become `\xff`."""
    return os.fsencode(PurePath(path).as_posix()).decode("utf-8", "backslashreplace")


def _class_folders(source: Path) -> Iterator[Path]:
    for parent, folders, _ in os.walk(source):
        folders[:] = [name for name in folders if not _ignored(name)]
        for name in list(folders):
            if name.lower() in LABEL_OF_FOLDER:
                folders.remove(name)  # what is below belongs to the class
                yield Path(parent) / name


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _ignored(name))
        for name in sorted(names):
            path = Path(parent) / name
            sidecar = path.suffix.lower() in SIDECAR_SUFFIXES or path.stem.lower() in SIDECAR_STEMS
            if not (sidecar or name.startswith(".")):
                yield path


def _ignored(folder: str) -> bool:
    return folder in IGNORED_FOLDERS or folder.startswith(".")


def _source_name(pair: Path, source: Path) -> str:
    """Name of the nearest folder that says more than which split it is."""
    for folder in (pair, *pair.parents):
        if folder == source or folder.name.lower() not in LAYOUT_FOLDERS:
            return folder.name
    return source.name


def _manifest_of(pair: Path) -> Path | None:
    """The manifest beside the class folders, or right above, or above `train/` and the like."""
    folders = [pair, pair.parent]
    if pair.name.lower() in LAYOUT_FOLDERS:
        folders.append(pair.parent.parent)
    for folder in folders:
        path = folder / MANIFEST
        if path.is_file():
            return path
    return None


def read_rows(path: Path) -> dict[str, dict[str, str]]:
    """Rows of a SOURCE's manifest by their column `path`, cells stripped.

    Raises:
        DatasetError: it lacks that column, or is no CSV file in UTF-8.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if "path" not in (reader.fieldnames or []):
                raise DatasetError(f"{path} has no column `path`: it describes no scans.")
            return {
                (row["path"] or "").replace("\\", "/"): {
                    name: (cell or "").strip()
                    for name, cell in row.items()
                    if isinstance(name, str) and not isinstance(cell, list)
                }
                for row in reader
            }
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} is not a CSV file in UTF-8: {error}.") from None


def _row_of(file: Path, manifest: Path, rows: dict[str, dict[str, str]]) -> dict[str, str]:
    """The row of a file; paths may start at the manifest's folder, its `scans/` or its parent."""
    folder = manifest.parent
    for start in (folder, folder / "scans", folder.parent):
        if file.is_relative_to(start):
            row = rows.get(file.relative_to(start).as_posix())
            if row is not None:
                return row
    return {}


def _split(cell: str, manifest: Path | None) -> Split | None:
    if not cell:
        return None
    try:
        return Split(cell)
    except ValueError:
        raise DatasetError(
            f"{manifest} proposes the split {cell!r}; known are {', '.join(Split)}."
        ) from None


def stated_label(cell: str) -> str:
    """A stated label in our words; words that we do not know say nothing."""
    known = LABEL_OF_FOLDER.get(cell.lower(), cell.lower())
    return known if known in tuple(Label) else ""
