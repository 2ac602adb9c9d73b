"""What a stage keeps of each epoch, so that a kill at any moment costs no more than the epoch it fell in.

One file is the truth, `state.json`: it is replaced in one rename, after everything that it names has been
written, and before anything that it no longer names is removed.
"""

import csv
import json
import math
import shutil
from io import StringIO
from pathlib import Path
from typing import Any, Final

import keras

from training.errors import RunError

_STATE: Final = "state.json"


def write_whole(path: Path, text: str) -> None:
    """Write a file so that readers, and whoever comes after a kill, see all of it or none."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file so that the target is whole or not there."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.copyfile(source, partial)
    partial.replace(target)


class StageCheckpoint(keras.callbacks.Callback):
    """Keeps the state after each epoch and the weights of the best one, and ends a stage early.

    Where weights are averaged, `keep_state` must be called at the end of an epoch before the average is
    swapped in, and this callback stand after the swap: a resumed fit goes on from the weights, while the
    average is what is judged and kept as the best.
    """

    def __init__(self, stage: Path, *, epochs: int, patience: int) -> None:
        """Look at what an earlier process kept.

        Args:
            stage: run's folder and stage's name; `NAME.csv` gets a row for each epoch, and the folder
                `NAME.state` holds the rest while the stage lasts.
            epochs: of the stage, at most.
            patience: epochs without a lower validation loss before it ends.
        """
        super().__init__()
        self._folder = stage.with_name(f"{stage.name}.state")
        self._table = stage.with_name(f"{stage.name}.csv")
        self._epochs, self._patience = epochs, patience
        self._rows: list[dict[str, Any]] = []
        self._best: int | None = None
        self._seeds: list[list[int]] = []
        self._folder.mkdir(exist_ok=True)
        if (self._folder / _STATE).exists():
            state = json.loads((self._folder / _STATE).read_text())
            self._rows, self._best, self._seeds = state["rows"], state["best"], state["seeds"]

    @property
    def epoch(self) -> int:
        """The epoch that comes next, counted from 0."""
        return len(self._rows)

    @property
    def over(self) -> bool:
        """Whether no epoch is left, patience has run out, or the loss is no number any more."""
        if not self._rows:
            return False
        waited = self.epoch - 1 - (-1 if self._best is None else self._best)
        lost = math.isnan(self._rows[-1]["loss"])
        return self.epoch >= self._epochs or waited >= max(1, self._patience) or lost

    def restore(self, network: keras.Model) -> None:
        """Put a compiled network and its optimizer where the last whole epoch left them."""
        self._tidy()
        if self.epoch:
            # Variables of an optimizer are loaded only if it has them.
            network.optimizer.build(network.trainable_variables)
            network.load_weights(self._latest(self.epoch - 1))
            for state, value in zip(_seed_states(network), self._seeds, strict=True):
                state.assign(value)

    def keep_state(self, epoch: int) -> None:
        """Write the weights to go on from; they count once the epoch's row is written."""
        self.model.save_weights(self._latest(epoch), overwrite=True)
        # Keras does not count them among the weights, and would draw the first epoch's views again.
        self._seeds = [
            keras.ops.convert_to_numpy(state).tolist() for state in _seed_states(self.model)
        ]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the epoch: from here on it is not trained again."""
        row = {name: float(value) for name, value in sorted((logs or {}).items())}
        best, lowest = self._best, math.inf
        if best is not None:
            lowest = self._rows[best]["val_loss"]
        if row["val_loss"] < lowest:
            best = epoch
            self.model.save_weights(self._kept(epoch), overwrite=True)
        rows = [*self._rows, {"epoch": epoch, **row}]
        state = {"best": best, "seeds": self._seeds, "rows": rows}
        write_whole(self._folder / _STATE, json.dumps(state))
        self._rows, self._best = rows, best
        self._tidy()
        if self.over:
            self.model.stop_training = True

    def finish(self, weights: Path) -> None:
        """Copy the weights of the best epoch to where the next stage looks for them.

        Raises:
            RunError: no epoch had a validation loss.
        """
        if self._best is None:
            raise RunError(
                f"{self._table} holds no validation loss that is a number: the training diverged. "
                "Choose a lower --learning-rate and another --run."
            )
        copy_whole(self._kept(self._best), weights)

    def _latest(self, epoch: int) -> Path:
        return self._folder / f"latest-{epoch}.weights.h5"

    def _kept(self, epoch: int) -> Path:
        return self._folder / f"best-{epoch}.weights.h5"

    def _tidy(self) -> None:
        """Write the table of epochs again, and remove what the state does not name."""
        if self._rows:
            text = StringIO()
            writer = csv.DictWriter(text, self._rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows)
            write_whole(self._table, text.getvalue())
        named = {self._folder / _STATE}
        if self._rows:
            named.add(self._latest(self.epoch - 1))
        if self._best is not None:
            named.add(self._kept(self._best))
        for path in set(self._folder.iterdir()) - named:
            path.unlink()


def _seed_states(network: keras.Model) -> list[keras.Variable]:
    """States of all that draws at random in a network, in the order of its layers."""
    return [one for one in network.variables if one.path.endswith("seed_generator_state")]


def remove_state(stage: Path) -> None:
    """Remove what a finished stage kept; it may be gone already. `stage` as for `StageCheckpoint`."""
    shutil.rmtree(stage.with_name(f"{stage.name}.state"), ignore_errors=True)
