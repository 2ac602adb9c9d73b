"""Pixels of DICOM frames, as values of the scanner or as colours."""

from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from data.dicom_codecs import JPEG_LS, NATIVE, PLUGIN, register
from data.dicom_header import Frame, no_image, parse, quiet_pydicom
from data.imaging import ScanError

_PIXEL_DATA: Final = 0x7FE00010
#: Damaged JPEG-LS frames after which no other is tried: CharLS may take seconds to give up on one,
#: however small it is (an overflow in its run mode; seen in one of 700 damaged frames).
_MAX_SLOW_FAILURES: Final = 3
_GREY: Final = ("MONOCHROME1", "MONOCHROME2")


class FrameReader:
    """Frames of many files, of which the last one stays open, so that memory holds one at a time."""

    def __init__(self) -> None:
        self._read: Callable[[], bytes] | None = None
        self._dataset: Any = None
        self._slow_failures = 0

    def frame(self, read: Callable[[], bytes], frame: Frame, padding: int | None) -> NDArray:
        """Decode one frame.

        Args:
            read: returns a file of which `read_header` has shown that it can be read.
            frame: of that file.
            padding: stored value of pixels outside the image.

        Returns:
            float32 `[rows, columns]`, values, NaN where there are none; or, of a colour image, uint8
            `[rows, columns, 3]`, RGB.

        Raises:
            ScanError: `corrupt` or `no_image`.
        """
        problem = _corrupt()
        with quiet_pydicom():
            try:
                if self._read is not read:
                    self._read, self._dataset = None, None
                    self._dataset = _open(read())
                    self._read = read
                pixels = self._decode(frame.index)
                if pixels.ndim == 2 and self._dataset.PhotometricInterpretation in _GREY:
                    return _values(pixels, frame, padding)
                return _colours(self._dataset, pixels)
            except ScanError as error:
                problem = error
            except Exception:  # noqa: S110 decoders raise nearly anything; `problem` is raised
                pass
        raise problem

    def _decode(self, index: int) -> NDArray:
        from pydicom.pixels import pixel_array

        register()
        syntax = self._dataset.file_meta.TransferSyntaxUID
        may_be_slow = syntax in JPEG_LS
        if may_be_slow and self._slow_failures >= _MAX_SLOW_FAILURES:
            raise _corrupt()
        self._slow_failures += may_be_slow
        plugin = "" if syntax in NATIVE else PLUGIN
        pixels = pixel_array(self._dataset, index=index, decoding_plugin=plugin)
        self._slow_failures -= may_be_slow
        return pixels


def _open(payload: bytes) -> Any:
    from pydicom.filereader import read_dataset

    dataset, pixels_at = parse(payload)
    file = BytesIO(payload)
    file.seek(pixels_at)
    implicit, little = dataset.original_encoding
    tail = read_dataset(file, implicit, little, stop_when=lambda tag, *_: tag > _PIXEL_DATA)
    if _PIXEL_DATA not in tail:
        raise no_image()
    dataset[_PIXEL_DATA] = tail[_PIXEL_DATA]
    return dataset


def _values(pixels: NDArray, frame: Frame, padding: int | None) -> NDArray[np.float32]:
    # Single precision holds 16 bits exactly.
    values: NDArray = pixels.astype(np.float32 if pixels.dtype.itemsize <= 2 else np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        values *= frame.slope
        values += frame.intercept
        single: NDArray[np.float32] = values.astype(np.float32, copy=False)
    single[~np.isfinite(single)] = np.nan
    if padding is not None:
        single[pixels == padding] = np.nan
    return single


def _colours(dataset: Any, pixels: NDArray) -> NDArray[np.uint8]:
    """8-bit RGB; a screen capture's range is its own."""
    from pydicom.pixels import apply_color_lut

    bits = int(dataset.BitsStored)
    if pixels.ndim == 2:
        pixels = apply_color_lut(pixels, dataset)
        bits = 8 * pixels.dtype.itemsize
    if bits == 8:
        return pixels.astype(np.uint8)
    return np.rint(pixels.astype(np.float64) * (255 / (2**bits - 1))).clip(0, 255).astype(np.uint8)


def _corrupt() -> ScanError:
    return ScanError(
        "corrupt", "The pixels of the file are damaged or incomplete. Export the series again."
    )
