"""DICOM files: each equal to its plain twin, real ones from pydicom and nibabel."""

import io

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from data.planes import Plane
from data.studies import RefusedFile, StudyKind
from tests.data.medical import (
    AXIAL,
    CORONAL,
    EIGHT_BITS,
    TWELVE_BITS,
    bundled,
    dicom,
    grey,
    packed,
    plain,
    read,
    read_study,
    rle,
    series,
)


def twelve(levels: np.ndarray) -> np.ndarray:
    return levels.astype(np.uint16) * 16


TWINS = {
    "8 bits": lambda g: dicom(g, **EIGHT_BITS),
    "implicit": lambda g: dicom(g, syntax=ImplicitVRLittleEndian, **EIGHT_BITS),
    "12 bits": lambda g: dicom(twelve(g), BitsStored=12, HighBit=11, **TWELVE_BITS),
    "12 bits, rubbish above them": lambda g: dicom(
        twelve(g) | 0xF000, BitsStored=12, HighBit=11, **TWELVE_BITS
    ),
    "12 bits, big endian": lambda g: dicom(
        twelve(g), syntax=ExplicitVRBigEndian, BitsStored=12, HighBit=11, **TWELVE_BITS
    ),
    "16 bits, all of them": lambda g: dicom(
        g.astype(np.uint16) * 257, WindowCenter=32768, WindowWidth=65536
    ),
    "signed": lambda g: dicom(g.astype(np.int16) * 16 - 2000, WindowCenter=40.5, WindowWidth=4081),
    "rescaled": lambda g: dicom(
        twelve(g), RescaleSlope="0.5", RescaleIntercept="-100", WindowCenter=920.5, WindowWidth=2041
    ),
    "window without halves": lambda g: dicom(
        twelve(g), WindowCenter=2040, WindowWidth=4080, VOILUTFunction="LINEAR_EXACT"
    ),
    "first of two windows": lambda g: dicom(g, WindowCenter=[128, 30], WindowWidth=[256, 10]),
    "MONOCHROME1": lambda g: dicom(255 - g, PhotometricInterpretation="MONOCHROME1", **EIGHT_BITS),
    "MONOCHROME1, 12 bits": lambda g: dicom(
        4080 - twelve(g), PhotometricInterpretation="MONOCHROME1", **TWELVE_BITS
    ),
    "look-up table": lambda g: dicom(twelve(g), VOILUTSequence=[lookup_table()]),
    "grey as colour": lambda g: dicom(np.repeat(g[..., None], 3, axis=2)),
    "grey as YBR": lambda g: dicom(
        np.stack([g, np.full_like(g, 128), np.full_like(g, 128)], axis=2),
        PhotometricInterpretation="YBR_FULL",
    ),
    "RLE": lambda g: dicom(twelve(g), syntax=RLELossless, frames=[rle(twelve(g))], **TWELVE_BITS),
    "JPEG lossless": lambda g: dicom(
        twelve(g),
        syntax=JPEGLossless,
        frames=[imagecodecs.jpeg8_encode(twelve(g), lossless=True, predictor=6, bitspersample=12)],
        BitsStored=12,
        HighBit=11,
        **TWELVE_BITS,
    ),
    "JPEG lossless, usual": lambda g: dicom(
        twelve(g),
        syntax=JPEGLosslessSV1,
        frames=[imagecodecs.jpeg8_encode(twelve(g), lossless=True, bitspersample=16)],
        **TWELVE_BITS,
    ),
    "JPEG-LS": lambda g: dicom(
        twelve(g),
        syntax=JPEGLSLossless,
        frames=[imagecodecs.jpegls_encode(twelve(g))],
        **TWELVE_BITS,
    ),
    "JPEG 2000": lambda g: dicom(
        twelve(g),
        syntax=JPEG2000Lossless,
        frames=[imagecodecs.jpeg2k_encode(twelve(g), codecformat="j2k", reversible=True)],
        **TWELVE_BITS,
    ),
}


def lookup_table() -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [4096, 0, 16]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = (np.minimum(np.arange(4096), 4080) * 16).astype("<u2").tobytes()
    item["LUTData"].VR = "OW"
    return item


@pytest.mark.parametrize("kind", TWINS)
def test_a_file_equals_its_plain_twin(scan, kind):
    study = read_study(TWINS[kind](scan))
    assert (study.kind, len(study.slices), study.slices[0].empty) == (StudyKind.IMAGE, 1, False)
    image = study.slices[0].image
    assert image.dtype == np.uint8
    difference = np.abs(image.astype(int) - plain(scan))
    assert difference.max() <= (1 if kind in ("look-up table", "grey as YBR") else 0)


LOSSY = {
    "JPEG baseline": lambda g: dicom(
        g, syntax=JPEGBaseline8Bit, frames=[imagecodecs.jpeg8_encode(g, 95)], **EIGHT_BITS
    ),
    "JPEG extended": lambda g: dicom(
        twelve(g),
        syntax=JPEGExtended12Bit,
        frames=[imagecodecs.jpeg8_encode(twelve(g), 95, bitspersample=12)],
        BitsStored=12,
        HighBit=11,
        **TWELVE_BITS,
    ),
    "JPEG-LS, nearly lossless": lambda g: dicom(
        g, syntax=JPEGLSNearLossless, frames=[imagecodecs.jpegls_encode(g, 2)], **EIGHT_BITS
    ),
}


@pytest.mark.parametrize("kind", LOSSY)
def test_a_lossy_file_is_close_to_its_plain_twin(scan, kind):
    image = read_study(LOSSY[kind](scan)).slices[0].image
    assert np.abs(image.astype(int) - plain(scan)).mean() < 2


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_expb.dcm", "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_padded.dcm",
    ],
)  # fmt: skip
def test_real_files_agree_in_every_transfer_syntax(name):
    usual, other = read_study(bundled("MR_small.dcm")), read_study(bundled(name))
    assert (usual.kind, usual.plane) == (StudyKind.IMAGE, Plane.AXIAL)
    assert np.array_equal(other.slices[0].image, usual.slices[0].image)


def test_a_real_file_shows_its_own_window():
    dataset = pydicom.dcmread(io.BytesIO(bundled("MR_small.dcm")))
    low = dataset.WindowCenter - 0.5 - (dataset.WindowWidth - 1) / 2
    shown = np.clip((dataset.pixel_array - low) / (dataset.WindowWidth - 1), 0, 1)
    expected = plain(np.rint(shown * 255).astype(np.uint8))
    image = read_study(bundled("MR_small.dcm")).slices[0].image
    assert np.abs(image.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("rows", ["files", "archive"])
def test_the_files_of_a_series_are_one_volume_in_the_order_of_the_head(scans, rows):
    files = series(scans)
    mixed = [files[i] for i in (3, 0, 4, 1, 2)]
    if rows == "archive":
        study = read_study(packed({f"DICOM/I{i}": file for i, file in enumerate(mixed)}))
        assert study.member == "DICOM/I0"
    else:
        study = read_study(*mixed)
        assert study.member is None
    assert (study.kind, study.file) == (StudyKind.VOLUME, 0)
    assert (study.plane, study.spacing_mm, study.notes) == (Plane.AXIAL, 5.0, ())
    for one, levels in zip(study.slices, scans, strict=True):
        assert np.array_equal(one.image, plain(levels))


def test_without_positions_the_numbers_of_the_files_count(scans):
    numbered = [
        dicom(scan, SeriesInstanceUID="1.2.3", InstanceNumber=10 - i, **EIGHT_BITS)
        for i, scan in enumerate(scans)
    ]
    study = read_study(*numbered)
    assert study.plane is None
    assert study.spacing_mm is None
    for one, levels in zip(study.slices, reversed(scans), strict=True):
        assert np.array_equal(one.image, plain(levels))
    unnumbered = series(scans, ImagePositionPatient=None, InstanceNumber=None)
    for one, levels in zip(read_study(*unnumbered).slices, scans, strict=True):
        assert np.array_equal(one.image, plain(levels))  # neither: as they came


def test_a_multi_frame_file_is_a_volume(scans):
    study = read_study(dicom(np.stack(scans), SpacingBetweenSlices=4, **EIGHT_BITS))
    assert (study.kind, study.spacing_mm) == (StudyKind.VOLUME, 4.0)
    for one, levels in zip(study.slices, scans, strict=True):
        assert np.array_equal(one.image, plain(levels))


def enhanced(scans: list[np.ndarray], heights: list[float], **elements) -> bytes:
    """A file as newer scanners write it: geometry, rescale and window in groups of frames."""

    def item(**values) -> Dataset:
        dataset = Dataset()
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        return dataset

    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=AXIAL)],
        PixelMeasuresSequence=[item(PixelSpacing=[1, 1])],
        FrameVOILUTSequence=[item(**EIGHT_BITS)],
    )
    frames = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, height])],
            PixelValueTransformationSequence=[item(RescaleSlope=0.5, RescaleIntercept=-10)],
        )
        for height in heights
    ]
    return dicom(
        np.stack([(scan.astype(np.int16) + 10) * 2 for scan in scans]),
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=frames,
        **elements,
    )


def test_frames_that_describe_themselves_are_put_in_order(scans):
    study = read_study(enhanced(scans, [12, 3, 9, 0, 6]))
    assert (study.plane, study.spacing_mm) == (Plane.AXIAL, 3.0)
    for one, i in zip(study.slices, (3, 1, 4, 2, 0), strict=True):
        assert np.array_equal(one.image, plain(scans[i]))


def test_pixels_that_are_not_square_become_so(samples):
    wide = grey(samples["yes"][0], 256)
    squashed = np.array(Image.fromarray(wide).resize((256, 128), Image.Resampling.BOX))
    image = read_study(dicom(squashed, PixelSpacing=[2, 1], **EIGHT_BITS)).slices[0].image
    assert np.abs(image.astype(int) - plain(wide)).mean() < 3
    turned = dicom(
        np.ascontiguousarray(squashed.T),
        PixelSpacing=[1, 2],
        ImageOrientationPatient=[0, 1, 0, 1, 0, 0],
        **EIGHT_BITS,
    )
    assert np.array_equal(read_study(turned).slices[0].image, image)


def test_of_several_volumes_in_a_series_the_first_is_read_and_that_is_said(scans):
    uid = {"SeriesInstanceUID": "1.2.3"}
    first, second = series(scans, **uid), series([255 - scan for scan in scans], **uid)
    second = [edited(file, InstanceNumber=len(scans) + 1 + i) for i, file in enumerate(second)]
    study = read_study(*second, *first)
    assert [note.code for note in study.notes] == ["first_volume"]
    assert len(study.slices) == len(scans)
    assert np.array_equal(study.slices[0].image, plain(scans[0]))


def edited(payload: bytes, **elements) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(payload))
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def test_series_and_orientations_are_not_mixed(scans):
    axial = series(scans[:3])
    other = series(scans[3:], SeriesInstanceUID="1.2.9")
    coronal = edited(axial[0], ImageOrientationPatient=CORONAL)
    studies = read(*axial, *other, coronal)
    assert [(one.kind, len(one.slices), one.plane) for one in studies] == [
        (StudyKind.VOLUME, 3, Plane.AXIAL),
        (StudyKind.VOLUME, 2, Plane.AXIAL),
        (StudyKind.IMAGE, 1, Plane.CORONAL),
    ]


def test_a_missing_slice_is_said(scans):
    files = series(scans)
    study = read_study(*files[:2], *files[3:])
    assert [note.code for note in study.notes] == ["missing_slices"]


def test_a_damaged_slice_is_refused_and_the_others_are_read(scans):
    files = series(scans)
    files[2] = files[2][:-1000]
    refused, study = read(*files)
    assert isinstance(refused, RefusedFile)
    assert (refused.file, refused.error.code) == (2, "corrupt")
    assert len(study.slices) == 4
    assert [note.code for note in study.notes] == ["missing_slices"]
    assert np.array_equal(study.slices[2].image, plain(scans[3]))


def test_one_window_is_for_all_slices_of_a_volume(scans):
    dim = [scan // 4 if i == 1 else scan for i, scan in enumerate(scans)]
    study = read_study(*series([twelve(scan) for scan in dim], WindowCenter=None, WindowWidth=None))
    brightest = [int(one.image.max()) for one in study.slices]
    assert min(brightest[:1] + brightest[2:]) > 240
    assert brightest[1] < 90


def test_stated_windows_that_differ_are_made_one(scans):
    files = series(scans)
    files[0] = edited(files[0], WindowCenter=60, WindowWidth=100)
    for one, levels in zip(read_study(*files).slices, scans, strict=True):
        assert np.array_equal(one.image, plain(levels))


@pytest.mark.parametrize("window", [(99999, 1), (0, 0), (-5000, 10)])
def test_a_window_that_shows_nothing_is_passed_over(scan, window):
    centre, width = window
    image = read_study(dicom(twelve(scan), WindowCenter=centre, WindowWidth=width)).slices[0].image
    assert image.max() > 240
    assert image.min() < 10


def test_padding_is_black_and_moves_no_window(scan):
    stored = twelve(scan).astype(np.int16)
    padded = stored.copy()
    padded[:40] = -32768
    expected = read_study(dicom(np.where(np.arange(256)[:, None] < 40, 0, stored).astype(np.int16)))
    image = read_study(dicom(padded, PixelPaddingValue=-32768)).slices[0].image
    assert np.abs(image.astype(int) - expected.slices[0].image).mean() < 2
    inverted = dicom(padded, PixelPaddingValue=-32768, PhotometricInterpretation="MONOCHROME1")
    assert read_study(inverted).slices[0].image[:30].max() == 0


def test_air_at_the_ends_of_a_volume_is_told(scans):
    noise = np.random.default_rng(1).integers(0, 20, (256, 256)).astype(np.uint8)
    study = read_study(*series([noise, *scans, noise]))
    assert [one.empty for one in study.slices] == [True, *[False] * 5, True]
    assert study.slices[0].findings == ()


def test_colour_maps_are_read_as_grey_with_a_warning(scan):
    colours = np.stack([scan, scan // 2, 255 - scan], axis=2)
    one = read_study(dicom(colours)).slices[0]
    assert np.array_equal(one.image[..., 0], one.image[..., 2])
    assert "colour" in [finding.code for finding in one.findings]


def test_a_palette_is_applied():
    dataset = pydicom.dcmread(io.BytesIO(bundled("examples_palette.dcm")))
    dataset.Modality = "MR"
    file = io.BytesIO()
    dataset.save_as(file)
    image = read_study(file.getvalue()).slices[0].image
    shown = pydicom.pixels.apply_color_lut(dataset.pixel_array, dataset)
    grey_levels = Image.fromarray((shown >> 8).astype(np.uint8)).convert("L")
    assert np.abs(image.astype(int) - plain(np.array(grey_levels))).mean() < 2


def test_a_file_without_preamble_is_read(scan):
    study = read_study(dicom(scan, **EIGHT_BITS)[132:])
    assert np.array_equal(study.slices[0].image, plain(scan))
