"""Files that contradict their manifest, and pictures that lie under both labels."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

from data.duplicates import LookAlikes
from data.grouping import Groups, Patient
from data.labels import Label
from data.sources import Found

CODE_CHANGED = "changed"
CODE_CONTRADICTORY = "contradictory_label"


class Identified(Protocol):
    """A file of which the hash is known."""

    @property
    def found(self) -> Found:
        """What its folders and its manifest say."""

    @property
    def sha256(self) -> str:
        """Of the file."""


def contradicts_manifest(one: Identified) -> tuple[str, str] | None:
    """Code and message if the manifest describes another file or another label, else None."""
    found = one.found
    if found.stated_sha256 not in ("", one.sha256):
        return CODE_CHANGED, "The file is not the one that its manifest describes."
    if found.stated_label not in ("", found.label):
        return CODE_CONTRADICTORY, (
            f"The manifest says {found.stated_label}, the folder {found.label}. "
            "Correct one of them."
        )
    return None


def under_both_labels(
    found: Sequence[Found],
    pixels_sha256: Sequence[str],
    alike: LookAlikes,
    patients: Sequence[Patient | None],
) -> dict[int, str]:
    """Find pictures that are tumours in one place and normal in another.

    A picture is what equal pixels or a chain of look-alikes join. Two slices of one patient may look
    alike and differ in the diagnosis, and so may two people: pairs whose patients are both known to
    one catalogue are no contradiction.

    Args:
        found: `[N]`, the scans.
        pixels_sha256: `[N]`, of their prepared pixels.
        alike: the pairs of them that show one picture.
        patients: `[N]`, or None where unknown.

    Returns:
        For each scan of such a picture a sentence that names a scan which contradicts it.
    """
    pictures = Groups(len(found))
    for one, other in alike.pairs.tolist():
        mine, theirs = patients[one], patients[other]
        if not (mine and theirs and mine[0] == theirs[0]):
            pictures.join(one, other)
    pictures.join_equal(pixels_sha256)
    by_picture: dict[int, dict[Label, list[int]]] = defaultdict(lambda: defaultdict(list))
    for scan, picture in enumerate(pictures.labels()):
        by_picture[picture][found[scan].label].append(scan)
    messages = {}
    for labels in by_picture.values():
        if len(labels) > 1:
            for label, scans in labels.items():
                other = found[next(s[0] for kind, s in labels.items() if kind != label)]
                message = (
                    f"The same picture is in `yes` and in `no`: see {other.origin} in "
                    f"{other.root}. Keep it where it belongs."
                )
                messages.update(dict.fromkeys(scans, message))
    return messages
