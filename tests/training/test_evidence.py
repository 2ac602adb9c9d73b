"""Local evidence: pooled as a smooth maximum, and taught by outlines that move with the image."""

import keras
import numpy as np
import pytest

from training.evidence import LogMeanExp, OutlineLoss
from training.network import Standardise, build_network, taught_by_outlines


def loss_of(local, outlines, outlined):
    layer = OutlineLoss(weight=1.0)
    layer(*(np.asarray(part, np.float32) for part in (local, outlines, outlined)))
    return float(sum(layer.losses))


def cells(value, *, at=None, peak=0.0):
    made = np.full((1, 4, 4, 1), value, np.float32)
    if at:
        made[0, *at, 0] = peak
    return made


@pytest.fixture
def outline():
    """A tumour in the cell (1, 2) of four by four."""
    made = np.zeros((1, 64, 64, 1), np.float32)
    made[0, 16:32, 32:48] = 1.0
    return made


def test_one_cell_is_enough_to_make_a_scan_positive():
    pool = LogMeanExp()
    (mean, peak) = (float(pool(x)[0, 0]) for x in (cells(-3.0), cells(-3.0, at=(0, 0), peak=8.0)))
    assert mean == pytest.approx(-3.0, abs=1e-5)
    assert peak == pytest.approx(8.0 - np.log(16), abs=0.01)


def test_evidence_in_the_outline_costs_less_than_beside_it(outline):
    right = loss_of(cells(-4.0, at=(1, 2), peak=4.0), outline, [[1.0]])
    wrong = loss_of(cells(-4.0, at=(3, 0), peak=4.0), outline, [[1.0]])
    assert right < 0.1 < wrong


def test_where_the_outline_is_not_known_nothing_is_added(outline):
    assert loss_of(cells(5.0), outline * 0, [[0.0]]) == 0.0


def test_an_outline_is_cropped_and_moved_as_its_image_is():
    image = np.zeros((1, 224, 224, 2), np.float32)
    image[:, 40:200, 60:180, 0] = 0.5
    image[:, 80:110, 90:130] = 1.0  # a bright tumour, and its outline in the second channel
    network = build_network(seed=1, image_size=160, standardised=True, pretrained=False)
    seen = Standardise(side=160)(image)
    for moved in (seen, network.get_layer("random_view")(seen, training=True)):
        bright, outlined = (np.asarray(moved)[0, ..., channel] for channel in (0, 1))
        inside, near = (outlined > part for part in (0.9, 0.1))
        assert inside.sum() > 200
        tissue = (bright > 0.05) & ~near
        # Grey levels are remapped, so that the tumour may be darker than the rest, but it differs.
        assert abs(bright[inside].mean() - bright[tissue].mean()) > 3 * bright[inside].std()


def test_a_network_learns_where_a_tumour_is():
    """A few steps on one scan raise the evidence inside its outline, and nowhere else."""
    keras.utils.set_random_seed(0)
    network = build_network("cnn", seed=1, image_size=224, dropout=0.0, pooling="log_mean_exp")
    network.get_layer("random_view").trainable = False
    taught = taught_by_outlines(network, backbone="cnn", weight=2.0)
    taught.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    generator = np.random.default_rng(0)
    images = generator.integers(60, 90, (8, 224, 224, 3)).astype(np.uint8)
    outlines = np.zeros((8, 224, 224, 1), np.uint8)
    images[:4, 64:128, 96:160] = 230
    outlines[:4, 64:128, 96:160] = 255
    targets = (np.arange(8) < 4).astype(np.float32)[:, None]
    known = np.ones((8, 1), np.float32)
    for _ in range(25):
        taught.train_on_batch([images, outlines, known], targets)
    evidence = keras.Model(network.inputs[0], network.get_layer("evidence").output)
    local = np.asarray(evidence(images[:1], training=True))[0, ..., 0]
    inside = np.zeros((7, 7), bool)
    inside[2:4, 3:5] = True
    assert local[inside].mean() > local[~inside].mean() + 1.0
