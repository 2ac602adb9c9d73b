"""NIfTI volumes: any axes give the same slices; real files from nibabel's own tests; hostile ones."""

import gzip
import itertools
import logging
import subprocess
import sys
import tracemalloc
import warnings

import nibabel
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff, ornt_transform
from PIL import Image

from data.nifti import MAX_VOLUME_BYTES
from data.planes import Plane
from data.reading import read_studies
from data.studies import RefusedFile, ScanFile, Study, StudyKind
from tests.data.medical import (
    bundled_nifti,
    grey,
    gzip_bomb,
    nifti,
    packed,
    plain,
    read,
    read_study,
    refusal,
    series,
)


@pytest.fixture(scope="module")
def scans(samples) -> list[np.ndarray]:
    """Axial slices from below, of which two pixels at each end span 0 to 255."""
    found = [grey(path, 128) for path in samples["yes"][:5]]
    return [np.where(scan < 3, 0, scan).astype(np.uint8) for scan in found]


def voxels(scans: list[np.ndarray]) -> np.ndarray:
    """Axial slices as a volume whose axes run to the right, forwards and up."""
    return np.stack([scan[::-1, ::-1].T for scan in scans], axis=2)


def agree(study: Study, scans: list[np.ndarray]) -> None:
    """The slices are these, but for the window, which stretches all brightness alike."""
    assert len(study.slices) == len(scans)
    for one, levels in zip(study.slices, scans, strict=True):
        assert np.corrcoef(one.image.ravel(), plain(levels).ravel())[0, 1] > 0.99


def test_slices_are_shown_as_a_radiologist_sees_them(scans):
    study = read_study(nifti(voxels(scans), np.diag([1, 1, 4, 1])))
    assert (study.kind, study.plane) == (StudyKind.VOLUME, Plane.AXIAL)
    assert (study.spacing_mm, study.notes) == (4.0, ())
    agree(study, scans)


def test_a_volume_as_nifti_equals_itself_as_dicom(scans):
    unwindowed = series(scans, WindowCenter=None, WindowWidth=None)
    from_dicom, from_nifti = read_study(*unwindowed), read_study(nifti(voxels(scans)))
    assert from_dicom.plane == from_nifti.plane
    for one, other in zip(from_dicom.slices, from_nifti.slices, strict=True):
        assert np.array_equal(one.image, other.image)
        assert one.findings == other.findings


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, -1, -1)])
def test_any_order_and_direction_of_axes_gives_the_same_slices(scans, order, signs):
    canonical = voxels(scans)
    target = np.array([[axis, sign] for axis, sign in zip(order, signs, strict=True)])
    wanted = ornt_transform([[0, 1], [1, 1], [2, 1]], target)
    turned = apply_orientation(canonical, wanted)
    affine = np.diag([0.9, 0.9, 1.5, 1]) @ inv_ornt_aff(wanted, canonical.shape)
    expected = read_study(nifti(canonical, np.diag([0.9, 0.9, 1.5, 1])))
    study = read_study(nifti(np.ascontiguousarray(turned), affine))
    assert (study.plane, study.spacing_mm) == (Plane.AXIAL, pytest.approx(1.5))
    for one, other in zip(study.slices, expected.slices, strict=True):
        assert np.array_equal(one.image, other.image)


def test_thick_slices_are_shown_as_they_were_scanned(scans):
    sagittal = np.stack([scan[::-1, ::-1].T for scan in scans])  # to the right: forwards, up
    study = read_study(nifti(sagittal, np.diag([6, 1, 1, 1])))
    assert (study.plane, study.spacing_mm) == (Plane.SAGITTAL, 6.0)
    agree(study, scans)
    coronal = np.stack([scan[::-1, ::-1].T for scan in scans], axis=1)
    study = read_study(nifti(coronal, np.diag([1, 6, 1, 1])))
    assert (study.plane, study.spacing_mm) == (Plane.CORONAL, 6.0)
    agree(study, scans)


def test_pixels_that_are_not_square_become_so(scans):
    squashed = [
        np.array(Image.fromarray(scan).resize((128, 64), Image.Resampling.BOX)) for scan in scans
    ]
    study = read_study(nifti(voxels(squashed), np.diag([1, 2, 3, 1])))
    for one, levels in zip(study.slices, scans, strict=True):
        assert np.corrcoef(one.image.ravel(), plain(levels).ravel())[0, 1] > 0.97


TWINS = {
    "gzip": lambda v: gzip.compress(nifti(v)),
    "two gzip members": lambda v: gzip.compress(nifti(v)[:5000]) + gzip.compress(nifti(v)[5000:]),
    "version 2": lambda v: nifti(v, second=True),
    "16 bits": lambda v: nifti(v.astype(np.int16)),
    "big endian": lambda v: big_endian(v.astype(np.int16)),
    "float": lambda v: nifti(v.astype(np.float32)),
    "double": lambda v: nifti(v.astype(np.float64)),
    "scaled": lambda v: nifti(v.astype(np.int16), scl_slope=0.25, scl_inter=-12),
    "no slope": lambda v: nifti(v, scl_slope=0, scl_inter=100),
    "metres": lambda v: nifti(v, xyzt_units=1),
    "extension": lambda v: extended(v),
}


def big_endian(volume: np.ndarray) -> bytes:
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    return nibabel.Nifti1Image(volume, np.eye(4), header).to_bytes()


def extended(volume: np.ndarray) -> bytes:
    image = nibabel.Nifti1Image(volume, np.eye(4))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Mustermann"))
    return image.to_bytes()


@pytest.mark.parametrize("kind", TWINS)
def test_a_file_equals_its_plain_twin(scans, kind):
    expected = read_study(nifti(voxels(scans)))
    study = read_study(TWINS[kind](voxels(scans)))
    for one, other in zip(study.slices, expected.slices, strict=True):
        assert np.abs(one.image.astype(int) - other.image).max() <= 1
    assert study.spacing_mm == (1000.0 if kind == "metres" else 1.0)


def test_of_several_volumes_the_first_is_read_and_that_is_said(scans):
    several = np.stack([voxels(scans), 255 - voxels(scans), voxels(scans)], axis=3)
    for payload in (nifti(several), gzip.compress(nifti(several))):
        study = read_study(payload)
        assert [note.code for note in study.notes] == ["first_volume"]
        agree(study, scans)
    single = read_study(nifti(voxels(scans)[..., None]))
    assert single.notes == ()


def test_one_slice_is_an_image(scans):
    study = read_study(nifti(voxels(scans[:1])))
    assert (study.kind, len(study.slices)) == (StudyKind.IMAGE, 1)
    flat = read_study(nifti(voxels(scans[:1])[..., 0]))
    assert np.array_equal(flat.slices[0].image, study.slices[0].image)


def test_values_that_are_no_numbers_are_black(scans):
    volume = voxels(scans).astype(np.float32)
    expected = read_study(nifti(volume))
    spoilt = volume.copy()
    spoilt[:4], spoilt[4:8], spoilt[8:10] = np.nan, np.inf, -np.inf
    spoilt[10, 10, :] = 1e38
    study = read_study(nifti(spoilt))
    for one, other in zip(study.slices, expected.slices, strict=True):
        assert one.image[:, -14:].max() < 8  # the right side of the head is on the left
        assert np.abs(one.image[:, :180].astype(int) - other.image[:, :180]).mean() < 3


def test_air_at_the_ends_of_a_volume_is_told(scans):
    volume = np.pad(voxels(scans), ((0, 0), (0, 0), (3, 2)))
    study = read_study(nifti(volume))
    assert [one.empty for one in study.slices] == [True] * 3 + [False] * 5 + [True] * 2
    assert study.slices[0].findings == ()


def test_a_volume_without_skull_is_not_burnt_out(scans):
    """Nine tenths of it are zero; a percentile of all voxels would cut far into the tissue."""
    brain = np.zeros((128, 128, 40), np.float32)
    brain[40:88, 40:88, 10:30] = np.random.default_rng(2).normal(100, 20, (48, 48, 20))
    middle = read_study(nifti(brain)).slices[20].image
    assert (middle == 255).mean() < 0.01
    assert middle.max() > 240


@pytest.mark.parametrize(("name", "slices"), [("anatomical.nii", 25), ("example4d.nii.gz", 24)])
def test_real_files_are_read(name, slices):
    study = read_study(bundled_nifti(name))
    assert (len(study.slices), study.plane) == (slices, Plane.AXIAL)
    assert not study.slices[slices // 2].empty


def test_a_real_file_agrees_with_nibabel():
    image = nibabel.as_closest_canonical(
        nibabel.Nifti1Image.from_bytes(bundled_nifti("anatomical.nii"))
    )
    middle = np.asarray(image.dataobj)[::-1, ::-1, 12].T.astype(float)
    shown = Image.fromarray((255 * middle / middle.max()).astype(np.uint8))
    expected = plain(np.array(shown)).astype(float)
    found = read_study(bundled_nifti("anatomical.nii")).slices[12].image
    assert np.corrcoef(found[..., 0].ravel(), expected[..., 0].ravel())[0, 1] > 0.99


SHAPE = (64, 64, 8)
NOISE = np.random.default_rng(3).integers(1, 200, SHAPE).astype(np.int16)
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
REFUSED = {
    "colours": (lambda: nifti(np.zeros(SHAPE, RGB)), "unsupported_pixels"),
    "complex": (lambda: nifti(NOISE.astype(np.complex64)), "unsupported_pixels"),
    "long double": (lambda: nifti(NOISE, datatype=1536), "unsupported_pixels"),
    "bits": (lambda: nifti(NOISE, datatype=1), "unsupported_pixels"),
    "unknown type": (lambda: nifti(NOISE, datatype=77), "bad_header"),
    "constant": (lambda: nifti(np.full(SHAPE, 5, np.int16)), "blank"),
    "zeros": (lambda: nifti(np.zeros(SHAPE, np.uint8)), "blank"),
    "NaN": (lambda: nifti(np.full(SHAPE, np.nan, np.float32)), "blank"),
    "infinite": (lambda: nifti(np.full(SHAPE, np.inf, np.float32)), "blank"),
    "tiny": (lambda: nifti(NOISE[:8]), "too_small"),
    "too many slices": (lambda: nifti(NOISE, dim=[3, 64, 64, 513, 1, 1, 1, 1]), "too_many_slices"),
    "huge sides": (lambda: nifti(NOISE, dim=[3, 32767, 32767, 10, 1, 1, 1, 1]), "too_many_pixels"),
    "huge": (lambda: nifti(NOISE, dim=[3, 4000, 4000, 500, 1, 1, 1, 1]), "too_many_pixels"),
    "large": (lambda: nifti(NOISE.astype(float), dim=[3, 500, 500, 500, 1, 1, 1, 1]), "too_large"),
    "sides of 10^9": (
        lambda: nifti(NOISE, second=True, dim=[3, 10**9, 10**9, 10**9, 1, 1, 1, 1]),
        "too_many_pixels",
    ),
    "negative sides": (lambda: nifti(NOISE, dim=[3, -64, 64, 8, 1, 1, 1, 1]), "bad_header"),
    "rank": (lambda: nifti(NOISE, dim=[99, 64, 64, 8, 1, 1, 1, 1]), "bad_header"),
    "no rank": (lambda: nifti(NOISE, dim=[0, 64, 64, 8, 1, 1, 1, 1]), "bad_header"),
    "claims more": (lambda: nifti(NOISE, dim=[3, 64, 64, 9, 1, 1, 1, 1]), "corrupt"),
    "truncated": (lambda: nifti(NOISE)[:-100], "corrupt"),
    "header only": (lambda: nifti(NOISE)[:348], "corrupt"),
    "truncated gzip": (lambda: gzip.compress(nifti(NOISE))[:-3000], "corrupt"),
    "broken gzip": (
        lambda: gzip.compress(nifti(NOISE))[:20000] + bytes(100) + gzip.compress(nifti(NOISE))[20100:],
        "corrupt",
    ),
    "offset": (lambda: nifti(NOISE, vox_offset=1e9), "bad_header"),
    "no offset": (lambda: nifti(NOISE, vox_offset=np.nan), "bad_header"),
    "offset in the header": (lambda: nifti(NOISE, vox_offset=16), "bad_header"),
    "sizes": (lambda: nifti(NOISE, pixdim=[1, np.nan, 1, 1, 1, 1, 1, 1]), "bad_header"),
    "no sizes": (lambda: nifti(NOISE, pixdim=[1, 0, 1, 1, 1, 1, 1, 1]), "bad_header"),
    "flat pixels": (lambda: nifti(NOISE, pixdim=[1, 1, 1000, 2000, 1, 1, 1, 1]), "bad_header"),
    "no directions": (
        lambda: nifti(NOISE, srow_x=[0] * 4, srow_y=[0] * 4, srow_z=[0] * 4),
        "bad_header",
    ),
    "half of a pair": (lambda: nifti(NOISE, magic=b"ni1"), "bad_header"),
    "real half of a pair": (lambda: bundled_nifti("nifti1.hdr"), "bad_header"),
    "matrix of connections": (lambda: bundled_nifti("row_major.dconn.nii"), "too_small"),
    "infinite scale": (lambda: nifti(NOISE, scl_slope=3e38, scl_inter=3e38), "blank"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_volume_of_grey_values_is_refused(kind):
    make, code = REFUSED[kind]
    found, sentence = refusal(make())
    assert found == code
    assert sentence.endswith(".")


def test_a_gzip_bomb_stops_early():
    bomb = gzip_bomb()
    tracemalloc.start()
    try:
        code, _ = refusal(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert code == "compression_ratio"
    assert peak < 60 * 2**20


def test_the_rest_of_a_long_recording_is_never_unpacked(scans):
    """Of a 4-D file only the first volume; the rest may be gigabytes, or damaged."""
    volume = gzip.compress(nifti(np.stack([voxels(scans)] * 3, axis=3)))
    study = read_study(volume[: len(volume) // 2])
    agree(study, scans)


def test_a_volume_takes_its_own_size_and_a_slice_or_two(scans):
    big = np.zeros((256, 256, 200), np.float32)
    big[64:192, 64:192, :] = np.random.default_rng(4).normal(100, 20, (128, 128, 200))
    payload = nifti(big)
    tracemalloc.start()
    try:
        study = read_study(payload)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(study.slices) * 150_528 < peak < len(study.slices) * 150_528 + 30 * 2**20
    assert len(payload) < MAX_VOLUME_BYTES


def test_nothing_in_a_header_gets_out(scans, caplog, capfd):
    texts = {"descrip": b"Mustermann", "db_name": b"Mustermann", "aux_file": b"Mustermann"}
    caplog.set_level(logging.DEBUG)
    payloads = [
        nifti(voxels(scans), **texts),
        nifti(NOISE, **texts, datatype=77),
        nifti(NOISE, **texts)[:-9],
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [one for payload in payloads for one in read(payload)]
    assert "Mustermann" not in repr([found, [vars(one) for one in found]])
    assert ([str(one.message) for one in caught], caplog.records) == ([], [])
    assert capfd.readouterr() == ("", "")
    for one in found:
        if isinstance(one, RefusedFile):
            assert one.error.__cause__ is None


@pytest.mark.parametrize("name", ["anatomical.nii", "example4d.nii.gz"])
def test_any_damage_ends_in_a_study_or_a_sentence(name):
    payload = bundled_nifti(name)
    random = np.random.default_rng(7)
    kinds = set()
    for i in range(150):
        damaged = bytearray(payload)
        reach = len(damaged) if i % 3 == 0 else 352
        for at in random.integers(0, reach, random.integers(1, 8)):
            damaged[at] = random.integers(256)
        kinds |= {type(one) for one in read_studies([ScanFile("x", bytes(damaged))])}
    assert RefusedFile in kinds
    if name.endswith(".nii"):
        assert Study in kinds


def test_a_volume_in_an_archive_is_read(scans):
    study = read_study(packed({"sub-01/anat/T1w.nii.gz": gzip.compress(nifti(voxels(scans)))}))
    assert study.member == "sub-01/anat/T1w.nii.gz"
    agree(study, scans)


def test_medical_packages_are_imported_when_a_file_needs_them(tmp_path, samples):
    script = (
        "import sys\n"
        "from data.reading import read_studies\n"
        "from data.studies import ScanFile\n"
        "found = list(read_studies([ScanFile('x', open(sys.argv[1], 'rb').read())]))\n"
        "heavy = {'pydicom', 'nibabel', 'imagecodecs', 'tensorflow', 'gradio'} & set(sys.modules)\n"
        "print(len(found), heavy or 'none')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, samples["yes"][0]],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1", "none"]
