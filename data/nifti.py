"""NIfTI volumes, .nii and .nii.gz: slices as a radiologist sees them.

Only the header goes through nibabel; the voxels are a view of the file's bytes, so a volume costs what
it holds and not several times that.
"""

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.archive import MAX_RATIO, RATIO_FREE_BYTES, compression_ratio
from data.imaging import ScanError
from data.planes import PLANES, Plane, View, view_of
from data.studies import Note, ScanSlice
from data.volume import as_image, as_still, as_volume, check_slices, check_spacing
from data.window import Mapping, choose_mapping, sampled

#: Bytes of one volume: 512 × 512 × 256 voxels of four bytes, finer than any clinical scan of a head.
MAX_VOLUME_BYTES: Final = 512 * 512 * 256 * 4
_GZIP: Final = b"\x1f\x8b"
_CHUNK: Final = 2**16
_HEADER_BYTES: Final = 540
#: Names of number types that hold one real value a voxel.
_NUMBERS: Final = frozenset("iuf")
#: Slices thicker than twice the pixels show best as they were scanned, whatever the plane.
_THICK: Final = 2.0
_MM: Final = {1: 1000.0, 3: 0.001}  # metres, micrometres


@dataclass(frozen=True)
class NiftiVolume:
    """A volume, read.

    Attributes:
        slices: in the order of `plane`'s axis: from below, from behind or from the left.
        spacing_mm: from slice to slice.
    """

    slices: tuple[ScanSlice, ...]
    plane: Plane
    spacing_mm: float
    notes: tuple[Note, ...]


def is_nifti(payload: bytes) -> bool:
    """Whether a file has the header of NIfTI 1 or 2, gzipped or not."""
    start = _start(payload)
    return start[344:347] in (b"n+1", b"ni1") or start[4:7] in (b"n+2", b"ni2")


def read_nifti(payload: bytes) -> NiftiVolume:
    """Read the slices of a volume, of the first one where there are several.

    They are axial, anterior up, or as they were scanned where they are thick. Values that are no
    numbers are black.

    Args:
        payload: a file for which `is_nifti` holds.

    Raises:
        ScanError: `bad_header`, `corrupt`, `unsupported_pixels`, `too_large`, `too_many_slices`,
            `too_many_pixels`, `too_small`, `compression_ratio` or `blank`.
    """
    head = _Head(_start(payload))
    check_slices(1, *head.slice_shape)
    check_slices(head.shape[head.axis], *head.slice_shape)
    check_spacing(*head.slice_spacing)
    needed = head.offset + head.volume_bytes
    if head.volume_bytes > MAX_VOLUME_BYTES:
        raise ScanError(
            "too_large",
            f"The volume has more than {MAX_VOLUME_BYTES // 2**20} MB. Resample it to 1 mm or crop it.",
        )
    plain = _inflate(payload, needed)
    if len(plain) < needed:
        raise _corrupt()
    voxels: NDArray = np.ndarray(head.shape, head.dtype, plain, head.offset, order="F")
    return _sliced(head, voxels)


class _Head:
    """What a header says, checked, and what follows for the slices."""

    def __init__(self, start: bytes) -> None:
        header = _parse(start)
        self.shape = _shape(header)
        self.volumes = math.prod(int(size) for size in header["dim"][4 : header["dim"][0] + 1])
        self.dtype = _dtype(header)
        self.offset = _offset(header)
        self.slope, self.intercept = _scale(header)
        axes, signs = _axes(header)
        # pixdim counts metres or micrometres where the header says so; no unit means millimetres.
        factor = _MM.get(int(header["xyzt_units"]) & 7, 1.0)
        sizes = [float(size) * factor for size in np.abs(header["pixdim"][1:4])]
        if not np.isfinite(sizes).all() or min(sizes) <= 0:
            raise _bad_header()
        self.axis = _slice_axis(axes, sizes)
        rows, columns = (axis for axis in range(3) if axis != self.axis)
        self.slice_shape = self.shape[rows], self.shape[columns]
        self.slice_spacing = sizes[rows], sizes[columns]
        self.spacing_mm = sizes[self.axis]
        self.backwards = signs[self.axis] < 0
        # NIfTI counts to the right and forwards, DICOM to the left and backwards.
        to_dicom = np.array([-1.0, -1.0, 1.0])
        self.view: View = view_of(
            *(np.eye(3)[axes[axis]] * signs[axis] * to_dicom for axis in (columns, rows))
        )

    @property
    def volume_bytes(self) -> int:
        rows, columns, slices = self.shape
        return rows * columns * slices * self.dtype.itemsize


def _sliced(head: _Head, voxels: NDArray) -> NiftiVolume:
    stack = np.moveaxis(voxels, head.axis, 0)
    stack = stack[::-1] if head.backwards else stack
    samples = np.stack([_values(head, stack[i]) for i in sampled(len(stack))])
    mapping = choose_mapping([], samples)
    images = _images(head, stack, mapping)
    notes: tuple[Note, ...] = ()
    if head.volumes > 1:
        notes = (Note("first_volume", "The file holds several volumes; only the first was read."),)
    slices = as_volume(images) if len(stack) > 1 else (as_still(next(images)),)
    return NiftiVolume(slices, head.view.plane, head.spacing_mm, notes)


def _images(head: _Head, stack: NDArray, mapping: Mapping) -> Iterator[Image.Image]:
    rows_mm, columns_mm = head.slice_spacing
    spacing = (columns_mm, rows_mm) if head.view.transposed else (rows_mm, columns_mm)
    for one in stack:
        yield as_image(head.view.show(mapping.levels(_values(head, one))), spacing)


def _values(head: _Head, stored: NDArray) -> NDArray[np.float32]:
    """Values of stored ones; what is infinite, or becomes it in single precision, is no number."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = stored.astype(np.float64) * head.slope + head.intercept
        single = values.astype(np.float32)
    return np.where(np.isfinite(single), single, np.float32(np.nan))


def _parse(start: bytes) -> NDArray:
    """The fields of the header in native names, of either version and byte order."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    is_second = start[4:7] in (b"n+2", b"ni2")
    kind = Nifti2Header if is_second else Nifti1Header
    size = kind.template_dtype.itemsize
    if len(start) < size:
        raise _corrupt()
    # Unchecked: nibabel's own checks repair and log; ours refuse.
    header = kind(start[:size], check=False)
    if int(header["sizeof_hdr"]) != size:
        raise _bad_header()
    if start[4:7] == b"ni2" or (not is_second and start[344:347] == b"ni1"):
        raise ScanError(
            "bad_header", "The file is half of a pair. Convert it to a single .nii file."
        )
    return header


def _shape(header: NDArray) -> tuple[int, int, int]:
    rank, *sizes = (int(size) for size in header["dim"])
    if not 2 <= rank <= 7 or min(sizes[:rank]) < 1:
        raise _bad_header()
    first, second, third = (*sizes[:rank], 1)[:3]
    return first, second, third


def _dtype(header: NDArray) -> np.dtype:
    from nibabel.nifti1 import data_type_codes

    try:
        dtype = np.dtype(data_type_codes.dtype[int(header["datatype"])])
    except KeyError:
        raise _bad_header() from None
    if dtype.kind not in _NUMBERS or dtype.itemsize > 8:
        raise ScanError(
            "unsupported_pixels",
            "Its voxels are colours, complex or of unusual precision. Send plain grey values.",
        )
    return dtype.newbyteorder(header.endianness)  # type: ignore[attr-defined]


def _offset(header: NDArray) -> int:
    """Where the voxels begin; after the header, its end mark and extensions."""
    least, offset = int(header["sizeof_hdr"]) + 4, float(header["vox_offset"])
    if offset == 0:
        return least
    if not least <= offset <= 2**24 or offset % 1:
        raise _bad_header()
    return int(offset)


def _scale(header: NDArray) -> tuple[float, float]:
    """Slope and intercept; a slope of 0 or none means unscaled, by the standard."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if not np.isfinite(slope) or slope == 0:
        return 1.0, 0.0
    return slope, intercept if np.isfinite(intercept) else 0.0


def _axes(header: NDArray) -> tuple[list[int], list[float]]:
    """For each axis of the file the nearest one of right, anterior, superior, and its sign."""
    from nibabel.orientations import io_orientation

    try:
        with np.errstate(all="ignore"):
            affine = header.get_best_affine()  # type: ignore[attr-defined]
            orientation = io_orientation(affine)
    except Exception:  # quaternions and matrices fail in many ways
        raise _bad_header() from None
    if not np.isfinite(orientation).all():
        raise _bad_header()
    return [int(axis) for axis in orientation[:, 0]], list(orientation[:, 1])


def _slice_axis(axes: list[int], sizes: list[float]) -> int:
    """Which axis of the file to slice along."""
    thick = int(np.argmax(sizes))
    others = [size for axis, size in enumerate(sizes) if axis != thick]
    if sizes[thick] >= _THICK * max(others):
        return thick
    return axes.index(PLANES.index(Plane.AXIAL))


def _start(payload: bytes) -> bytes:
    """The header's bytes, unpacked; empty if they cannot be."""
    if not payload.startswith(_GZIP):
        return payload[:_HEADER_BYTES]
    try:
        return zlib.decompressobj(wbits=31).decompress(payload[:_CHUNK], _HEADER_BYTES)
    except zlib.error:
        return b""


def _inflate(payload: bytes, size: int) -> bytes | bytearray:
    """At least the first `size` bytes of a file, unpacked if it is gzipped; fewer if there are no more.

    Raises:
        ScanError: `corrupt`, or `compression_ratio`, as soon as that is plain.
    """
    if not payload.startswith(_GZIP):
        return payload
    unpacked, rest, taken = bytearray(), memoryview(payload), 0
    inflater = zlib.decompressobj(wbits=31)
    try:
        # A little more, so that a file which ends here, or should, has its check sum compared.
        while len(unpacked) < size + _CHUNK:
            if inflater.eof:  # one member ends, another may follow
                taken -= len(inflater.unused_data)
                inflater = zlib.decompressobj(wbits=31)
            chunk = inflater.unconsumed_tail or rest[taken : taken + _CHUNK]
            if not chunk:
                break
            taken += 0 if inflater.unconsumed_tail else len(chunk)
            unpacked += inflater.decompress(chunk, min(2**20, size + _CHUNK - len(unpacked)))
            if len(unpacked) > max(RATIO_FREE_BYTES, MAX_RATIO * taken):
                raise compression_ratio()
    except zlib.error:
        raise _corrupt() from None
    return unpacked


def _corrupt() -> ScanError:
    return ScanError("corrupt", "The volume is damaged or incomplete. Export it again.")


def _bad_header() -> ScanError:
    return ScanError("bad_header", "The header of the volume is impossible. Convert it again.")
