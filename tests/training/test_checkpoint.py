"""A stage that is killed, over and over, at every step of keeping an epoch, ends as an unbroken one does."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT

EPOCHS = 4
#: Trains a small network, and kills itself at the n-th time that it touches a file of the stage.
PROGRAM = """
import os, signal, sys
from pathlib import Path
import keras, numpy as np
from training.checkpoint import StageCheckpoint, remove_state

folder, deadly, patience = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
touched = 0

def touch(path):
    global touched
    touched += ".state" in str(path) or ".csv" in str(path)
    if touched == deadly:
        os.kill(os.getpid(), signal.SIGKILL)

def hook(event, values):
    if event in ("os.rename", "os.remove", "shutil.copyfile", "shutil.rmtree"):
        touch(values[0])
    if event == "open" and isinstance(values[1], str) and "w" in values[1]:
        touch(values[0])

class Halved(keras.Model):
    def save_weights(self, filepath, **options):
        super().save_weights(filepath, **options)
        whole = Path(filepath).read_bytes()
        os.truncate(filepath, len(whole) // 2)  # what a kill in the midst of writing leaves
        touch(filepath)
        Path(filepath).write_bytes(whole)

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = (x[:, :1] > 0).astype("float32")
inputs = keras.Input((4,))
network = Halved(inputs, keras.layers.Dense(1)(keras.layers.Dropout(0.2, seed=1)(inputs)))
network.compile(keras.optimizers.AdamW(0.05, use_ema=True, ema_momentum=0.9), "mse")
first = network.predict(x, verbose=0)
sys.addaudithook(hook)
checkpoint = StageCheckpoint(folder / "stage", epochs=EPOCHS, patience=patience)
checkpoint.restore(network)
if not checkpoint.over:
    network.fit(
        x, y, validation_data=(x, first if patience == 2 else y), shuffle=False, verbose=0,
        initial_epoch=checkpoint.epoch, epochs=EPOCHS,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_end=lambda n, _: checkpoint.keep_state(n)),
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            checkpoint,
        ],
    )
checkpoint.finish(folder / "stage.weights.h5")
remove_state(folder / "stage")
network.load_weights(folder / "stage.weights.h5")
np.save(folder / "weights.npy", network.layers[-1].get_weights()[0])
print(touched)
""".replace("EPOCHS", str(EPOCHS))


def attempt(folder: Path, *, deadly: int = 0, patience: int = 9) -> int:
    """Return code of the program; 0 kills never."""
    words = [sys.executable, "-c", PROGRAM, str(folder), str(deadly), str(patience)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def losses(folder: Path) -> dict[str, float]:
    lines = (folder / "stage.csv").read_text().splitlines()
    cells = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    return {row["epoch"]: float(row["val_loss"]) for row in cells}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    assert attempt(folder) == 0
    return folder


@pytest.mark.timeout(1200)  # a dozen processes, each of which imports TensorFlow
def test_kills_at_every_step_change_nothing(unbroken, tmp_path):
    kills = 0
    # The later deadly steps lie in later epochs, or at the end of the stage.
    while attempt(tmp_path, deadly=kills + 1):
        kills += 1
        assert kills < 40, "the stage does not get on"
    assert kills >= 8
    got, expected = losses(tmp_path), losses(unbroken)
    assert list(got) == [str(epoch) for epoch in range(EPOCHS)], "each epoch counts once"
    assert list(got.values()) == pytest.approx(list(expected.values()), abs=1e-5)
    # Dropout draws on where it was, so that the weights are those of an unbroken training.
    weights = [np.load(folder / "weights.npy") for folder in (tmp_path, unbroken)]
    assert weights[0] == pytest.approx(weights[1], abs=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in unbroken.iterdir())


def test_patience_runs_out_over_a_kill(tmp_path):
    """The validation loss rises from the first epoch on: the third is the last."""
    attempt(tmp_path, patience=2, deadly=17)
    state = json.loads((tmp_path / "stage.state" / "state.json").read_text())
    assert len(state["rows"]) == 2
    assert attempt(tmp_path, patience=2) == 0
    assert list(losses(tmp_path)) == ["0", "1", "2"]
