"""What an answer costs beside VGG19, and whether scans reach a training as fast as from memory.

    python -m training bench --data prepared

Machines are noisy, so the two sides of a ratio take turns in short rounds; reported is the median of the
rounds' ratios, with the lowest and the highest.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import track
from rich.table import Table

from data.manifest import Split
from serving.contract import IMAGE_SHAPE, SERVING_DEFAULT
from serving.versions import list_versions
from training.alterations import Alterations, Shares
from training.errors import EvaluationError
from training.scans import load_split
from training.settings import BenchSettings
from training.views import RandomViews

BATCH: Final = 8
_DRAWS: Final = 512


def bench(settings: BenchSettings, console: Console) -> dict[str, list[float]]:
    """Measure and print.

    Returns:
        Ratios of each round: `cost`, CPU time of an answer by CPU time of VGG19; `pipeline`, rate of
        batches from the dataset on disk by the rate from memory, if a dataset is given.

    Raises:
        EvaluationError: there is no version to measure.
        DatasetError: the dataset cannot be used.
    """
    versions = list_versions(settings.model_base_path)
    if not versions:
        raise EvaluationError(f"{settings.model_base_path} holds no version to measure.")
    path = settings.model_base_path / str(versions[-1])
    table = Table("what", "of the first", "of the second", "ratio (lowest to highest)")
    measured = {"cost": _cost(tf.saved_model.load(str(path)), settings.rounds)}
    _add(table, f"CPU ms an image, {path} : VGG19", measured["cost"], 1e3)
    if settings.data:
        measured["pipeline"] = _pipeline(settings)
        _add(table, "batched images/s, dataset on disk : in memory", measured["pipeline"], 1.0)
    console.print(table)
    return {name: [one / other for one, other in rounds] for name, rounds in measured.items()}


def _add(table: Table, what: str, rounds: list[tuple[float, float]], scale: float) -> None:
    ones, others = ([scale * value for value in side] for side in zip(*rounds, strict=True))
    ratios = [one / other for one, other in rounds]
    table.add_row(
        what,
        f"{statistics.median(ones):.1f}",
        f"{statistics.median(others):.1f}",
        f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
    )


def _cost(loaded: tf.Module, rounds: int) -> list[tuple[float, float]]:
    """CPU seconds an image of the served graph and of VGG19 (its weights do not change its cost)."""
    images = np.random.default_rng(0).integers(0, 256, (BATCH, *IMAGE_SHAPE), np.uint8)
    served = loaded.signatures[SERVING_DEFAULT]
    vgg19 = tf.function(
        keras.applications.VGG19(weights=None, classes=1, classifier_activation=None)
    )
    as_float = tf.constant(images, tf.float32)
    answer = lambda: served(images=tf.constant(images))["probability"].numpy()  # noqa: E731
    original = lambda: vgg19(as_float, training=False).numpy()  # noqa: E731
    for call in (answer, original):
        call()  # traces the graph
    # Several answers against one of VGG19's, so that both sides take about as long.
    return [
        (_cpu_seconds(answer, 10) / BATCH, _cpu_seconds(original, 1) / BATCH)
        for _ in track(range(rounds), "CPU time beside VGG19")
    ]


def _cpu_seconds(call: Callable[[], object], times: int) -> float:
    begin = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - begin) / times


def _pipeline(settings: BenchSettings) -> list[tuple[float, float]]:
    """Images a second of random draws from the memory-mapped dataset, and from an array."""
    on_disk = load_split(settings.data, Split.TRAIN, keep_doubtful=True)  # type: ignore[arg-type]
    in_memory = replace(on_disk, packed=on_disk.packed[on_disk.rows], rows=np.arange(len(on_disk)))
    sides = [
        RandomViews(
            scans,
            batch_size=32,
            draws=_DRAWS,
            alterations=Alterations(scans, scans.weights(), Shares()),
            seed=0,
        )
        for scans in (on_disk, in_memory)
    ]
    rounds = []
    for number in track(range(settings.rounds), "Batches from disk and from memory"):
        rates = []
        for views in sides:
            views.draw(number)
            begin = time.perf_counter()
            for i in range(len(views)):
                views[i]
            rates.append(_DRAWS / (time.perf_counter() - begin))
        rounds.append((rates[0], rates[1]))
    return rounds
