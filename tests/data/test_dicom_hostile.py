"""DICOM files made to crash, to exhaust memory, or to get a patient's name into a log."""

import io
import logging
import struct
import subprocess
import sys
import warnings
import zlib

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from data.dicom_header import MAX_HEADER_BYTES
from data.reading import read_studies
from data.studies import RefusedFile, ScanFile, Study
from tests.data.medical import bundled, dicom, packed, read, read_study, refusal, series

NAME = "Mustermann"
TAGS = {
    "PatientName": "Mustermann^Erika",
    "PatientID": "ID-Mustermann",
    "PatientBirthDate": "Mustermann",  # no date: pydicom's warning quotes it
    "PatientAddress": "Mustermann Road 1",
    "InstitutionName": "Mustermann Clinic",
    "SeriesDescription": "Head of Mustermann",
    "PatientComments": "Mustermann " * 20,
    "AccessionNumber": "Mustermann-0815-longer-than-allowed",
    "StudyInstanceUID": "1.2.Mustermann",
}


def with_secrets(payload: bytes, **more: object) -> bytes:
    """A file with a name in every tag that may hold one, and in others by `more`, as raw bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(payload))
        for keyword, value in TAGS.items():
            setattr(dataset, keyword, value)
        dataset.add_new(0x00091001, "LO", "Mustermann")
        for keyword, value in more.items():
            tag = pydicom.tag.Tag(keyword)
            vr = pydicom.datadict.dictionary_VR(tag)
            dataset._dict[tag] = pydicom.dataelem.RawDataElement(
                tag, vr, len(value), value, 0, False, True
            )
        file = io.BytesIO()
        dataset.save_as(file)
        return file.getvalue()


SPOILT = {
    "good": lambda g: with_secrets(dicom(g)),
    "character set": lambda g: with_secrets(dicom(g), SpecificCharacterSet=b"ISO Mustermann"),
    "window": lambda g: with_secrets(
        dicom(g), WindowCenter=b"Mustermann", WindowWidth=b"Mustermann"
    ),
    "numbers": lambda g: with_secrets(
        dicom(g),
        RescaleSlope=b"Mustermann",
        InstanceNumber=b"Mustermann",
        PixelSpacing=b"Mustermann",
    ),
    "positions": lambda g: with_secrets(
        dicom(g), ImagePositionPatient=b"Mustermann\\1\\2", ImageOrientationPatient=b"Mustermann"
    ),
    "frames": lambda g: with_secrets(dicom(g), NumberOfFrames=b"Mustermann"),
    "series": lambda g: with_secrets(dicom(g), SeriesInstanceUID=b"1.2.Mustermann"),
    "codes": lambda g: with_secrets(
        dicom(g), Modality=b"Mustermann", BodyPartExamined=b"Mustermann"
    ),
    "image type": lambda g: with_secrets(dicom(g), ImageType=b"LOCALIZER\\Mustermann"),
    "colours": lambda g: with_secrets(dicom(g), PhotometricInterpretation=b"Mustermann"),
    "class": lambda g: with_secrets(dicom(g), SOPClassUID=b"Mustermann"),
    "truncated": lambda g: with_secrets(dicom(g))[:-5000],
    "cut in the header": lambda g: with_secrets(dicom(g))[:700],
    "no preamble": lambda g: with_secrets(dicom(g))[132:],
    "padded pixels": lambda g: with_secrets(dicom(g)) + bytes(1000),
    "broken frame": lambda g: with_secrets(
        dicom(g, syntax=JPEGBaseline8Bit, frames=[b"\xff\xd8Mustermann" * 10])
    ),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_nothing_about_a_patient_gets_out(scan, kind, caplog, capfd):
    payload = SPOILT[kind](scan)
    assert NAME.encode() in payload
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = read(payload) + read(packed({"a": payload}))
    assert found
    assert [str(one.message) for one in caught] == []
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
    for one in found:
        assert NAME.lower() not in everything_in(one).lower()
        if isinstance(one, RefusedFile):
            assert one.error.__cause__ is None
            assert one.error.__context__ is None


def everything_in(found: object) -> str:
    """All that can be read off a result, through every object that it holds."""
    if isinstance(found, RefusedFile):
        return repr((found, found.error, found.error.args, vars(found.error)))
    assert isinstance(found, Study)
    parts = [repr(found), repr(vars(found))]
    for one in found.slices:
        parts += [repr(vars(one)), repr(one.image.base), repr([vars(f) for f in one.findings])]
    return " ".join(parts)


def test_pydicom_may_speak_again_afterwards(scan):
    read(dicom(scan))
    assert logging.getLogger("pydicom.pixels").isEnabledFor(logging.WARNING)
    with pytest.warns(UserWarning, match="Invalid value for VR DA"):
        pydicom.Dataset().PatientBirthDate = "no date"


FUZZED = [
    "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_implicit.dcm", "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm", "MR_small_bigendian.dcm",
]  # fmt: skip


@pytest.mark.parametrize("name", [*FUZZED, "jpeg"])
def test_any_damage_ends_in_a_study_or_a_sentence(name, scan):
    if name == "jpeg":
        frame = imagecodecs.jpeg8_encode(scan.astype(np.uint16), lossless=True, bitspersample=12)
        payload = dicom(
            scan.astype(np.uint16), syntax="1.2.840.10008.1.2.4.70", frames=[frame], BitsStored=12
        )
    else:
        payload = bundled(name)
    random = np.random.default_rng(7)
    kinds = set()
    for i in range(250):
        damaged = bytearray(payload)
        # Half of the damage goes where headers are, of the file and of the frame.
        reach = len(damaged) if i % 2 else min(len(damaged), 2000)
        for at in random.integers(128, reach, random.integers(1, 12)):
            damaged[at] = random.integers(256)
        if i % 5 == 0:
            del damaged[int(random.integers(132, len(damaged))) :]
        kinds |= {type(one) for one in read_studies([ScanFile("x", bytes(damaged))])}
    assert kinds == {Study, RefusedFile}


def j2k_of_another_size(levels: np.ndarray, rows: int, columns: int) -> bytes:
    stream = bytearray(imagecodecs.jpeg2k_encode(levels, codecformat="j2k", reversible=True))
    at = stream.index(b"\xff\x51") + 6
    stream[at : at + 8] = struct.pack(">LL", columns, rows)
    stream[at + 16 : at + 24] = struct.pack(">LL", columns, rows)  # one tile
    return bytes(stream)


def jpeg_of_another_size(levels: np.ndarray, rows: int, columns: int) -> bytes:
    stream = bytearray(imagecodecs.jpeg8_encode(levels))
    at = stream.index(b"\xff\xc0") + 5
    stream[at : at + 4] = struct.pack(">HH", rows, columns)
    return bytes(stream)


def jpeg_ls_of_another_size(levels: np.ndarray, rows: int, columns: int) -> bytes:
    stream = bytearray(imagecodecs.jpegls_encode(levels))
    at = stream.index(b"\xff\xf7") + 5
    stream[at : at + 4] = struct.pack(">HH", rows, columns)
    return bytes(stream)


def rle_bomb() -> bytes:
    return struct.pack("<16L", 1, 64, *([0] * 14)) + b"\x81\x00" * 5_000_000


def deflated_bomb(levels: np.ndarray) -> bytes:
    file = dicom(levels, syntax=DeflatedExplicitVRLittleEndian)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = b"".join(squeeze.compress(bytes(2**20)) for _ in range(500)) + squeeze.flush()
    meta_end = 132 + 12 + struct.unpack_from("<L", file, 140)[0]
    return file[:meta_end] + zeros


def flood_of_items(levels: np.ndarray) -> bytes:
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    many = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + item * (
        2 * MAX_HEADER_BYTES // 8
    )
    file = dicom(levels)
    meta_end = 132 + 12 + struct.unpack_from("<L", file, 140)[0]
    return file[:meta_end] + many + file[meta_end:]


def long_value(levels: np.ndarray) -> bytes:
    return with_secrets(dicom(levels), ImagePositionPatient=b"1\\" * 2_000_000)


BOMBS = {
    "JPEG 2000 that claims 60000 × 60000": lambda g: dicom(
        g, syntax=JPEG2000Lossless, frames=[j2k_of_another_size(g, 60000, 60000)]
    ),
    "JPEG that claims 65500 × 65500": lambda g: dicom(
        g, syntax=JPEGBaseline8Bit, frames=[jpeg_of_another_size(g, 65500, 65500)]
    ),
    "JPEG-LS that claims 65500 × 65500": lambda g: dicom(
        g, syntax=JPEGLSLossless, frames=[jpeg_ls_of_another_size(g, 65500, 65500)]
    ),
    "RLE": lambda g: dicom(g, syntax=RLELossless, frames=[rle_bomb()]),
    "deflated": deflated_bomb,
    "items": flood_of_items,
    "numbers": long_value,
    "frames": lambda g: dicom(g, NumberOfFrames=500),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_memory_stays_bounded(scan, kind, tmp_path):
    bomb = tmp_path / "bomb"
    bomb.write_bytes(BOMBS[kind](scan))
    script = (
        "import resource, sys\n"
        "from data.reading import read_studies\n"
        "from data.studies import ScanFile\n"
        "payload = open(sys.argv[1], 'rb').read()\n"
        "list(read_studies([ScanFile('x', open(sys.argv[2], 'rb').read())]))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = list(read_studies([ScanFile('x', payload)]))\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(after - before, *(getattr(getattr(one, 'error', None), 'code', 'read') for one in found))\n"
    )
    good = tmp_path / "good"
    good.write_bytes(dicom(scan))
    done = subprocess.run(
        [sys.executable, "-c", script, bomb, good], capture_output=True, text=True, check=True
    )
    grown, *codes = done.stdout.split()
    expected = {"deflated": "unsupported_compression", "items": "bad_header", "numbers": "read"}
    assert codes == [expected.get(kind, "corrupt")]
    assert int(grown) < 100 * 1024


def test_ten_thousand_threads_of_tags(scan):
    """Sequences nested deeper than Python's stack."""
    depth = 20000
    opened = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    file = dicom(scan)
    meta_end = 132 + 12 + struct.unpack_from("<L", file, 140)[0]
    assert refusal(file[:meta_end] + opened * depth + file[meta_end:])[0] == "bad_header"


def test_of_many_damaged_jpeg_ls_frames_few_are_tried(scan, monkeypatch):
    """CharLS may take seconds for one; a thousand must not take an hour."""
    decode, tried = imagecodecs.jpegls_decode, []

    def noted(frame, **options):
        tried.append(len(frame))
        return decode(frame, **options)

    monkeypatch.setattr(imagecodecs, "jpegls_decode", noted)
    frame = imagecodecs.jpegls_encode(scan)
    cut = frame[: len(frame) // 4 * 2]
    spoilt = bytearray(frame)
    spoilt[frame.index(b"\xff\xda") + 4] = 9  # components of the scan
    good = dicom(scan, syntax=JPEGLSLossless, frames=[frame])
    incomplete = dicom(scan, syntax=JPEGLSLossless, frames=[cut])
    assert [type(one) for one in read(good, incomplete)] == [Study, RefusedFile]
    assert len(tried) == 2  # the good one: for its window, then for its slice
    bad = dicom(np.stack([scan] * 20), syntax=JPEGLSLossless, frames=[bytes(spoilt)] * 20)
    found = read(good, bad, bundled("MR_small.dcm"))
    assert [type(one) for one in found] == [Study, RefusedFile, Study]
    assert len(tried) == 2 + 2 + 3


def test_a_prefix_and_nothing_else():
    assert refusal(bytes(128) + b"DICM")[0] == "no_image"


def test_a_program_in_the_preamble_is_never_looked_at(scan):
    polyglot = b"MZ" + bytes(126) + dicom(scan)[128:]
    assert isinstance(read_study(polyglot), Study)


def test_many_threads_read_at_once(scan):
    from concurrent.futures import ThreadPoolExecutor

    files = series([scan] * 4)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: len(read_study(*files).slices), range(16)))
    assert found == [4] * 16
    assert warnings.filters == before
