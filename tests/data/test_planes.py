"""Which plane slices lie in, and which way up they are shown."""

import numpy as np
import pytest

from data.planes import Plane, view_of
from tests.data.medical import AXIAL, CORONAL, EIGHT_BITS, SAGITTAL, dicom, plain, read_study


@pytest.mark.parametrize(
    ("orientation", "plane"),
    [(AXIAL, Plane.AXIAL), (CORONAL, Plane.CORONAL), (SAGITTAL, Plane.SAGITTAL)],
)
def test_planes_are_told_by_the_direction_of_rows_and_columns(scan, orientation, plane):
    study = read_study(dicom(scan, ImageOrientationPatient=orientation, **EIGHT_BITS))
    assert study.plane == plane
    assert np.array_equal(study.slices[0].image, plain(scan))


@pytest.mark.parametrize(
    ("stored", "orientation"),
    [
        (lambda g: g[:, ::-1], [-1, 0, 0, 0, 1, 0]),
        (lambda g: g[::-1], [1, 0, 0, 0, -1, 0]),
        (lambda g: g.T, [0, 1, 0, 1, 0, 0]),
        (lambda g: np.rot90(g), [0, 1, 0, -1, 0, 0]),
    ],
)
def test_slices_stored_any_way_round_have_the_face_on_top(scan, stored, orientation):
    turned = np.ascontiguousarray(stored(scan))
    study = read_study(dicom(turned, ImageOrientationPatient=orientation, **EIGHT_BITS))
    assert study.plane == Plane.AXIAL
    assert np.array_equal(study.slices[0].image, plain(scan))


@pytest.mark.parametrize("degrees", [-40, -10, 10, 40])
def test_tilted_slices_belong_to_the_nearest_plane(degrees):
    angle = np.radians(degrees)
    down = np.array([0, np.cos(angle), np.sin(angle)])
    view = view_of(np.array([1.0, 0, 0]), down)
    assert view.plane == Plane.AXIAL
    assert (view.transposed, view.mirrored, view.upside_down) == (False, False, False)
    assert view.normal[2] > 0  # counted from below


@pytest.mark.parametrize(
    ("right", "down", "counted"),
    [
        ([1, 0, 0], [0, 1, 0], [0, 0, 1]),
        ([1, 0, 0], [0, -1, 0], [0, 0, 1]),
        ([1, 0, 0], [0, 0, -1], [0, -1, 0]),
        ([0, 1, 0], [0, 0, -1], [-1, 0, 0]),
        ([0, -1, 0], [0, 0, -1], [-1, 0, 0]),
    ],
)
def test_slices_are_counted_up_forwards_and_to_the_right(right, down, counted):
    view = view_of(np.array(right, float), np.array(down, float))
    assert np.array_equal(view.normal, counted)
