"""Calibrate a trained run and publish it as the next version of a model.

    python -m training export --run runs/lite0 --data prepared --models models/brain_tumor

Calibration, thresholds and the density are fitted here, on the validation split (the density's shape on
the training split); the test split is only measured. The version appears under its final name whole or
not at all.
"""

import json
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from data.manifest import Split, read_manifest
from serving.contract import CARD, IMAGE_SHAPE, MODEL_NAME, RGB, RGB_BYTES, SIGNATURES
from serving.versions import new_version
from training.calibrate import choose_thresholds, fit_platt
from training.errors import ExportError, RunError
from training.familiarity import fit_density
from training.metrics import Report, report
from training.model_card import build_card, render_json, render_markdown
from training.network import build_network
from training.scans import ScanSet, load_split
from training.served_graph import Classifier, Decision, frozen_core, write_saved_model
from training.settings import ExportSettings
from training.train import SETTINGS_FILE, WEIGHTS_FILE

#: Each signature is warmed up for these, and only these are worth allowing in a batching configuration.
BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32)
WARMUP_FILE: Final = Path("assets.extra") / "tf_serving_warmup_requests"
CARD_JSON: Final = "model_card.json"
CARD_MARKDOWN: Final = "model_card.md"
#: Largest difference of a probability between the frozen graph and the network as trained.
TOLERANCE: Final = 1e-4


def export(settings: ExportSettings, console: Console) -> Path:
    """Write the next version of a model from a finished run.

    Returns:
        The new version directory.

    Raises:
        RunError: the run is not finished.
        ExportError: the graph does not compute what was trained.
    """
    weights = settings.run / WEIGHTS_FILE
    if not weights.exists():
        raise RunError(f"{weights} is missing. Finish the run with `python -m training train`.")
    run = json.loads((settings.run / SETTINGS_FILE).read_text())
    network = build_network(run["backbone"], pretrained=False)
    network.load_weights(weights)
    classifier = Classifier(network, run["backbone"])

    learned = load_split(settings.data, Split.TRAIN, keep_doubtful=False)
    chosen_by = load_split(settings.data, Split.VAL, keep_doubtful=False)
    held_out = load_split(settings.data, Split.TEST, keep_doubtful=True)
    seen, _ = _predict(classifier, learned, "training split")
    val_seen, val_logits = _predict(classifier, chosen_by, "validation split")
    _, test_logits = _predict(classifier, held_out, "test split")

    weights_learned = learned.weights(tempering=1.0)
    weights_chosen_by = chosen_by.weights(tempering=1.0)
    platt = fit_platt(val_logits, chosen_by.targets, weights_chosen_by)
    val_probabilities = platt.probability(val_logits)
    thresholds = choose_thresholds(val_probabilities, chosen_by.targets, weights_chosen_by)
    density = fit_density(seen, weights_learned, val_seen, weights_chosen_by, seed=run["seed"])
    test_probabilities = platt.probability(test_logits)
    with new_version(settings.models) as (folder, version):
        card = build_card(
            version=version,
            backbone=run["backbone"],
            thresholds=thresholds,
            platt=platt,
            scans=read_manifest(settings.data),
            validation=_report(chosen_by, val_probabilities, thresholds.label),
            test=_report(held_out, test_probabilities, thresholds.label),
            test_by_source=_by_source(held_out, test_probabilities, thresholds.label),
        )
        decision = Decision(platt=platt, thresholds=thresholds, density=density)
        card_json, card_markdown = render_json(card), render_markdown(card)
        write_saved_model(
            frozen_core(classifier, decision),
            card_json=card_json,
            card_markdown=card_markdown,
            folder=folder,
        )
        (folder / CARD_JSON).write_text(card_json)
        (folder / CARD_MARKDOWN).write_text(card_markdown)
        write_warmup(folder)
        some = np.linspace(0, len(held_out) - 1, 8).astype(int)
        _check(folder, network, decision, held_out.images(some))
    path = settings.models / str(version)
    console.print(f"{path} written")
    return path


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
    batches = np.array_split(np.arange(len(scans)), -(-len(scans) // 32))
    parts = [
        classifier.appearance_and_logits(scans.images(batch))
        for batch in track(batches, f"Predicting the {name}")
    ]
    appearances, logits = zip(*parts, strict=True)
    return np.concatenate(appearances), np.concatenate(logits)


def _report(scans: ScanSet, probabilities: NDArray[np.float64], threshold: float) -> Report:
    return report(
        scans.targets,
        probabilities,
        [scan.group for scan in scans.scans],
        called=probabilities >= threshold,
    )


def _by_source(
    scans: ScanSet, probabilities: NDArray[np.float64], threshold: float
) -> dict[str, Report]:
    sources = np.array([scan.source for scan in scans.scans])
    reports = {}
    for source in sorted(set(sources)):
        where = np.flatnonzero(sources == source)
        part = ScanSet(
            scans=[scans.scans[i] for i in where], packed=scans.packed, rows=scans.rows[where]
        )
        reports[str(source)] = _report(part, probabilities[where], threshold)
    return reports


def _check(folder: Path, network: object, decision: Decision, images: NDArray[np.uint8]) -> None:
    """Load what was written and compare it with the network as trained."""
    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    answered = served(images=tf.constant(images))["probability"].numpy()
    logits = network.predict(images, verbose=0)[:, 0]  # type: ignore[attr-defined]
    worst = float(np.abs(answered - decision.platt.probability(logits)).max())
    if not worst <= TOLERANCE:
        raise ExportError(
            f"The exported graph differs from the trained network by {worst:.1e} in probability; "
            f"{TOLERANCE:.0e} is allowed. Nothing was published."
        )
