"""Decoders of compressed DICOM frames: a plugin for pydicom on imagecodecs, the only one that we let it use.

imagecodecs bundles libjpeg-turbo, CharLS and OpenJPEG; pydicom alone would try every decoder it finds, one
after another, with whatever sizes a frame claims. Here a frame that claims another size than the header,
which was checked, fails before it takes memory or time.
"""

import struct
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: Name of the plugin in pydicom.
PLUGIN: Final = "checked"
_JPEG: Final = (
    "1.2.840.10008.1.2.4.50",  # baseline, 8 bits
    "1.2.840.10008.1.2.4.51",  # extended, 8 and 12 bits
    "1.2.840.10008.1.2.4.57",  # lossless
    "1.2.840.10008.1.2.4.70",  # lossless, first-order prediction
)
JPEG_LS: Final = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")  # lossless, near-lossless
_JPEG_2000: Final = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")  # lossless, lossy
_ADOBE: Final = b"\xff\xee\x00\x0eAdobe"
#: Start of a JPEG 2000 codestream and of the segment with its size.
_CODESTREAM: Final = b"\xff\x4f\xff\x51"
_END_OF_IMAGE: Final = b"\xff\xd9"
_JPEG_LS_START: Final = 0xF7
_MAX_OFFSET: Final = 2**16
_RLE: Final = "1.2.840.10008.1.2.5"
NATIVE: Final = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
COMPRESSED: Final = (*_JPEG, *JPEG_LS, *_JPEG_2000, _RLE)
#: pydicom asks for it; imagecodecs is among our requirements.
DECODER_DEPENDENCIES: Final = dict.fromkeys(COMPRESSED, ("imagecodecs",))


def is_available(uid: str) -> bool:
    """Whether frames of a transfer syntax can be decoded; pydicom asks."""
    return uid in COMPRESSED


@cache
def register() -> None:
    """Make the plugin known to pydicom, once."""
    from pydicom.pixels import get_decoder

    for uid in COMPRESSED:
        get_decoder(uid).add_plugin(PLUGIN, (__name__, "decode_frame"))


def decode_frame(frame: bytes, runner: Any) -> bytes:
    """Decode one frame; pydicom calls it and interprets the bytes by the runner's options.

    Args:
        frame: as encoded.
        runner: what pydicom knows of the frame; where the codec has another depth or colour space,
            its options are set to that.

    Raises:
        Exception: of whatever kind imagecodecs raises; the frame cannot be decoded as described.
    """
    if runner.transfer_syntax == _RLE:
        return _decode_rle(frame, runner)
    shape: tuple[int, ...] = (runner.rows, runner.columns)
    if runner.samples_per_pixel > 1:
        shape += (runner.samples_per_pixel,)
        runner.set_option("planar_configuration", 0)
    pixels = _decode(frame, runner, shape)
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    return pixels.tobytes()


def _decode(frame: bytes, runner: Any, shape: tuple[int, ...]) -> NDArray:
    import imagecodecs

    syntax, photometric = runner.transfer_syntax, runner.photometric_interpretation
    if syntax in JPEG_LS:
        # A frame that was cut off is what keeps CharLS busy for seconds.
        if _END_OF_IMAGE not in frame[-4:]:
            raise ValueError("The frame is incomplete.")
        return imagecodecs.jpegls_decode(frame, out=_room(shape, _check_jpeg(frame, shape)))
    if syntax in _JPEG_2000:
        _check_jpeg_2000(frame, shape)
        precision = runner.get_option("j2k_precision", runner.bits_stored)
        signed = runner.get_option("j2k_is_signed", bool(runner.pixel_representation))
        if photometric in ("YBR_RCT", "YBR_ICT"):  # OpenJPEG undoes these itself
            runner.set_option("photometric_interpretation", "RGB")
        room = _room(shape, precision, signed=signed)
        return imagecodecs.jpeg2k_decode(frame, out=room, numthreads=1)
    # Without Adobe's whole marker libjpeg takes three components for YCbCr, whatever the header says.
    as_stored = photometric == "RGB" and _ADOBE not in frame[:1024]
    colours = "RGB" if as_stored else None
    if len(shape) == 3:
        runner.set_option("photometric_interpretation", "RGB")
    room = _room(shape, _check_jpeg(frame, shape))
    return imagecodecs.jpeg8_decode(frame, colorspace=colours, outcolorspace=colours, out=room)


def _decode_rle(frame: bytes, runner: Any) -> bytes:
    import imagecodecs

    room = bytearray(int(runner.frame_length(unit="bytes")))
    decoded = imagecodecs.dicomrle_decode(
        frame, np.dtype(f"<u{runner.bits_allocated // 8}"), out=room
    )
    if len(decoded) != len(room):
        raise ValueError("The frame is shorter than its header says.")
    runner.set_option("planar_configuration", 1)
    return bytes(room)


def _room(shape: tuple[int, ...], precision: int, *, signed: bool = False) -> NDArray:
    return np.empty(shape, f"{'i' if signed else 'u'}{1 if precision <= 8 else 2}")


def _check_jpeg_2000(frame: bytes, shape: tuple[int, ...]) -> None:
    """The size in the codestream's own header; OpenJPEG allocates by it before it asks for room."""
    at = frame.find(_CODESTREAM, 0, 4096) + len(_CODESTREAM)
    right, bottom, left, top = struct.unpack_from(">4L", frame, at + 4)
    if (bottom - top, right - left) != shape[:2] or max(left, top) > _MAX_OFFSET:
        raise ValueError("The frame has another size than its header says.")


def _check_jpeg(frame: bytes, shape: tuple[int, ...]) -> int:
    """Bits of a sample, from the start-of-frame segment, which must state the size expected."""
    at = 2
    while at + 9 <= len(frame):
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4])
        if marker == _JPEG_LS_START or (
            0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)
        ):
            precision, rows, columns = struct.unpack_from(">BHH", frame, at + 4)
            if (rows, columns) != shape[:2]:
                break
            return int(precision)
        at += 2 + length
    raise ValueError("The frame has another size than its header says.")
