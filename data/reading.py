"""From files as somebody has them to studies as the model reads them: the one way in for page and API.

What kind of file something is, its content alone tells.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from data.archive import is_archive, is_other_archive, nested_archive, read_archive
from data.dicom import DicomSeries
from data.dicom_header import is_dicom
from data.imaging import ScanError, decode_scan, is_still, letterbox
from data.nifti import is_nifti, read_nifti
from data.quality import check_quality
from data.studies import MAX_STUDY_BYTES, RefusedFile, ScanFile, ScanSlice, Study, StudyKind

#: Stills of one archive; a batch of files has as many.
MAX_STILLS: Final = 200


def read_studies(files: Iterable[ScanFile]) -> Iterator[Study | RefusedFile]:
    """Read files one after another; one that cannot be read yields its reason, and the rest goes on.

    Stills and NIfTI volumes come in the order of the files; DICOM series, whose slices may lie anywhere
    among them, after all else. Further files of a series that is refused as a whole yield nothing.

    Args:
        files: PNG, JPEG, WebP, DICOM, NIfTI, or ZIP archives of these; told apart by content.
    """
    reader = _StudyReader()
    for number, file in enumerate(files):
        yield from reader.read(number, file.payload)
    yield from reader.series()


class _StudyReader:
    """Reads file after file, then the DICOM series among them."""

    def __init__(self) -> None:
        self._dicom = DicomSeries()

    def read(self, number: int, payload: bytes) -> Iterator[Study | RefusedFile]:
        """Read what one file holds, but for DICOM, which is kept until all files of its series came."""
        if not is_archive(payload):
            yield from self._read_one(number, None, payload, lambda: payload)
            return
        try:
            yield from self._read_archive(number, payload)
        except ScanError as error:
            yield RefusedFile(file=number, error=error)

    def series(self) -> Iterator[Study | RefusedFile]:
        """Read the DICOM series that were found."""
        yield from self._dicom.studies()

    def _read_archive(self, number: int, payload: bytes) -> Iterator[Study | RefusedFile]:
        _check_size(payload)
        stills = 0
        for member in read_archive(payload):
            try:
                content = member.read()
                if is_archive(content):
                    raise nested_archive()
                stills += is_still(content)
                if stills > MAX_STILLS:
                    raise ScanError(
                        "too_many_members",
                        f"The archive holds more than {MAX_STILLS} images. Send the others in another.",
                    )
            except ScanError as error:
                yield RefusedFile(file=number, member=member.path, error=error)
            else:
                yield from self._read_one(number, member.path, content, member.read)

    def _read_one(
        self, number: int, member: str | None, payload: bytes, read: Callable[[], bytes]
    ) -> Iterator[Study | RefusedFile]:
        try:
            if not payload or is_still(payload):
                yield _read_still(number, member, payload)
                return
            _check_size(payload)
            if is_dicom(payload):
                if refused := self._dicom.add(number, member, read, payload):
                    yield refused
                return
            if is_nifti(payload):
                yield _read_volume(number, member, payload)
                return
            raise nested_archive() if is_other_archive(payload) else _unsupported()
        except ScanError as error:
            yield RefusedFile(file=number, member=member, error=error)


def _read_still(number: int, member: str | None, payload: bytes) -> Study:
    image = decode_scan(payload)
    one = ScanSlice(letterbox(image), tuple(check_quality(image)))
    return Study(kind=StudyKind.IMAGE, file=number, member=member, slices=(one,))


def _read_volume(number: int, member: str | None, payload: bytes) -> Study:
    volume = read_nifti(payload)
    return Study(
        kind=StudyKind.VOLUME if len(volume.slices) > 1 else StudyKind.IMAGE,
        file=number,
        member=member,
        slices=volume.slices,
        plane=volume.plane,
        spacing_mm=volume.spacing_mm,
        notes=volume.notes,
    )


def _check_size(payload: bytes) -> None:
    if len(payload) > MAX_STUDY_BYTES:
        raise ScanError(
            "too_large",
            f"The file is larger than {MAX_STUDY_BYTES // 2**20} MB. Send a part of it, a series each.",
        )


def _unsupported() -> ScanError:
    return ScanError(
        "unsupported_format",
        "This is not a PNG, JPEG or WebP image, nor DICOM, NIfTI or ZIP. "
        "Export the scan in one of these formats.",
    )
