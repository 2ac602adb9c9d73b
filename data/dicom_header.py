"""What we read of a DICOM file besides pixels: numbers and codes, nothing about the patient.

pydicom is given the list of elements to keep, so names, dates and free text never become objects; its
warnings and log lines, which quote values, are held back while it reads; and no error of ours holds a
value or the error of pydicom that does.
"""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from data.dicom_codecs import COMPRESSED, NATIVE
from data.dicom_scope import refuse_what_we_cannot_judge
from data.dicom_values import count_of, floats_of, numbers_of, text_of, values_of
from data.imaging import ScanError
from data.volume import check_slices, check_spacing
from data.window import LookupTable, Mapping, Window

#: What comes before the pixels. Some kilobytes; two or three megabytes for 1000 frames
#: that describe themselves.
MAX_HEADER_BYTES: Final = 4 * 2**20
#: Items of all sequences before the pixels; 1000 frames that describe themselves have ten each. Each
#: costs pydicom a kilobyte and 25 µs.
_MAX_ITEMS: Final = 2**16
_ITEMS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
#: Frames of one file, several volumes of it included.
MAX_FRAMES: Final = 4096
_MAX_TABLE_BYTES: Final = 2**17
#: Of a compressed frame, its own header left out.
_FRAGMENT_BYTES: Final = 8
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
#: Group 2 or 8 as the first thing in a file without preamble, little-endian or big-endian.
_BARE: Final = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
_TAGS: Final = (
    "SOPClassUID", "Modality", "BodyPartExamined", "ImageType", "SeriesInstanceUID", "InstanceNumber",
    "EchoNumbers", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelPaddingValue", "PixelSpacing", "PixelAspectRatio", "SpacingBetweenSlices",
    "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept",
    "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
)  # fmt: skip
_LOCK: Final = threading.RLock()


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame of a file.

    Attributes:
        index: in its file, from 0.
        position: of its first pixel, millimetres to the left, posterior, superior: float64 `[3]`.
        directions: unit vectors along which column and row numbers grow: float64 `[2, 3]`.
        spacing: from row to row and from column to column.
        slope: values are stored ones times this,
        intercept: and this added.
        mapping: to grey levels, where the file tells.
    """

    index: int
    position: NDArray[np.float64] | None
    directions: NDArray[np.float64] | None
    spacing: tuple[float, float]
    slope: float
    intercept: float
    mapping: Mapping | None


@dataclass(frozen=True, kw_only=True)
class Header:
    """One file.

    Attributes:
        series: equal for the files of one series that belong to one stack.
        number: of the file in its series.
        gap_mm: from slice to slice as stated.
        inverted: low values are bright.
        padding: stored value of pixels outside the image.
    """

    series: tuple[object, ...] | None
    number: int
    rows: int
    columns: int
    frames: tuple[Frame, ...]
    gap_mm: float | None
    inverted: bool
    padding: int | None


class RefusedSeries(ScanError):
    """A file whose whole series is refused for the same reason.

    Attributes:
        series: equal for the files of one series.
    """

    def __init__(self, error: ScanError, series: tuple[object, ...] | None) -> None:
        super().__init__(error.code, str(error))
        self.series = series


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Let pydicom neither warn nor log; one thread at a time, since both are the process's."""
    logger = logging.getLogger("pydicom")
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logger.level
        logger.setLevel(logging.CRITICAL + 1)  # its children's, too
        try:
            yield
        finally:
            logger.setLevel(before)


def is_dicom(payload: bytes) -> bool:
    """Whether a file looks like DICOM: by its prefix, or bare elements of the groups that come first."""
    return payload[128:132] == b"DICM" or (
        len(payload) > 132 and payload[:2] in _BARE and (payload[2] == 0 or payload[3] == 0)
    )


def parse(payload: bytes) -> tuple[Any, int]:
    """The dataset up to its pixels, and the byte where they begin; call it within `quiet_pydicom`.

    Raises:
        ScanError: `unsupported_format`, `unsupported_compression` or `bad_header`.
        Exception: of whatever kind pydicom raises.
    """
    from pydicom import dcmread
    from pydicom.filereader import read_dataset

    has_prefix = payload[128:132] == b"DICM"
    start = payload[:MAX_HEADER_BYTES]
    if max(start.count(mark) for mark in _ITEMS) > _MAX_ITEMS:
        raise _bad_header()
    file = BytesIO(start)
    if has_prefix or payload[:2] == b"\x02\x00":
        file.seek(132 if has_prefix else 0)
        # dcmread would inflate a deflated file without a bound.
        meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
        if meta.get("TransferSyntaxUID") == _DEFLATED:
            raise unsupported_compression()
        file.seek(0)
    dataset = dcmread(file, force=True, stop_before_pixels=True, specific_tags=list(_TAGS))
    pixels_at = file.tell()
    if not has_prefix and "SOPClassUID" not in dataset and "Rows" not in dataset:
        raise ScanError("unsupported_format", "This is no file that we can read as a scan.")
    if pixels_at >= MAX_HEADER_BYTES:
        raise _bad_header()
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        implicit, little = dataset.original_encoding
        syntax = NATIVE[0] if implicit else NATIVE[1] if little else NATIVE[2]
        dataset.file_meta.TransferSyntaxUID = syntax
    if syntax not in NATIVE and syntax not in COMPRESSED:
        raise unsupported_compression()
    return dataset, pixels_at


def read_header(payload: bytes) -> Header:
    """Read what a file says about its pixels.

    Args:
        payload: a file for which `is_dicom` holds.

    Raises:
        ScanError: `unsupported_format`, `unsupported_compression`, `corrupt`, `bad_header`,
            `no_image`, `unsupported_pixels`, or a size that `data.volume` refuses.
        RefusedSeries: `dicomdir`, `wrong_modality`, `wrong_body_part`, `localiser`, `mosaic`: what
            the file shows, this model cannot judge.
    """
    problem: ScanError | None = None
    with quiet_pydicom():
        try:
            return _header(parse(payload)[0], len(payload))
        except ScanError as error:
            problem = error
        except Exception:  # pydicom raises nearly anything on hostile bytes, values in the text
            problem = _bad_header()
    raise problem  # outside of the handler, so that it drags no other error along


def _header(dataset: Any, file_bytes: int) -> Header:
    uid = text_of(dataset, "SeriesInstanceUID")
    image_type = tuple(str(one) for one in values_of(dataset, "ImageType"))
    echo = tuple(str(one) for one in values_of(dataset, "EchoNumbers"))
    rows, columns = count_of(dataset, "Rows", 0), count_of(dataset, "Columns", 0)
    try:
        refuse_what_we_cannot_judge(
            sop_class=text_of(dataset, "SOPClassUID")
            or text_of(dataset.file_meta, "MediaStorageSOPClassUID"),
            modality=text_of(dataset, "Modality"),
            body_part=text_of(dataset, "BodyPartExamined"),
            image_type=image_type,
        )
    except ScanError as error:
        raise RefusedSeries(error, (uid, error.code) if uid else None) from None
    if not rows or not columns:
        raise no_image()
    photometric = text_of(dataset, "PhotometricInterpretation")
    samples = count_of(dataset, "SamplesPerPixel", 1)
    if count_of(dataset, "BitsAllocated", 0) not in (8, 16, 32) or samples not in (1, 3):
        raise ScanError(
            "unsupported_pixels",
            "The pixels of the file are no plain grey values or colours. Export it as an image.",
        )
    count = count_of(dataset, "NumberOfFrames", 1)
    check_slices(1, rows, columns)
    if count > MAX_FRAMES:
        check_slices(count, rows, columns)
    if count > 1 and count * _least_bytes(dataset, rows * columns) > file_bytes:
        raise ScanError("corrupt", "The file holds fewer frames than it says. Export it again.")
    frames = tuple(_frame(dataset, index) for index in range(count))
    return Header(
        series=(uid, rows, columns, photometric, samples, image_type, echo) if uid else None,
        number=int(floats_of(dataset, "InstanceNumber", 1, default=0.0)[0]),
        rows=rows,
        columns=columns,
        frames=frames,
        gap_mm=_gap(dataset),
        inverted=photometric == "MONOCHROME1",
        padding=_padding(dataset),
    )


def _least_bytes(dataset: Any, pixels: int) -> int:
    """That a frame takes in the file, at least; YBR may share colours between neighbours."""
    if dataset.file_meta.TransferSyntaxUID in NATIVE:
        return pixels * count_of(dataset, "BitsAllocated", 8) // 8
    return _FRAGMENT_BYTES


def _frame(dataset: Any, index: int) -> Frame:
    """Read from the frame's own groups, from the shared ones, or from the file's elements."""

    def group(keyword: str) -> Any:
        per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
        shared = dataset.get("SharedFunctionalGroupsSequence") or []
        for groups in (*per_frame[index : index + 1], *shared[:1]):
            if items := groups.get(keyword):
                return items[0]
        return dataset

    position = numbers_of(group("PlanePositionSequence"), "ImagePositionPatient", 3)
    scale = group("PixelValueTransformationSequence")
    slope = float(floats_of(scale, "RescaleSlope", 1, default=1.0)[0]) or 1.0
    measures = group("PixelMeasuresSequence")
    spacing = numbers_of(measures, "PixelSpacing", 2)
    if spacing is None:
        spacing = floats_of(dataset, "PixelAspectRatio", 2, default=1.0)
    check_spacing(float(spacing[0]), float(spacing[1]))
    return Frame(
        index=index,
        position=position,
        directions=_directions(group("PlaneOrientationSequence")),
        spacing=(float(spacing[0]), float(spacing[1])),
        slope=slope,
        intercept=float(floats_of(scale, "RescaleIntercept", 1, default=0.0)[0]),
        mapping=_mapping(group("FrameVOILUTSequence")),
    )


def _directions(dataset: Any) -> NDArray[np.float64] | None:
    cosines = numbers_of(dataset, "ImageOrientationPatient", 6)
    if cosines is None:
        return None
    pair = cosines.reshape(2, 3)
    lengths = np.linalg.norm(pair, axis=1)
    # Two unit vectors across each other; anything else says nothing about the plane.
    if np.abs(lengths - 1).max() > 0.05 or abs(pair[0] @ pair[1]) > 0.05:
        return None
    return pair / lengths[:, None]


def _mapping(dataset: Any) -> Mapping | None:
    tables = dataset.get("VOILUTSequence")
    if tables and (table := _lookup_table(dataset, tables[0])):
        return table
    centre, width = numbers_of(dataset, "WindowCenter"), numbers_of(dataset, "WindowWidth")
    if centre is None or width is None or not 0 < width[0] < np.inf:
        return None
    function = text_of(dataset, "VOILUTFunction")
    middle, half = float(centre[0]), float(width[0]) / 2
    if function in ("", "LINEAR"):  # by the standard half a value off, and a value narrower
        middle, half = middle - 0.5, max(half - 0.5, 1e-3)
    return Window(middle - half, middle + half, sigmoid=function == "SIGMOID")


def _lookup_table(dataset: Any, item: Any) -> LookupTable | None:
    from pydicom.pixels import apply_voi

    descriptor = numbers_of(item, "LUTDescriptor", 3)
    data = item.get_item("LUTData")
    if descriptor is None or data is None or len(data.value) > _MAX_TABLE_BYTES:
        return None
    entries, first = int(descriptor[0]) or 2**16, int(descriptor[1])
    shown = apply_voi(np.arange(first, first + entries), dataset).astype(np.float64)
    if shown.max() == shown.min():
        return None
    levels = 255 * (shown - shown.min()) / (shown.max() - shown.min())
    return LookupTable(first, np.rint(levels).astype(np.uint8))


def _padding(dataset: Any) -> int | None:
    value = numbers_of(dataset, "PixelPaddingValue", 1)
    return None if value is None else int(value[0])


def _gap(dataset: Any) -> float | None:
    value = numbers_of(dataset, "SpacingBetweenSlices", 1)
    return None if value is None or not value[0] > 0 else float(value[0])


def no_image() -> ScanError:
    """The error for a file without pixels."""
    return ScanError("no_image", "The file holds no image. Send the images of the scan.")


def unsupported_compression() -> ScanError:
    """The error for a transfer syntax that we cannot decode."""
    return ScanError(
        "unsupported_compression",
        "The file is compressed in a way that we cannot read. Export it uncompressed.",
    )


def _bad_header() -> ScanError:
    return ScanError("bad_header", "The header of the file is damaged. Export the series again.")
