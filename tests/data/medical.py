"""Writes scans as image, DICOM and NIfTI files, good and odd, for tests of whatever reads them."""

import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path

import nibabel
import numpy as np
from nibabel.testing import data_path
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    MRImageStorage,
    RLELossless,
    generate_uid,
)

from data.imaging import prepare_scan
from data.reading import read_studies
from data.studies import ScanFile, Study

AXIAL = [1, 0, 0, 0, 1, 0]
CORONAL = [1, 0, 0, 0, 0, -1]
SAGITTAL = [0, 1, 0, 0, 0, -1]
#: Windows that map stored values 0 to 255, and 0 to 4080, onto 0 to 255.
EIGHT_BITS = {"WindowCenter": 128, "WindowWidth": 256}
TWELVE_BITS = {"WindowCenter": 2040.5, "WindowWidth": 4081}


def grey(path: Path, size: int | None = None) -> np.ndarray:
    """A sample as uint8 `[H, W]`, `size` on each side if given."""
    with Image.open(path) as image:
        image = image.convert("L")
        return np.array(image.resize((size, size), Image.Resampling.LANCZOS) if size else image)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """An image as a file; `options` are Pillow's."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(levels: np.ndarray) -> bytes:
    return encoded(Image.fromarray(levels))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + body


def plain(levels: np.ndarray) -> np.ndarray:
    """What the model gets of the same levels as a PNG."""
    return prepare_scan(png(levels))


def dicom(
    pixels: np.ndarray,
    *,
    syntax: str = ExplicitVRLittleEndian,
    frames: list[bytes] | None = None,
    **elements,
) -> bytes:
    """A DICOM file of an MRI: `[H, W]`, `[frames, H, W]` or `[H, W, 3]`; `frames` are encoded already.

    An element of None is left out.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "MR"
    colour = pixels.shape[-1] == 3
    dataset.Rows, dataset.Columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        dataset.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    if frames is None:
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    else:
        dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OW" if frames is None and pixels.dtype.itemsize > 1 else "OB"
    for keyword, value in elements.items():
        if value is None:
            dataset.pop(keyword, None)
        else:
            setattr(dataset, keyword, value)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def rle(pixels: np.ndarray) -> bytes:
    """One grey frame, run-length encoded."""
    return get_encoder(RLELossless).encode(
        pixels.tobytes(),
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        samples_per_pixel=1,
        bits_allocated=8 * pixels.dtype.itemsize,
        bits_stored=8 * pixels.dtype.itemsize,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
        number_of_frames=1,
    )


def series(scans: list[np.ndarray], *, step: float = 5.0, **elements) -> list[bytes]:
    """One file for each axial slice, from below, `step` millimetres apart."""
    uid = generate_uid()
    return [
        dicom(
            scan,
            **{
                "SeriesInstanceUID": uid,
                "InstanceNumber": i + 1,
                "ImageOrientationPatient": AXIAL,
                "ImagePositionPatient": [-100, -120, -40 + step * i],
                "PixelSpacing": [1, 1],
            }
            | EIGHT_BITS
            | elements,
        )
        for i, scan in enumerate(scans)
    ]


def nifti(
    voxels: np.ndarray, affine: np.ndarray | None = None, *, second: bool = False, **fields
) -> bytes:
    """A NIfTI file; `fields` are put into its header as they are."""
    kind = nibabel.Nifti2Image if second else nibabel.Nifti1Image
    image = kind(voxels, np.eye(4) if affine is None else affine)
    payload = image.to_bytes()
    if fields:
        header_kind = type(image.header)
        size = header_kind.template_dtype.itemsize
        header = header_kind(payload[:size], check=False)
        for field, value in fields.items():
            header[field] = value
        payload = header.binaryblock + payload[size:]
    return payload


def gzip_bomb() -> bytes:
    """A volume of 1.7 GB in 0.4 MB: all of it is zeros, behind a header that claims them."""
    header = nifti(np.zeros((8, 8, 8), np.int16), dim=[4, 512, 512, 250, 26, 1, 1, 1])[:352]
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb", compresslevel=9) as file:
        file.write(header)
        for _ in range(400):
            file.write(bytes(2**20))
    return bomb.getvalue()


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, payload in members.items():
            archive.writestr(name, payload)
    return file.getvalue()


def bundled(name: str) -> bytes:
    """A test file inside pydicom's package; nothing is downloaded."""
    return Path(get_testdata_file(name, download=False)).read_bytes()


def bundled_nifti(name: str) -> bytes:
    """A test file inside nibabel's package."""
    return Path(data_path, name).read_bytes()


def read(*payloads: bytes) -> list:
    """Everything that is read from files."""
    return list(read_studies([ScanFile("scan", payload) for payload in payloads]))


def read_study(*payloads: bytes) -> Study:
    """The only thing that is read, a study."""
    (study,) = read(*payloads)
    assert isinstance(study, Study), study
    return study


def refusal(*payloads: bytes) -> tuple[str, str]:
    """Code and sentence of the only thing that is read, a refusal."""
    (refused,) = read(*payloads)
    return refused.error.code, str(refused.error)
