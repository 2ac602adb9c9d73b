"""The network, its augmentation and its folding."""

import json
from dataclasses import asdict

import keras
import numpy as np
import pytest
from PIL import Image

from data.imaging import prepare_scan, read_scan
from training.augment import RandomView
from training.efficientnet_lite import efficientnet_lite0, fold
from training.network import FRAMED, Standardise, build_network
from training.settings import TrainSettings
from training.train import SETTINGS_FILE, WEIGHTS_FILE, trained_network


@pytest.fixture(scope="module")
def scans(samples):
    return np.stack([prepare_scan(read_scan(p)) for p in samples["yes"][:2] + samples["no"][:2]])


@pytest.fixture(scope="module")
def network():
    return build_network(seed=1)


def grey_part(network):
    return keras.Model(network.inputs[0], network.get_layer("grey").output)


def test_grey_is_pillows_grey(network):
    colours = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    expected = np.asarray(Image.fromarray(colours[0]).convert("L"))
    got = np.asarray(grey_part(network)(colours))[0, :, :, 0] * 255
    assert np.abs(got - expected).max() <= 1.0


def test_imagenet_weights_are_loaded_and_predictions_are_repeatable(network, scans):
    fresh = build_network(seed=1, pretrained=False).get_layer("backbone")
    stem = network.get_layer("backbone").get_layer("stem").get_weights()[0]
    assert not np.allclose(stem, fresh.get_layer("stem").get_weights()[0])
    once, twice = (network.predict(scans, verbose=0) for _ in range(2))
    assert (once == twice).all()


def test_a_smaller_image_size_only_scales(network, scans):
    small = build_network(seed=1, image_size=96)
    framed = keras.Model(small.inputs[0], small.get_layer(FRAMED).output)
    assert framed(scans).shape == (4, 96, 96, 1)
    assert len(small.get_weights()) == len(network.get_weights())


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras' own, on saving
@pytest.mark.parametrize(
    ("options", "side"),
    [
        ({"full_size_epochs": 0}, 96),
        ({"full_size_epochs": 1}, 192),
        ({"full_size_epochs": 1, "full_size": 224}, 224),
        ({"recipe": "scratch", "full_size_epochs": 1}, 96),
    ],
    ids=["never at full size", "at last at full size", "all 224 pixels", "from scratch"],
)
def test_a_network_is_judged_at_the_size_it_was_trained_at(tmp_path, options, side):
    settings = TrainSettings(data=tmp_path, run=tmp_path, image_size=96, **options)
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(asdict(settings), default=str))
    trained = build_network(settings.network, pretrained=False, standardised=True)
    trained.save_weights(tmp_path / WEIGHTS_FILE)
    network = trained_network(tmp_path)
    assert network.input_shape == (None, 224, 224, 3)
    assert network.get_layer(FRAMED).output.shape == (None, side, side, 1)


def test_folding_changes_nothing_but_the_graph(scans):
    trained = efficientnet_lite0()
    generator = np.random.default_rng(0)
    for layer in trained.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            noise = lambda like: generator.uniform(0.5, 1.5, like.shape)  # noqa: E731
            layer.set_weights([noise(gamma), 0.1 * noise(beta), 0.1 * noise(mean), noise(variance)])
    folded = fold(trained)
    assert not any(isinstance(x, keras.layers.BatchNormalization) for x in folded.layers)
    grey = (scans[..., :1].astype(np.float32) - 127) / 128
    expected = np.asarray(trained(np.repeat(grey, 3, axis=-1), training=False))
    assert expected.std() > 1e-3
    assert np.asarray(folded(grey)) == pytest.approx(expected, abs=1e-4)


def test_views_differ_from_the_scan_and_from_each_other_but_not_outside_training(scans):
    view = RandomView(seed=0)
    grey = scans[..., :1].astype(np.float32) / 255
    assert (np.asarray(view(grey, training=False)) == grey).all()
    one, other = (np.asarray(view(grey, training=True)) for _ in range(2))
    assert one.shape == grey.shape
    assert one.min() >= 0
    assert one.max() <= 1
    for scan in range(len(grey)):
        assert np.abs(one[scan] - grey[scan]).mean() > 0.01
        assert np.abs(one[scan] - other[scan]).mean() > 0.01


def test_each_image_of_a_batch_draws_its_own_view(scans):
    """Each image draws its own view: equal scans in a batch come out different."""
    same = np.repeat(scans[:1, ..., :1].astype(np.float32) / 255, 4, axis=0)
    views = np.asarray(RandomView(seed=0)(same, training=True))
    assert len({view.tobytes() for view in views}) == 4


def test_black_stays_black_in_most_of_the_background(scans):
    """Grey levels are bent, but air does not become tissue."""
    grey = np.zeros((16, 224, 224, 1), np.float32)
    grey[:, 60:160, 60:160] = 0.6
    views = np.asarray(RandomView(seed=3)(grey, training=True))
    assert np.median(views[:, :12, :12]) < 0.1


def framed(scan, *, margin, level):
    """A scan made smaller inside black and darker: another field of view, another exposure."""
    side = 224 - 2 * margin
    small = Image.fromarray(scan).resize((side, side), Image.Resampling.BICUBIC)
    canvas = np.zeros((224, 224, 3), np.uint8)
    canvas[margin : margin + side, margin : margin + side] = np.asarray(small) * level
    return canvas[..., :1].astype(np.float32) / 255


def test_field_of_view_and_exposure_are_taken_out(scans):
    full, small_and_dark = (
        np.stack([framed(scan, margin=margin, level=level) for scan in scans])
        for margin, level in ((0, 1.0), (40, 0.6))
    )
    standardise = Standardise(side=112)
    one, other = (np.asarray(standardise(images)) for images in (full, small_and_dark))
    assert one.shape == other.shape == (4, 112, 112, 1)
    assert one.max(axis=(1, 2, 3)).min() > 0.9
    assert np.abs(one - other).mean() < 0.4 * np.abs(full - small_and_dark).mean()


def test_one_step_and_two_steps_of_scaling_agree(scans):
    grey = scans[..., :1].astype(np.float32) / 255
    standardise = Standardise(side=192)
    one = np.asarray(standardise(grey))
    standardise.SHRUNK = 1.0
    two = np.asarray(standardise(grey))
    apart = lambda shift: np.abs(np.roll(one, shift, axis=1) - two).mean()  # noqa: E731
    assert apart(0) < 0.02
    assert apart(0) < 0.5 * min(apart(1), apart(-1)), "not shifted by a pixel"


def test_a_blank_image_is_left_as_it_is():
    standardise = Standardise(side=96)
    for level in (0.0, 0.5, 1.0):
        got = np.asarray(standardise(np.full((1, 224, 224, 1), level, np.float32)))
        assert np.isfinite(got).all()
        assert np.ptp(got[:, 12:-12, 12:-12]) < 1e-3


def test_a_map_of_the_crop_is_laid_back_over_the_whole_image():
    image = np.zeros((1, 224, 224, 1), np.float32)
    image[:, 20:120, 100:200] = 0.5
    image[:, 60:76, 160:176] = 1.0
    standardise = Standardise(side=224)
    seen = np.asarray(standardise(image))[0, :, :, 0] > 0.9
    cells = seen.reshape(14, 16, 14, 16).mean(axis=(1, 3))[None, :, :, None].astype(np.float32)
    assert cells.max() > 0.5
    back = np.asarray(standardise.back(cells, image))[0, :, :, 0]
    assert back.shape == (14, 14)
    rows, columns = np.indices(back.shape)
    centre = lambda index: (index * back).sum() / back.sum() * 16 + 7.5  # noqa: E731
    assert centre(rows) == pytest.approx(67.5, abs=5)
    assert centre(columns) == pytest.approx(167.5, abs=5)
    assert back[9:].max() == 0 == back[:, :5].max()


def test_the_small_cnn_builds(scans):
    cnn = build_network("cnn", standardised=True, image_size=96)
    assert cnn(scans).shape == (4, 1)
    assert cnn.count_params() < 2_000_000
