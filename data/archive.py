"""ZIP archives, read in memory, member by member; nothing is ever unpacked to a disk."""

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePosixPath
from typing import Final

from data.imaging import ScanError
from data.studies import MAX_STUDY_BYTES

#: Members that may be scans: a series of 500 slices twice over, or the 200 stills of a batch.
MAX_MEMBERS: Final = 1000
#: Of all members, unpacked: 1000 slices of 512 × 512 in 16 bits.
MAX_UNPACKED_BYTES: Final = 512 * 2**20
#: Scans compress two- to fivefold; flat drawings, as PNG or not, hardly a hundredfold.
MAX_RATIO: Final = 100
#: Below this much nobody cares for ratios.
RATIO_FREE_BYTES: Final = 2**22
#: Of the archive's table of contents: 46 bytes and a path for each member, junk included.
_MAX_DIRECTORY_BYTES: Final = 2 * 2**20
#: What Python unpacks within bounds; bzip2 and LZMA it does not, and no tool uses them unasked.
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OTHER_ARCHIVES: Final = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\xfd7zXZ\x00", b"BZh")
#: Folders, and files by name: what Windows leaves behind, and the index of a disc of DICOM files.
_JUNK: Final = ("", "thumbs.db", "desktop.ini", "autorun.inf", "dicomdir")
_END: Final = b"PK\x05\x06"
_ARCHIVE: Final = (b"PK\x03\x04", _END)
_END64_LOCATOR: Final = b"PK\x06\x07"
_LONGEST_PATH: Final = 255


@dataclass(frozen=True)
class Member:
    """One file in an archive.

    Attributes:
        path: safe to show and to use as a relative path: no drive, no way up, nothing unprintable.
        error: why it cannot be read.
    """

    path: str
    error: ScanError | None
    _archive: zipfile.ZipFile
    _info: zipfile.ZipInfo

    def read(self) -> bytes:
        """Unpack it, again each time, so that nothing is kept.

        Raises:
            ScanError: `error`, or `corrupt`.
        """
        if self.error is not None:
            raise self.error
        problem = ScanError("corrupt", "This member of the archive is damaged. Pack it again.")
        try:
            with self._archive.open(self._info) as file:
                # Asked for all, zipfile would unpack all there is, whatever size is stated.
                return file.read(self._info.file_size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError):
            pass
        raise problem


def is_archive(payload: bytes) -> bool:
    """Whether a file is a ZIP archive by its first bytes; images with one appended are images."""
    return payload.startswith(_ARCHIVE)


def is_other_archive(payload: bytes) -> bool:
    """Whether a file is an archive that we do not read."""
    return payload.startswith(_OTHER_ARCHIVES) or payload[257:262] == b"ustar"


def read_archive(payload: bytes) -> Iterator[Member]:
    """Members that may be scans, in the archive's order.

    Folders, hidden files and what macOS and Windows leave behind are passed over.

    Args:
        payload: the archive.

    Raises:
        ScanError: about the whole archive: `corrupt`, `encrypted`, `empty_archive`,
            `too_many_members`, `too_large` or `unsupported_format`.
    """
    archive = _open(payload)
    infos = [info for info in archive.infolist() if not _is_junk(info)]
    if any(info.flag_bits & 0x1 for info in infos):
        raise ScanError("encrypted", "The archive has a password. Pack it without one.")
    if any(info.filename == "[Content_Types].xml" for info in infos):
        raise ScanError(
            "unsupported_format", "This is an office document. Export the scan and send that file."
        )
    if not infos:
        raise ScanError("empty_archive", "The archive is empty. Pack the scans again.")
    if len(infos) > MAX_MEMBERS:
        raise _too_many_members()
    if sum(info.file_size for info in infos) > MAX_UNPACKED_BYTES:
        raise ScanError(
            "too_large",
            f"The archive unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MB. Send it in parts.",
        )
    for info in infos:
        yield Member(_safe_path(info.filename), _refusal(info), archive, info)


def nested_archive() -> ScanError:
    """The error for an archive in an archive, and for archives that are no ZIP."""
    return ScanError(
        "unsupported_archive",
        "This is an archive inside of another, or of a kind that we cannot read. "
        "Unpack it and send the files as one ZIP.",
    )


def compression_ratio() -> ScanError:
    """The error for data that unpack to far more than a scan would."""
    return ScanError(
        "compression_ratio",
        f"The data unpack to over {MAX_RATIO} times their size, which no scan does. "
        "Send the scan itself, not a mask.",
    )


def _too_many_members() -> ScanError:
    return ScanError(
        "too_many_members",
        f"The archive holds more than {MAX_MEMBERS} files. Send it in parts, a series each.",
    )


def _open(payload: bytes) -> zipfile.ZipFile:
    problem = ScanError("corrupt", "The archive is damaged or incomplete. Pack it again.")
    size = _directory_bytes(payload)
    if size is None:
        raise problem
    if size > _MAX_DIRECTORY_BYTES:
        raise _too_many_members()
    try:
        return zipfile.ZipFile(BytesIO(payload))
    except Exception:  # noqa: S110 zipfile raises several kinds on hostile bytes
        pass
    raise problem


def _directory_bytes(payload: bytes) -> int | None:
    """Size of the table of contents as zipfile will read it; None if there is none."""
    end = len(payload) - 22
    if payload[end : end + 4] != _END or payload[-2:] != b"\0\0":
        end = payload.rfind(_END, max(0, len(payload) - 22 - 2**16))
    if end < 0 or len(payload) < end + 22:
        return None
    if payload[end - 20 : end - 16] == _END64_LOCATOR and end >= 76:
        return int(struct.unpack_from("<Q", payload, end - 76 + 40)[0])
    return int(struct.unpack_from("<L", payload, end + 12)[0])


def _is_junk(info: zipfile.ZipInfo) -> bool:
    parts = re.split(r"[\\/]", info.filename)
    hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
    return hidden or "__MACOSX" in parts or parts[-1].lower() in _JUNK


def _safe_path(name: str) -> str:
    printable = "".join(character if character.isprintable() else "_" for character in name)
    parts = re.split(r"[\\/]", re.sub(r"^[A-Za-z]:", "", printable))
    kept = [part for part in parts if part not in ("", ".", "..")]
    return str(PurePosixPath(*kept))[-_LONGEST_PATH:].lstrip("/") if kept else "_"


def _refusal(info: zipfile.ZipInfo) -> ScanError | None:
    """Why a member is not read, from the table of contents alone."""
    if stat.S_ISLNK(info.external_attr >> 16):
        return ScanError("link", "This is a link to another file. Pack the file itself.")
    if info.compress_type not in _METHODS:
        return ScanError(
            "unsupported_compression",
            "This member is packed in a way that we cannot read. Pack it as a plain ZIP.",
        )
    if info.file_size > MAX_STUDY_BYTES:
        return ScanError(
            "too_large",
            f"This member is larger than {MAX_STUDY_BYTES // 2**20} MB. Send a part of it.",
        )
    if info.file_size > max(RATIO_FREE_BYTES, MAX_RATIO * info.compress_size):
        return compression_ratio()
    return None
