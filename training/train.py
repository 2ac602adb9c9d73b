"""Fine-tune a backbone on a prepared dataset.

    python -m training train --data prepared --run runs/first

Three stages, each with its own cosine schedule: the new head alone; everything, at a reduced image size
and with learning rates that fall towards the stem; everything at full size. A stage keeps the weights
of its best epoch by the validation loss, which weighs classes and sources as training does.

Interrupted, the same command goes on where it stopped. About half an hour on two cores.
"""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import keras
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from data.manifest import Split, dataset_hash
from training.alterations import Alterations, Shares
from training.checkpoint import StageCheckpoint, copy_whole, remove_state, write_whole
from training.errors import RunError
from training.network import build_network, taught_by_outlines
from training.propensity import inverse_propensity
from training.scans import TEMPERING, ScanSet, load_split
from training.settings import TrainSettings
from training.views import RandomViews, Views

#: Settings that say how many views are altered.
_SHARES: Final = tuple(field.name for field in fields(Shares))
#: File names inside a run's folder.
SETTINGS_FILE: Final = "settings.json"
WEIGHTS_FILE: Final = "trained.weights.h5"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One `fit` with its own schedule.

    Attributes:
        name: names its files.
        epochs: at most this many, fewer when the validation loss stops falling.
        image_size: side that scans are scaled to, in pixels.
        learning_rate: of the head at the start.
        backbone_rate: fraction of it for the last layer of the backbone; 0 freezes the backbone.
        stem_rate: fraction of that for the first layer; layers between are spaced geometrically.
    """

    name: str
    epochs: int
    image_size: int
    learning_rate: float
    backbone_rate: float = 0.0
    stem_rate: float = 0.1


def stages(settings: TrainSettings) -> tuple[Stage, ...]:
    """The staged unfreezing, scaled to the epochs asked for; all at once where nothing is pretrained."""
    rate = settings.learning_rate
    if settings.recipe == "scratch":
        scratch = Stage(
            name="scratch",
            epochs=settings.epochs,
            image_size=settings.image_size,
            learning_rate=rate,
            backbone_rate=1.0,
            stem_rate=1.0,
        )
        return (scratch,)
    return (
        Stage(
            name="head",
            epochs=settings.head_epochs,
            image_size=settings.image_size,
            learning_rate=3 * rate,
        ),
        Stage(
            name="finetune",
            epochs=settings.epochs,
            image_size=settings.image_size,
            learning_rate=rate,
            backbone_rate=0.5,
        ),
        Stage(
            name="full_size",
            epochs=settings.full_size_epochs,
            image_size=settings.full_size,
            learning_rate=rate / 5,
            backbone_rate=0.5,
        ),
    )


def final_size(settings: TrainSettings) -> int:
    """Side in pixels of what a trained network was last shown, and is judged and served at."""
    return next(
        (stage.image_size for stage in reversed(stages(settings)) if stage.epochs),
        settings.image_size,
    )


class DiscriminativeAdamW(keras.optimizers.AdamW):
    """AdamW whose learning rate is scaled for each variable (Howard and Ruder, 2018, arXiv:1801.06146).

    Args:
        rates: factor by variable path; 1 where a path is missing.
    """

    def __init__(self, *, rates: dict[str, float], **options: object) -> None:
        super().__init__(**options)
        self._rates = rates

    def update_step(
        self, gradient: keras.KerasTensor, variable: keras.Variable, learning_rate: object
    ) -> None:
        """Scale the rate, then step as AdamW does."""
        # TensorFlow hands over its own variable, which has lost Keras' path; the index finds it.
        path = self._trainable_variables[self._get_variable_index(variable)].path
        factor = self._rates.get(path, 1.0)
        super().update_step(gradient, variable, learning_rate * factor)  # type: ignore[operator]


def train(settings: TrainSettings, console: Console) -> Path:
    """Run or resume a training.

    Returns:
        The file with the trained weights, inside `settings.run`.

    Raises:
        RunError: the run's folder was begun with other settings, or every stage has 0 epochs.
    """
    keras.utils.set_random_seed(settings.seed)
    run = settings.run
    run.mkdir(parents=True, exist_ok=True)
    training = load_split(settings.data, Split.TRAIN, keep_doubtful=False, without=settings.without)
    validation = load_split(settings.data, Split.VAL, keep_doubtful=False, without=settings.without)
    _remember(settings, training)
    console.print(f"{len(training)} scans to learn from, {len(validation)} to choose epochs by")
    with _devices(all_of_them=settings.all_devices):
        weights = _run_stages(settings, training, validation, console)
    if weights is None:
        raise RunError("Every stage has 0 epochs: nothing to train. Give --epochs.")
    copy_whole(weights, run / WEIGHTS_FILE)
    return run / WEIGHTS_FILE


def _alterations(settings: TrainSettings, training: ScanSet, console: Console) -> Alterations:
    """What becomes of drawn scans, and how often each is drawn."""
    chances = training.weights(tempering=TEMPERING)
    if settings.inverse_propensities:
        with console.status("Looking for scans whose class shows at a coarse glance"):
            chances *= inverse_propensity(training, seed=settings.seed)
    shares = Shares(**{name: getattr(settings, name) for name in _SHARES})
    whole = load_split(settings.data, Split.TRAIN, keep_doubtful=True, without=settings.without)
    with console.status("Looking for volumes and outlines"):
        return Alterations(training, chances, shares, volumes=whole)


def _run_stages(
    settings: TrainSettings, training: ScanSet, validation: ScanSet, console: Console
) -> Path | None:
    """Fit each stage that is not done yet; the weights of the last, or None if there are none to fit."""
    weights: Path | None = None
    views: RandomViews | None = None  # slow to set up, and not needed where all is done
    for stage in stages(settings):
        if not stage.epochs:
            continue
        best = settings.run / f"{stage.name}.weights.h5"
        if not (settings.run / f"{stage.name}.done").exists():
            console.rule(f"{stage.name}: {stage.epochs} epochs at {stage.image_size} pixels")
            if views is None:
                views = RandomViews(
                    training,
                    batch_size=settings.batch_size,
                    draws=settings.views_per_epoch,
                    alterations=_alterations(settings, training, console),
                    seed=settings.seed,
                )
            _fit(stage, settings, views, validation, start=weights, best=best)
            (settings.run / f"{stage.name}.done").touch()
        remove_state(settings.run / stage.name)
        weights = best
    return weights


def read_settings(run: Path) -> TrainSettings:
    """The settings that a run was begun with.

    Raises:
        RunError: it was not begun.
    """
    path = run / SETTINGS_FILE
    if not path.exists():
        raise RunError(f"{path} is missing. Begin the run with `python -m training train`.")
    known = {field.name for field in fields(TrainSettings)}
    stored = {name: value for name, value in json.loads(path.read_text()).items() if name in known}
    return TrainSettings(**stored | {"data": Path(stored["data"]), "run": Path(stored["run"])})


def trained_network(run: Path) -> keras.Model:
    """The network of a finished run with its trained weights, at the image size of its last stage.

    Raises:
        RunError: the run is not finished.
    """
    weights = run / WEIGHTS_FILE
    if not weights.exists():
        raise RunError(f"{weights} is missing. Finish the run with `python -m training train`.")
    settings = read_settings(run)
    network = build_network(
        settings.network,
        image_size=final_size(settings),
        pretrained=False,
        standardised=settings.standardise,
        pooling=settings.pooling,
    )
    network.load_weights(weights)
    return network


def lowest_loss(run: Path) -> float:
    """The lowest validation loss of a run's last stage.

    Raises:
        RunError: it has none yet.
    """
    for stage in reversed(stages(read_settings(run))):
        if losses := _past_losses(run / f"{stage.name}.csv"):
            return min(losses)
    raise RunError(f"{run} has not finished an epoch.")


def predict_logits(network: keras.Model, scans: ScanSet) -> NDArray[np.float32]:
    """Uncalibrated logits `[N]` of a whole set."""
    parts = [network.predict_on_batch(scans.images(which)) for which in scans.batches(64)]
    return np.concatenate(parts)[:, 0]


def _remember(settings: TrainSettings, training: ScanSet) -> None:
    """Write the run's settings, or check that they are still the same."""
    path = settings.run / SETTINGS_FILE
    now = asdict(settings) | {
        "network": settings.network,
        "data_hash": dataset_hash(training.scans),
    }
    text = json.dumps(now, indent=2, default=str) + "\n"
    if path.exists() and path.read_text() != text:
        raise RunError(
            f"{settings.run} was begun with other settings or data. "
            "Resume it with those of its settings.json, or choose another --run."
        )
    write_whole(path, text)


@contextmanager
def _devices(*, all_of_them: bool) -> Iterator[None]:
    """Mixed precision where there is a GPU; one batch shared by all GPUs if asked.

    On JAX by Keras' own data parallelism, on TensorFlow by its mirrored strategy.
    """
    gpus = keras.distribution.list_devices("gpu")
    policy = keras.mixed_precision.global_policy()
    if gpus:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        if not (all_of_them and len(gpus) > 1):
            yield
        elif keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            with tf.distribute.MirroredStrategy().scope():
                yield
        else:
            with keras.distribution.DataParallel(devices=gpus).scope():
                yield
    finally:
        keras.mixed_precision.set_global_policy(policy)


def _fit(
    stage: Stage,
    settings: TrainSettings,
    views: RandomViews,
    validation: ScanSet,
    *,
    start: Path | None,
    best: Path,
) -> None:
    network = build_network(
        settings.network,
        image_size=stage.image_size,
        dropout=settings.dropout,
        seed=settings.seed,
        pretrained=start is None,
        standardised=settings.standardise,
        random_networks=settings.random_networks,
        pooling=settings.pooling,
    )
    if start is not None:
        network.load_weights(start)
    backbone = network.get_layer("backbone")
    if settings.recipe == "finetune":
        for layer in backbone.layers[: int(settings.frozen * len(backbone.layers))]:
            layer.trainable = False
    if not stage.backbone_rate:
        backbone.trainable = False
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=stage.epochs * len(views),
        warmup_target=stage.learning_rate,
        warmup_steps=max(1, len(views) // 2),
        alpha=0.01,
    )
    optimizer = DiscriminativeAdamW(
        rates=_rates(backbone, stage),
        learning_rate=schedule,
        weight_decay=settings.weight_decay,
        clipnorm=1.0,
        use_ema=settings.ema > 0,
        ema_momentum=settings.ema or 0.99,
    )
    taught = taught_by_outlines(network, backbone=settings.network, weight=settings.outline_weight)
    taught.compile(
        optimizer=optimizer,
        loss=keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.02),
        weighted_metrics=[keras.metrics.AUC(from_logits=True, name="auc")],
    )
    # The average is what is validated and kept; the fit goes on from the weights themselves.
    averaging = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if settings.ema else []
    checkpoint = StageCheckpoint(
        best.parent / stage.name, epochs=stage.epochs, patience=settings.patience
    )
    checkpoint.restore(taught)
    if not checkpoint.over:
        taught.fit(
            views,
            validation_data=Views(validation, batch_size=64),
            initial_epoch=checkpoint.epoch,
            epochs=stage.epochs,
            shuffle=False,  # the draws are random already, and in the same order after a resumption
            callbacks=[
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=lambda epoch, _: views.draw(epoch),
                    on_epoch_end=lambda epoch, _: checkpoint.keep_state(epoch),
                ),
                *averaging,
                checkpoint,
                keras.callbacks.TensorBoard(str(best.parent / "tensorboard" / stage.name)),
                keras.callbacks.TerminateOnNaN(),
            ],
        )
    checkpoint.finish(best)


def _rates(backbone: keras.Model, stage: Stage) -> dict[str, float]:
    """Learning-rate factors, falling geometrically from the last layer of the backbone to the first."""
    variables = [variable.path for layer in backbone.layers for variable in layer.weights]
    last = max(1, len(variables) - 1)
    return {
        path: stage.backbone_rate * stage.stem_rate ** (1 - i / last)
        for i, path in enumerate(variables)
    }


def _past_losses(epochs_file: Path) -> list[float]:
    """Validation losses of a stage's epochs so far."""
    if not epochs_file.exists():
        return []
    with epochs_file.open() as file:
        return [float(row["val_loss"]) for row in csv.DictReader(file)]
