"""Settings that make no sense are refused before anything is read."""

import cyclopts
import pytest

from training.__main__ import app

TRAIN = ["train", "--data", "d", "--run", "r"]
LOSO = ["loso", "--data", "d", "--run", "r"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*TRAIN, "--epochs", "-1"], r"epochs.*Must be >= 0"),
        ([*TRAIN, "--views-per-epoch", "0"], r"views-per-epoch.*Must be >= 1"),
        ([*TRAIN, "--image-size", "8"], r"image-size.*Must be >= 32"),
        ([*TRAIN, "--image-size", "512"], r"image-size.*Must be <= 224"),
        ([*TRAIN, "--learning-rate", "0"], r"learning-rate.*Must be > 0"),
        ([*TRAIN, "--learning-rate", "nan"], r"learning-rate.*Must be > 0"),
        ([*TRAIN, "--dropout", "1"], r"dropout.*Must be < 1"),
        ([*TRAIN, "--frozen", "1.5"], r"frozen.*Must be <= 1"),
        ([*TRAIN, "--patience", "0"], r"patience.*Must be >= 1"),
        ([*LOSO, "--epochs", "-2"], r"epochs.*Must be >= 0"),
        ([*LOSO, "--views-per-epoch", "0"], r"views-per-epoch.*Must be >= 1"),
        (["tune", "--data", "d", "--out", "o", "--trials", "0"], r"trials.*Must be >= 1"),
        (["audit", "--data", "d", "--folds", "1"], r"folds.*Must be >= 2"),
        (["bench", "--rounds", "0"], r"rounds.*Must be >= 1"),
        (["export", "--run", "r", "--data", "d", "--unfamiliar-views", "0"], r"Must be >= 1"),
        (["evaluate", "--model", "m", "--data", "d", "--batch-size", "0"], r"batch-size.*>= 1"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "",
)
def test_a_setting_out_of_range_is_named(words, message):
    with pytest.raises(cyclopts.ValidationError, match=message):
        app.parse_args(words, print_error=False, exit_on_error=False)


def test_settings_at_the_edge_of_their_range_are_taken():
    words = [*TRAIN, "--epochs", "0", "--image-size", "32", "--frozen", "1", "--ema", "0"]
    _, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False)
    settings = bound.arguments["settings"]
    assert (settings.epochs, settings.image_size, settings.frozen) == (0, 32, 1.0)
