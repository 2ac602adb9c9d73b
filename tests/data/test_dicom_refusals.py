"""DICOM files that hold nothing the model could judge, each with the sentence that says so."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from data.studies import Study
from tests.data.medical import EIGHT_BITS, bundled, dicom, read, refusal, rle, series


def nibabel_dicom(name: str) -> bytes:
    payload = Path(nibabel.__file__, "../nicom/tests/data", name).resolve().read_bytes()
    return gzip.decompress(payload) if name.endswith(".gz") else payload


REFUSED = {
    "CT_small.dcm": (
        "wrong_modality",
        "This is a CT scan; the model was trained on MRI of the head only.",
    ),
    "examples_rgb_color.dcm": (
        "wrong_modality",
        "This is an ultrasound image; the model was trained",
    ),
    "JPEG2000.dcm": ("wrong_modality", "This is a scintigram; the model was trained on MRI"),
    "examples_overlay.dcm": (
        "wrong_body_part",
        "This is no scan of the head; the model was trained",
    ),
    "rtstruct.dcm": ("no_image", "This is part of a radiation plan."),
    "rtdose.dcm": ("no_image", "This is part of a radiation plan."),
    "test-SR.dcm": ("no_image", "This is a structured report."),
    "liver_1frame.dcm": ("no_image", "This is a segmentation or raw data."),
    "waveform_ecg.dcm": ("no_image", "This is a curve, not an image."),
    "UN_sequence.dcm": ("no_image", "The file holds no image."),
    "image_dfl.dcm": ("unsupported_compression", "Export it uncompressed."),
    "MR_truncated.dcm": ("corrupt", "damaged or incomplete. Export the series again."),
    "SC_rgb_small_odd.dcm": ("too_small", "A slice is 3 × 3 pixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_judged_is_refused_in_a_sentence(name):
    code, sentence = refusal(bundled(name))
    assert code == REFUSED[name][0]
    assert REFUSED[name][1] in sentence


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "no_image"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localiser"),
        ({"Modality": "JUNK"}, "wrong_modality"),
        ({"BodyPartExamined": "KNEE"}, "wrong_body_part"),
        ({"Rows": 0}, "no_image"),
        ({"BitsAllocated": 1}, "unsupported_pixels"),
        ({"Rows": 65535, "Columns": 65535}, "too_many_pixels"),
        ({"NumberOfFrames": 10**9}, "too_many_slices"),
        ({"NumberOfFrames": 1000}, "corrupt"),
        ({"PixelSpacing": [1, 1000]}, "bad_header"),
        ({"PixelSpacing": [0, 1]}, "bad_header"),
        ({"PhotometricInterpretation": "NONE"}, "corrupt"),
    ],
)
def test_headers_that_cannot_be_are_refused(scan, elements, code):
    assert refusal(dicom(scan, **EIGHT_BITS | elements))[0] == code


def test_volumes_of_too_many_slices_or_voxels_are_refused(scan):
    many = np.tile(scan[:32, :32], (513, 1, 1))
    assert refusal(dicom(many, **EIGHT_BITS))[0] == "too_many_slices"
    frame = rle(np.zeros((4096, 4096), np.uint8))
    big = dicom(np.empty((9, 4096, 4096), np.uint8), syntax=RLELossless, frames=[frame] * 9)
    assert refusal(big)[0] == "too_many_pixels"


def test_more_slices_than_memory_should_keep_are_refused(scan, monkeypatch):
    monkeypatch.setattr("data.dicom.MAX_FRAMES_AT_ONCE", 5)
    found = read(*series([scan] * 7))
    assert [one.error.code for one in found[:2]] == ["too_many_slices"] * 2
    assert len(found[2].slices) == 5


def test_grey_and_colour_under_one_series_are_not_one_volume(scan):
    grey_file = dicom(scan, SeriesInstanceUID="1.2.3", **EIGHT_BITS)
    colours = np.repeat(scan[..., None], 3, axis=2)
    mixed = dicom(colours, SeriesInstanceUID="1.2.3", PhotometricInterpretation="MONOCHROME2")
    assert len(read(grey_file, mixed, grey_file)) == 2


def test_the_index_of_a_disc_is_refused():
    path = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests" / "DICOMDIR"
    assert refusal(path.read_bytes())[0] == "dicomdir"


def test_mosaics_are_refused():
    assert refusal(nibabel_dicom("siemens_dwi_0.dcm.gz"))[0] == "mosaic"


def test_a_screen_capture_of_unknown_modality_is_left_to_the_model(scan):
    for modality in ("OT", None):
        assert isinstance(read(dicom(scan, Modality=modality))[0], Study)


def test_a_series_that_is_refused_is_refused_once(scans):
    files = series(scans, Modality="CT")
    (refused,) = read(*files)
    assert (refused.file, refused.error.code) == (0, "wrong_modality")


def test_blank_files_are_refused(scan):
    assert refusal(dicom(np.full((64, 64), 7, np.uint16)))[0] == "blank"
    assert refusal(*series([np.full((64, 64), 7, np.uint8)] * 3))[0] == "blank"
    assert refusal(nibabel_dicom("philips_mprage.dcm.gz"))[0] == "blank"  # emptied by its authors
