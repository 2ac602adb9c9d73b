"""ZIP archives: what is in them is read member by member; hostile ones are refused within bounds."""

import io
import stat
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from data import archive
from data.reading import MAX_STILLS, read_studies
from data.studies import RefusedFile, ScanFile, Study, StudyKind
from tests.data.medical import bundled, dicom, nifti, packed, plain, png, read, refusal, series


def test_every_kind_of_member_is_read(scan, samples):
    volume = nifti(np.stack([scan] * 3, axis=2))
    files = {
        "a/scan.png": png(scan),
        "a/photo.jpg": samples["no"][0].read_bytes(),
        "b/T1.nii": volume,
        "c/IM0": dicom(scan),
        "c/notes.txt": b"Dear colleague",
        "d/unnamed": png(255 - scan),
    }
    found = read(packed(files))
    assert [(type(one), one.file, one.member) for one in found] == [
        (Study, 0, "a/scan.png"),
        (Study, 0, "a/photo.jpg"),
        (Study, 0, "b/T1.nii"),
        (RefusedFile, 0, "c/notes.txt"),
        (Study, 0, "d/unnamed"),
        (Study, 0, "c/IM0"),  # series come last
    ]
    assert found[3].error.code == "unsupported_format"
    assert np.array_equal(found[0].slices[0].image, plain(scan))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", ["scans.zip", "scan.png", "scan.dcm", ""])
def test_the_content_tells_an_archive_never_the_name(scan, name, method):
    payload = packed({"a.png": png(scan)}, method)
    (study,) = read_studies([ScanFile(name, payload)])
    assert np.array_equal(study.slices[0].image, plain(scan))


def test_one_series_may_be_spread_over_archives_and_files(scan):
    files = series([scan, scan // 2, scan // 3, scan // 4])
    (study,) = read(files[3], packed({"1": files[0], "0": files[2]}), files[1])
    assert (study.kind, len(study.slices), study.file, study.member) == (
        StudyKind.VOLUME,
        4,
        0,
        None,
    )


def test_what_systems_leave_behind_is_passed_over(scan):
    junk = {
        "__MACOSX/._scan.png": b"junk",
        ".DS_Store": b"junk",
        "a/.hidden/x": b"junk",
        "a/._scan.png": b"junk",
        "Thumbs.db": b"junk",
        "a/desktop.ini": b"junk",
        "DICOMDIR": bundled("CT_small.dcm"),
        "folder/": b"",
    }
    (study,) = read(packed(junk | {"a/scan.png": png(scan)}))
    assert study.member == "a/scan.png"
    assert refusal(packed(junk))[0] == "empty_archive"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Windows\\scan.png", "Windows/scan.png"),
        ("..\\..\\scan.png", "scan.png"),
        ("a/./b/../c.png", "a/b/c.png"),
        ("a\nb\x1b[31m.png", "a_b_[31m.png"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("x" * 400, "x" * 255),
        ("..", "_"),
    ],
)
def test_paths_that_lead_elsewhere_become_harmless(scan, name, path):
    (study,) = read(packed({name: png(scan)}))
    assert study.member == path


def test_links_are_refused(scan):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as one:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        one.writestr(link, "/etc/passwd")
        one.writestr("scan.png", png(scan))
    refused, study = read(file.getvalue())
    assert (refused.member, refused.error.code) == ("link.png", "link")
    assert study.member == "scan.png"


def test_a_damaged_member_is_refused_and_the_others_are_read(scan):
    payload = bytearray(packed({"a.png": png(scan), "b.png": png(scan), "c.png": png(scan)}))
    at = payload.index(b"b.png") + 200
    payload[at : at + 50] = bytes(50)
    found = read(bytes(payload))
    assert [type(one) for one in found] == [Study, RefusedFile, Study]
    assert (found[1].member, found[1].error.code) == ("b.png", "corrupt")


def test_archives_inside_of_archives_are_refused(scan):
    inner = packed({"scan.png": png(scan)})
    found = read(
        packed(
            {"inner.zip": inner, "inner.png": inner, "x.7z": b"7z\xbc\xaf\x27\x1c", "s": png(scan)}
        )
    )
    assert [getattr(getattr(one, "error", None), "code", "read") for one in found] == [
        "unsupported_archive", "unsupported_archive", "unsupported_archive", "read",
    ]  # fmt: skip


def test_other_archives_are_named_as_such():
    for start in (b"Rar!\x1a\x07\x01\x00", b"7z\xbc\xaf\x27\x1c", b"\xfd7zXZ\x00", b"BZh9"):
        assert refusal(start + bytes(600))[0] == "unsupported_archive"
    assert (
        refusal(bytes(257).replace(b"\0", b"a") + b"ustar" + bytes(300))[0] == "unsupported_archive"
    )


def encrypted(payload: bytes) -> bytes:
    changed = bytearray(payload)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.index(mark) + offset
        changed[at] |= 1
    return bytes(changed)


def test_a_password_is_named(scan):
    code, sentence = refusal(encrypted(packed({"a.png": png(scan)})))
    assert code == "encrypted"
    assert "password" in sentence


def test_office_documents_are_no_archives_of_scans():
    document = packed({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"})
    code, sentence = refusal(document)
    assert (code, "office document" in sentence) == ("unsupported_format", True)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_packing_is_refused(scan, method):
    assert refusal(packed({"a.png": png(scan)}, method))[0] == "unsupported_compression"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: p[:-30],
        lambda p: p[:100],
        lambda p: b"PK\x03\x04",
        lambda p: b"PK\x03\x04" + bytes(5000),
        lambda p: b"PK\x05\x06" + bytes(10),
        lambda p: p[:-6] + b"\xff\xff\xff\xff\0\0",
    ],
)
def test_damaged_archives_are_refused(scan, spoil):
    assert refusal(spoil(packed({"a.png": png(scan)})))[0] == "corrupt"


def test_an_empty_archive_is_refused():
    assert refusal(packed({}))[0] == "empty_archive"


def test_too_many_members_are_refused_before_any_is_read():
    many = packed({f"{i}": b"" for i in range(archive.MAX_MEMBERS + 1)})
    assert refusal(many)[0] == "too_many_members"


def test_a_table_of_contents_of_millions_is_never_parsed():
    entry = struct.pack(
        "<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0
    )
    directory = (entry + b"x") * 500_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), 4, 0)
    payload = b"PK\x03\x04" + directory + end
    tracemalloc.start()
    try:
        assert refusal(payload)[0] == "too_many_members"
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_more_stills_than_a_batch_are_refused_one_by_one(scan):
    found = read(packed({f"{i:03}.png": png(scan[:32, :32]) for i in range(MAX_STILLS + 2)}))
    codes = [one.error.code for one in found if isinstance(one, RefusedFile)]
    assert codes.count("too_many_members") == 2
    assert [one.member for one in found[-2:]] == ["200.png", "201.png"]


def test_what_unpacks_to_too_much_is_refused_unread(scan):
    zeros = bytes(60 * 2**20)
    bombs = packed({f"{i}": zeros for i in range(9)})
    tracemalloc.start()
    try:
        assert refusal(bombs)[0] == "too_large"
        refused, study = read(packed({"bomb": zeros, "scan.png": png(scan)}))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (refused.member, refused.error.code) == ("bomb", "compression_ratio")
    assert study.member == "scan.png"
    assert peak < 20 * 2**20


def test_a_member_that_lies_about_its_size_unpacks_to_what_it_said(scan):
    payload = bytearray(packed({"bomb": bytes(100 * 2**20), "scan.png": png(scan)}))
    said = struct.pack("<L", 1000)
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = payload.index(mark) + offset
        payload[at : at + 4] = said
    tracemalloc.start()
    try:
        refused, study = read(bytes(payload))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (refused.member, isinstance(refused, RefusedFile)) == ("bomb", True)
    assert study.member == "scan.png"
    assert peak < 20 * 2**20


def test_overlapping_members_stay_within_the_total(scan):
    """Many entries of the directory that point at the same data: each counts with what it unpacks to."""
    one = packed({"a": bytes(3 * 2**20)})
    at = one.index(b"PK\x01\x02")
    entry, local = one[at : at + 47], one[:at]
    directory = entry * 400
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 400, 400, len(directory), len(local), 0)
    assert refusal(local + directory + end)[0] == "too_large"


def test_an_image_with_an_archive_behind_it_is_an_image(scan):
    (study,) = read(png(scan) + packed({"other.png": png(255 - scan)}))
    assert study.member is None
    assert np.array_equal(study.slices[0].image, plain(scan))


def test_any_damage_ends_in_studies_or_sentences(scan):
    payload = packed(
        {"a.png": png(scan), "b.dcm": dicom(scan), "c.nii": nifti(np.stack([scan] * 3))}
    )
    random = np.random.default_rng(7)
    for i in range(120):
        damaged = bytearray(payload)
        start = 0 if i % 2 else len(damaged) - 300
        for at in random.integers(start, len(damaged), random.integers(1, 10)):
            damaged[at] = random.integers(256)
        found = list(read_studies([ScanFile("x", bytes(damaged))]))
        assert found
        assert all(isinstance(one, Study | RefusedFile) for one in found)


def test_members_are_read_one_by_one(tmp_path):
    """Of a series of 60 MB: resident memory grows by its slices and a member or two, not by all."""
    noise = np.random.default_rng(5).integers(0, 4, (60, 512, 1024)).astype(np.uint16) * 900
    files = series(list(noise), WindowCenter=None)
    payload = packed({f"{i}": file for i, file in enumerate(files)}, zipfile.ZIP_STORED)
    path = tmp_path / "series.zip"
    path.write_bytes(payload)
    script = (
        "import resource, sys\n"
        "from data.reading import read_studies\n"
        "from data.studies import ScanFile\n"
        "import pydicom, nibabel\n"
        "payload = open(sys.argv[1], 'rb').read()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "(study,) = read_studies([ScanFile('x', payload)])\n"
        "print(len(study.slices), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
    )
    slices, grown = map(int, done.stdout.split())
    assert slices == 60
    assert grown < 45 * 1024  # in kB: 9 MB of slices, a megabyte a member, what decoding takes
