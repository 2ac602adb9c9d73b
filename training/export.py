"""Calibrate a trained run and publish it as the next version of a model.

    python -m training export --run runs/first --data prepared --models models/brain_tumor

Calibration, thresholds and the density are fitted here, on the validation split (the density's shape on
the training split); the test split is only measured. The version appears under its final name whole or
not at all.
"""

import json
from pathlib import Path
from typing import Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from data.manifest import Split, dataset_hash, read_manifest
from data.prepare import read_record
from serving.card import CARD_FILE
from serving.contract import (
    CARD,
    IMAGE_SHAPE,
    MODEL_NAME,
    RGB,
    RGB_BYTES,
    SERVING_DEFAULT,
    SIGNATURES,
)
from serving.release.store import new_version
from serving.saved_model import WARMUP_FILE
from training.appraise import Fitted, appraise
from training.calibrate import choose_calibration, choose_thresholds, threshold_intervals
from training.card_text import render_markdown
from training.errors import ExportError
from training.familiarity import fit_density
from training.localise import outlined_scans
from training.model_card import build_card, render_json
from training.plots import write_plots
from training.refusals import unseen_source_refusals
from training.scans import ScanSet, load_split
from training.served_graph import Classifier, Decision, frozen_core, write_saved_model
from training.settings import ExportSettings
from training.train import SETTINGS_FILE, read_settings, trained_network

#: Each signature is warmed up for these, and only these are worth allowing in a batching configuration.
BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32)
CARD_MARKDOWN: Final = "model_card.md"
#: Folder of the card's pictures, beside it.
PLOTS: Final = "plots"
#: Largest difference of a probability between the frozen graph and the network as trained.
TOLERANCE: Final = 1e-4


def export(settings: ExportSettings, console: Console) -> Path:
    """Write the next version of a model from a finished run.

    Returns:
        The new version directory.

    Raises:
        RunError: the run is not finished.
        CalibrationError: it is worth nothing on the validation split, or that is too small.
        EvaluationError: the SOURCE of outlines names none, or files that are not there.
        ExportError: the dataset is not the one that was trained on, or the graph does not compute what
            was trained.
    """
    network = trained_network(settings.run)
    outlines = outlined_scans(settings.outlines) if settings.outlines else None
    run = json.loads((settings.run / SETTINGS_FILE).read_text())
    classifier = Classifier(network, read_settings(settings.run).network)

    left_out = run["without"]
    learned = load_split(settings.data, Split.TRAIN, keep_doubtful=False, without=left_out)
    chosen_by = load_split(settings.data, Split.VAL, keep_doubtful=False, without=left_out)
    if dataset_hash(learned.scans) != run["data_hash"]:
        raise ExportError(
            f"{settings.run} was trained on another state of {settings.data}: other scans, splits or "
            "label_issues.csv. Its test split may hold what was learnt from. Train again."
        )
    held_out = load_split(settings.data, Split.TEST, keep_doubtful=True)
    decision, fitted = _fit(
        classifier,
        learned,
        chosen_by,
        seed=run["seed"],
        allow_worthless=settings.allow_worthless,
    )
    core = frozen_core(classifier, decision)
    appraisal = appraise(
        core,
        fitted,
        learned=learned,
        chosen_by=chosen_by,
        held_out=held_out,
        outlines=outlines,
        run=settings.run,
        before=settings.before,
        unfamiliar_views=settings.unfamiliar_views,
    )
    with new_version(settings.models) as (folder, version):
        card = build_card(
            version=version,
            run=run,
            decision=decision,
            scans=read_manifest(settings.data),
            prepared=read_record(settings.data) or {},
            appraisal=appraisal,
        )
        card_json, card_text = render_json(card), render_markdown(card)
        write_saved_model(core, card_json=card_json, card_markdown=card_text, folder=folder)
        (folder / CARD_FILE).write_text(card_json)
        (folder / PLOTS).mkdir()
        names = write_plots(appraisal, decision.thresholds, folder / PLOTS)
        plots = {section: f"{PLOTS}/{name}" for section, name in names.items()}
        (folder / CARD_MARKDOWN).write_text(render_markdown(card, plots=plots))
        write_warmup(folder)
        some = np.linspace(0, len(held_out) - 1, 8).astype(int)
        _check(folder, network, decision, held_out.images(some))
    path = settings.models / str(version)
    console.print(f"{path} written")
    return path


def _fit(
    classifier: Classifier,
    learned: ScanSet,
    chosen_by: ScanSet,
    *,
    seed: int,
    allow_worthless: bool,
) -> tuple[Decision, Fitted]:
    """Calibration, thresholds and density, and how sure they are."""
    features, _ = _predict(classifier, learned, "training split")
    val_features, logits = _predict(classifier, chosen_by, "validation split")
    targets, weights = chosen_by.targets, chosen_by.weights()
    groups = chosen_by.groups
    calibration, comparison = choose_calibration(
        logits, targets, weights, groups, allow_worthless=allow_worthless
    )
    probabilities = calibration.probability(logits)
    thresholds = choose_thresholds(probabilities, targets, weights)
    learned_weights = learned.weights()
    density = fit_density(features, learned_weights, val_features, weights, seed=seed)
    fitted = Fitted(
        comparison=comparison,
        intervals=threshold_intervals(probabilities, targets, weights, groups),
        unseen_source_refused=unseen_source_refusals(
            features,
            np.array(learned.sources),
            learned_weights,
            val_features,
            np.array(chosen_by.sources),
            weights,
            learned.groups,
            seed=seed,
        ),
    )
    return Decision(calibration=calibration, thresholds=thresholds, density=density), fitted


def write_warmup(folder: Path) -> None:
    """Write one warm-up request for each signature and batch size.

    The images are blank, so that a record stays small: a tensor's value is stored once and repeated by
    the reader. How long a graph takes does not depend on what it sees.
    """
    path = folder / WARMUP_FILE
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, contract in SIGNATURES.items():
            for size in BATCH_SIZES:
                request = predict_pb2.PredictRequest(
                    model_spec=model_pb2.ModelSpec(name=MODEL_NAME, signature_name=signature)
                )
                (name,) = contract.inputs
                if signature == RGB:
                    tensor = tf.make_tensor_proto([bytes(RGB_BYTES)], shape=(size,))
                elif signature == CARD:
                    tensor = tf.make_tensor_proto(["json"], shape=(size,))
                else:
                    tensor = tf.make_tensor_proto(0, tf.uint8, (size, *IMAGE_SHAPE))
                request.inputs[name].CopyFrom(tensor)
                log = prediction_log_pb2.PredictionLog(
                    predict_log=prediction_log_pb2.PredictLog(request=request)
                )
                writer.write(log.SerializeToString())


def _predict(
    classifier: Classifier, scans: ScanSet, name: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Appearance and raw logits of a whole set."""
    parts = [
        classifier.appearance_and_logits(scans.images(batch))
        for batch in track(scans.batches(32), f"Predicting the {name}")
    ]
    features, logits = zip(*parts, strict=True)
    return np.concatenate(features), np.concatenate(logits)


def _check(
    folder: Path, network: keras.Model, decision: Decision, images: NDArray[np.uint8]
) -> None:
    """Load what was written and compare it with the network as trained."""
    served = tf.saved_model.load(str(folder)).signatures[SERVING_DEFAULT]
    answered = served(images=tf.constant(images))["probability"].numpy()
    logits = network.predict(images, verbose=0)[:, 0]
    worst = float(np.abs(answered - decision.calibration.probability(logits)).max())
    if not worst <= TOLERANCE:
        raise ExportError(
            f"The exported graph differs from the trained network by {worst:.1e} in probability; "
            f"{TOLERANCE:.0e} is allowed. Nothing was published."
        )
