"""Publish a candidate: copy it, verify the copy in a scratch process, then rename it into service."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import serving
from serving.release.digest import MANIFEST, check, list_files, size, write_manifest
from serving.release.store import disk_errors, new_version
from serving.versions import SAVED_MODEL, PublishError, VersionError

_ROOT: Final = Path(serving.__file__).resolve().parent.parent
MEGABYTE: Final = 10**6
#: What a version must fulfil unless told otherwise.
MAX_MEGABYTES: Final = 25.0
VERIFY_TIMEOUT_S: Final = 300.0


@dataclass(frozen=True)
class Published:
    """A version that is in service, and what was found out about it before.

    Attributes:
        version: its number.
        path: its directory.
        digest: SHA-256 of its manifest.
        bytes: its size.
        examined: from `scratch.examine`: how much was checked, and the memory it took.
    """

    version: int
    path: Path
    digest: str
    bytes: int
    examined: dict[str, Any]


def publish(
    candidate: Path,
    base: Path,
    *,
    max_megabytes: float = MAX_MEGABYTES,
    verify_timeout_s: float = VERIFY_TIMEOUT_S,
) -> Published:
    """Make a SavedModel the next version of a model.

    What is verified is the copy that will serve: whatever happens to the candidate meanwhile does not
    matter. Nothing is held while it is verified, so that a rollback need not wait for a publish.

    Args:
        candidate: its directory; stays as it is.
        base: the model's base path; made if it does not exist.
        max_megabytes: largest size, in units of 10**6 bytes.
        verify_timeout_s: how long the scratch process may take.

    Raises:
        PublishError: the candidate must not serve, or cannot be copied; nothing was changed but that
            a number may be used up.
        VersionError: another command holds the lock too long.
    """
    files = _files(candidate)
    total = size(candidate)
    if total > max_megabytes * MEGABYTE:
        raise PublishError(
            f"{candidate} has {total / MEGABYTE:.1f} MB; --max-megabytes allows {max_megabytes:g}."
        )
    with new_version(base) as (folder, version):
        with disk_errors(base):
            for name in files:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(candidate / name, target)
        # After copying: this finds a transfer that was cut short as well as a bad copy of it.
        stated = check(folder)
        if stated.problems:
            raise PublishError(
                f"{candidate} is not what was exported: {'; '.join(stated.problems)}."
            )
        examined = _examine(folder, candidate, verify_timeout_s)
        with disk_errors(base):
            digest = write_manifest(folder)
    return Published(version, base / str(version), digest, total, examined)


def _files(candidate: Path) -> list[str]:
    """Files to copy, the manifest, if there is one, among them."""
    if not (candidate / SAVED_MODEL).is_file():
        raise PublishError(
            f"{candidate} holds no {SAVED_MODEL}. Name the directory of one exported version."
        )
    try:
        manifest = [MANIFEST] if (candidate / MANIFEST).is_file() else []
        return list_files(candidate) + manifest
    except VersionError as error:
        raise PublishError(f"{candidate} cannot be published: {error}.") from error


def _examine(folder: Path, candidate: Path, timeout_s: float) -> dict[str, Any]:
    """The verdict of the scratch process."""
    command = [sys.executable, "-m", "serving.release.scratch", str(folder.resolve())]
    # No GPU: a server beside may need all of its memory.
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    scratch = subprocess.run(  # noqa: S603 (our own module, no shell)
        [*command, str(timeout_s)],
        cwd=_ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if scratch.returncode == -signal.SIGALRM:
        raise PublishError(
            f"{candidate} was not published: verifying it took longer than {timeout_s:g} s."
        )
    if scratch.returncode < 0:
        name = signal.Signals(-scratch.returncode).name
        hint = ", most likely for want of memory" if name == "SIGKILL" else ""
        raise PublishError(
            f"{candidate} was not published: loading and asking it ended the scratch process "
            f"with {name}{hint}."
        )
    try:
        verdict = json.loads(scratch.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        last = (scratch.stderr.strip().splitlines() or ["no message"])[-1]
        raise PublishError(
            f"{candidate} was not published: the scratch process failed: {last}"
        ) from error
    if "error" in verdict:
        raise PublishError(f"{candidate} was not published: {verdict['error']}.")
    return dict(verdict)
