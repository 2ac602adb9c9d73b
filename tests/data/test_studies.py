"""One way in for every kind of file: order, accounting, sentences."""

import re

import numpy as np
import pytest

from data.imaging import MAX_FILE_BYTES, ScanError
from data.quality import Severity
from data.reading import read_studies
from data.studies import MAX_STUDY_BYTES, RefusedFile, ScanFile, Study, StudyKind
from tests.data.medical import (
    bundled,
    dicom,
    grey,
    nifti,
    packed,
    plain,
    png,
    read,
    refusal,
    series,
)


def test_stills_are_read_as_ever(samples):
    for path in samples["yes"][:3]:
        (study,) = read(path.read_bytes())
        assert (study.kind, len(study.slices), study.plane) == (StudyKind.IMAGE, 1, None)
        image = study.slices[0].image
        assert (image.dtype, image.shape) == (np.uint8, (224, 224, 3))
        assert np.array_equal(image, plain(grey(path)))


def test_a_still_keeps_what_is_doubtful_about_it(samples):
    tiny = np.zeros((400, 400), np.uint8)
    tiny[180:220, 180:220] = grey(samples["yes"][0], 40)
    (study,) = read(png(tiny))
    findings = {finding.code: finding.severity for finding in study.slices[0].findings}
    assert findings["low_resolution"] is Severity.REJECT


def test_of_twenty_files_one_bad_one_costs_only_its_own_answer(samples):
    files = [path.read_bytes() for path in (samples["yes"] + samples["no"])[:20]]
    files[7] = b"Dear colleague"
    found = read(*files)
    assert [one.file for one in found] == list(range(20))
    assert [one.file for one in found if isinstance(one, RefusedFile)] == [7]


def test_files_of_all_kinds_are_accounted_for(scan):
    volume = np.stack([scan] * 4, axis=2)
    slices = series([scan] * 3)
    files = [
        png(scan),
        slices[2],
        nifti(volume),
        b"",
        slices[0],
        bundled("CT_small.dcm"),
        slices[1],
    ]
    found = read(*files)
    assert [(type(one), one.file) for one in found] == [
        (Study, 0),
        (Study, 2),
        (RefusedFile, 3),
        (RefusedFile, 5),
        (Study, 1),  # the series, last, under its first file
    ]
    assert len(found[-1].slices) == 3


@pytest.mark.parametrize(
    "name", ["scan.nii.gz", "x.dcm", "", "../../etc/passwd", "a\0b", "ü" * 5000]
)
def test_names_decide_nothing(scan, name):
    (study,) = read_studies([ScanFile(name, png(scan))])
    assert np.array_equal(study.slices[0].image, plain(scan))


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "empty"),
        (b"Dear colleague", "unsupported_format"),
        (b"GIF89a" + bytes(100), "unsupported_format"),
        (b"%PDF-1.7" + bytes(100), "unsupported_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "unsupported_format"),
        (b"\x1f\x8b" + bytes(100), "unsupported_format"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), "corrupt"),
        (bytes(5000), "unsupported_format"),
        (b"\x89PNG\r\n\x1a\n" + bytes(MAX_FILE_BYTES), "too_large"),
        (b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100" + b"junk" * 50, "unsupported_format"),
    ],
)
def test_what_is_no_scan_is_refused(payload, code):
    assert refusal(payload)[0] == code


def test_a_file_over_the_limit_is_refused_before_it_is_read(monkeypatch, scan):
    monkeypatch.setattr("data.reading.MAX_STUDY_BYTES", 1000)
    assert MAX_STUDY_BYTES == 256 * 2**20
    for payload in (dicom(scan), nifti(np.stack([scan] * 3)), packed({"a.png": png(scan)})):
        code, sentence = refusal(payload)
        assert code == "too_large"
        assert re.search(r"larger than \d+ MB", sentence)


def test_a_refusal_keeps_neither_the_file_nor_what_went_wrong_inside(samples):
    cut = samples["yes"][0].read_bytes()[:3000]
    for payload in (
        cut,
        b"text",
        bundled("MR_truncated.dcm"),
        bundled("CT_small.dcm"),
        packed({"a": cut}),
    ):
        (refused,) = read(payload)
        error = refused.error
        assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)


def test_sentences_hold_no_name_and_say_what_to_do(scan):
    bad = [
        b"", b"text", packed({"patient-mustermann.txt": b"x"}), dicom(scan, Modality="CT"),
        nifti(np.zeros((64, 64, 4), np.uint8)), bundled("MR_truncated.dcm"), bundled("test-SR.dcm"),
    ]  # fmt: skip
    for payload in bad:
        (refused,) = read_studies([ScanFile("mustermann.png", payload)])
        assert isinstance(refused.error, ScanError)
        sentence = str(refused.error)
        assert "mustermann" not in sentence
        assert re.fullmatch(r"[a-z0-9_]+", refused.error.code)
        assert re.search(r"(Send|Export|Convert|Pack) .*\.$", sentence)


def test_reading_goes_on_as_results_are_taken(scan):
    """Nothing is read ahead: a batch shows its first answer while the rest waits."""
    taken = []

    class Noted(list):
        def __iter__(self):
            for i, file in enumerate(super().__iter__()):
                taken.append(i)
                yield file

    next(read_studies(Noted([ScanFile("x", png(scan))] * 3)))
    assert taken == [0]
