"""From sample scans to a published version, through the commands a user types, small but real."""

import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import datetime

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import config_pb2

from data.imaging import prepare_scan, read_scan
from data.label_issues import LabelIssue, write_label_issues
from data.manifest import Split, read_manifest, write_manifest
from serving.contract import IMAGE_SHAPE, RGB_BYTES, SIGNATURES, Signature, TensorSpec
from serving.release.digest import check
from serving.saved_model import WARMUP_FILE
from serving.versions import list_versions
from tests.conftest import ROOT, eventually
from training.__main__ import app
from training.calibrate import Calibration
from training.export import BATCH_SIZES
from training.metrics import report
from training.train import trained_network

QUICK = ["--head-epochs", "1", "--epochs", "2", "--full-size-epochs", "0"]
QUICK += ["--views-per-epoch", "32", "--batch-size", "8", "--image-size", "64"]


def command(room, *arguments):
    return [sys.executable, "-m", room, *map(str, arguments)]


def finished(*words, code=0):
    done = subprocess.run(command(*words), capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def run(tmp_path_factory, dataset):
    """A training that was killed in its first stage, and resumed by the same command."""
    folder = tmp_path_factory.mktemp("runs") / "quick"
    train = command("training", "train", "--data", dataset, "--run", folder, *QUICK)
    with subprocess.Popen(train, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        begun = (folder / "finetune.csv").exists
        eventually(lambda: begun() or process.poll() is not None, "the second stage began")
        assert process.poll() is None
        process.kill()
    done = finished(*train[2:])
    assert "head:" not in done.stdout, "a finished stage was trained again"
    assert "finetune:" in done.stdout
    return folder


@pytest.fixture(scope="module")
def outlined(tmp_path_factory, samples):
    """A SOURCE in which each tumour sample has an outline: its middle."""
    folder = tmp_path_factory.mktemp("outlined")
    rows = []
    for path in samples["yes"]:
        with Image.open(path) as scan:
            outline = Image.new("1", scan.size)
            outline.paste(1, [side * part // 5 for part in (2, 3) for side in scan.size])
        outline.save(folder / f"{path.stem}.png")
        shutil.copy(path, folder)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append(f"{path.name},yes,{path.stem},test,{sha256},{path.stem}.png,5000")
    head = "path,label,patient,split,sha256,mask,mask_px"
    (folder / "manifest.csv").write_text("\n".join([head, *rows]) + "\n")
    return folder


@pytest.fixture(scope="module")
def export(tmp_path_factory, run, dataset, outlined):
    """The command that exports the run with everything that a card can hold, but for the base path."""
    truth = np.array([1, 1, 0, 0])
    guesses = np.array([0.9, 0.4, 0.6, 0.1])
    row = report(truth, guesses, list("abcd"), called=guesses > 0.5)
    rows = [{"source": "elsewhere", "n": 4, "groups": 4, "report": row, "shortcut": row}]
    left_out = {"recipe": "quick", "rows": rows}
    (run / "leave_one_source_out.json").write_text(json.dumps(left_out))
    earlier = tmp_path_factory.mktemp("runs") / "earlier"
    earlier.mkdir()
    (earlier / "leave_one_source_out.json").write_text(json.dumps(left_out | {"recipe": "old"}))
    words = ["--run", run, "--data", dataset, "--outlines", outlined, "--before", earlier]
    return ["training", "export", *words, "--unfamiliar-views", "2", "--allow-worthless"]


@pytest.fixture(scope="module")
def version(tmp_path_factory, export):
    """The run, exported."""
    models = tmp_path_factory.mktemp("models") / "brain_tumor"
    finished(*export, "--models", models)
    return models / "1"


def test_a_run_keeps_its_weights_settings_and_curves(run):
    assert (run / "trained.weights.h5").stat().st_size > 10_000_000
    settings = json.loads((run / "settings.json").read_text())
    assert settings["views_per_epoch"] == 32
    assert len(settings["data_hash"]) == 64
    epochs = [line.split(",")[0] for line in (run / "finetune.csv").read_text().splitlines()[1:]]
    assert epochs == ["0", "1"], "each epoch is trained once, over the kill"
    assert list((run / "tensorboard").rglob("events.out.tfevents.*"))


def test_a_run_is_not_continued_with_other_settings(run, dataset):
    other = [*QUICK, "--seed", "7"]
    done = finished("training", "train", "--data", dataset, "--run", run, *other, code=1)
    assert "was begun with other settings or data" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unfinished_run_cannot_be_exported(tmp_path, dataset):
    words = ["--run", tmp_path, "--data", dataset, "--models", tmp_path / "models"]
    done = finished("training", "export", *words, code=1)
    assert "Finish the run with `python -m training train`" in done.stderr
    assert not (tmp_path / "models").exists()


def test_a_run_is_not_exported_with_another_dataset(run, of_two_sources, tmp_path):
    words = ["--run", run, "--data", of_two_sources, "--models", tmp_path / "models"]
    done = finished("training", "export", *words, code=1)
    assert "was trained on another state" in done.stderr
    assert not (tmp_path / "models").exists()


def test_the_version_fulfils_the_contract(version):
    loaded = tf.saved_model.load(str(version))
    specs = lambda tensors: {  # noqa: E731
        name: TensorSpec(tensor.dtype.name, tuple(tensor.shape)) for name, tensor in tensors.items()
    }
    for name, signature in SIGNATURES.items():
        function = loaded.signatures[name]
        inputs = function.structured_input_signature[1]
        assert signature.is_fulfilled_by(
            Signature(specs(inputs), specs(function.structured_outputs))
        )


def test_the_version_is_small_and_whole(version):
    assert list_versions(version.parent) == [1]
    assert check(version).is_whole
    assert sum(f.stat().st_size for f in version.rglob("*") if f.is_file()) < 25 * 2**20
    records = list(tf.data.TFRecordDataset(str(version / WARMUP_FILE)))
    assert len(records) == len(SIGNATURES) * len(BATCH_SIZES)


def test_the_same_weights_are_the_same_bytes(version, export, tmp_path, monkeypatch):
    created = json.loads((version / "model_card.json").read_text())["created"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(datetime.fromisoformat(created).timestamp())))
    monkeypatch.setenv("PYTHONHASHSEED", "7")  # no order of a set gets into a file
    finished(*export, "--models", tmp_path / "again")
    again = tmp_path / "again" / "1"
    assert (again / "SHA256SUMS").read_text() == (version / "SHA256SUMS").read_text()


def test_the_card_in_the_graph_is_the_one_beside_it(version):
    served = tf.saved_model.load(str(version)).signatures["card"]
    texts = served(format=tf.constant(["json", "markdown", "xml"]))["card"].numpy()
    assert texts[0].decode() == (version / "model_card.json").read_text()
    beside = (version / "model_card.md").read_text()
    without_pictures = re.sub(r"\n!\[[^]]*\]\([^)]*\)\n", "", beside)
    assert texts[1].decode() == without_pictures != beside
    assert "format must be json or markdown" in texts[2].decode()
    card = json.loads(texts[0])
    thresholds = card["thresholds"]
    assert 0 < thresholds["low"] <= thresholds["label"] <= thresholds["high"] < 1
    assert card["version"] == 1
    assert (
        card["metrics"]["test"]["n"]
        == card["metrics"]["test"]["tumor"] + (card["metrics"]["test"]["no_tumor"])
    )


def test_the_card_holds_what_was_measured(version, run):
    card = json.loads((version / "model_card.json").read_text())
    metrics = card["metrics"]
    assert 0 <= metrics["test"]["npv"]["0.1"]["value"] <= 1
    assert set(metrics["shortcut_floor"]["test"]) >= {"auc", "pr_auc"}
    losses = card["calibration"]["cross_validated"]
    kept = min(("temperature", "platt", "beta"), key=lambda name: losses[name]["log_loss"])
    assert card["calibration"]["method"] == kept
    unknown = card["out_of_distribution"]["no_brain_mri"]
    assert unknown["all"]["n"] == 2 * len(unknown["families"]) >= 2 * 9
    assert (
        sum(row["n"] for row in card["decisions"]["test"]["risk"].values())
        == (metrics["test"]["n"])
    )
    evidence = card["evidence_map"]
    assert 1 <= evidence["n"] <= 18
    assert 0 < evidence["chance"]["value"] < 1
    left_out = card["leave_one_source_out"]
    assert left_out["rows"][0]["report"]["auc"]["value"] == 0.75
    assert (left_out["recipe"], left_out["before"]["recipe"]) == ("quick", "old")
    settings = json.loads((run / "settings.json").read_text())
    again = next(line for line in card["reproduce"] if "training train" in line)
    # The command of the card is understood, and asks for the settings of the run.
    _, bound, _ = app.parse_args(shlex.split(again)[3:], print_error=False, exit_on_error=False)
    asked = asdict(bound.arguments["settings"])
    ours = {name: settings[name] for name in asked if name not in ("data", "run")}
    assert {name: asked[name] for name in ours} == ours


def test_every_picture_of_the_card_is_there_and_shows_something(version):
    shown = re.findall(r"!\[[^]]*\]\(([^)]*)\)", (version / "model_card.md").read_text())
    assert len(shown) >= 6
    assert sorted(shown) == sorted(f"plots/{p.name}" for p in (version / "plots").iterdir())
    for name in shown:
        with Image.open(version / name) as picture:
            assert min(picture.size) > 100
            assert np.asarray(picture.convert("L")).std() > 5


def test_localise_writes_its_figures(version, outlined, tmp_path):
    written = tmp_path / "localised.json"
    words = ["--model", version, "--source", outlined, "--json", written]
    assert "18 scans of 18 patients" in finished("training", "localise", *words).stdout
    figures = json.loads(written.read_text())
    assert figures["n"] == 18
    for name in ("hit_rate", "hit_rate_near", "chance", "separation"):
        assert 0 <= figures[name]["low"] <= figures[name]["value"] <= figures[name]["high"] <= 1
    done = finished("training", "localise", *words, "--split", "val", code=1)
    assert "no outlined tumours in the split val" in done.stderr


def test_thresholds_of_the_card_are_those_of_the_graph(version, samples):
    images = np.stack([prepare_scan(read_scan(p)) for p in samples["yes"] + samples["no"]])
    served = tf.saved_model.load(str(version)).signatures["explain"]
    got = {k: v.numpy() for k, v in served(images=tf.constant(images)).items()}
    cut = json.loads((version / "model_card.json").read_text())["thresholds"]
    p = got["probability"]
    assert (got["label"] == np.where(p >= cut["label"], b"tumor", b"no_tumor")).all()
    risks = np.where(p < cut["low"], b"low", np.where(p < cut["high"], b"medium", b"high"))
    assert (got["risk"] == risks).all()
    assert (got["in_distribution"] == (got["ood_score"] <= 1)).all()
    # Trained at 64 pixels only, it is served at 64: one cell for each 32.
    assert got["heatmap"].shape == (36, 2, 2)
    assert 0 <= got["heatmap"].min() < got["heatmap"].max() <= 1


def test_the_version_answers_as_the_network_that_was_trained(run, version, samples):
    images = np.stack([prepare_scan(read_scan(path)) for path in samples["yes"] + samples["no"]])
    card = json.loads((version / "model_card.json").read_text())["calibration"]
    calibration = Calibration(**{name: card[name] for name in ("method", "a", "b", "c")})
    logits = trained_network(run).predict(images, verbose=0)[:, 0]
    served = tf.saved_model.load(str(version)).signatures["serving_default"]
    answered = served(images=tf.constant(images))["probability"].numpy()
    assert answered == pytest.approx(calibration.probability(logits), abs=1e-4)


def test_bad_bytes_cost_only_their_own_answer(version, samples):
    loaded = tf.saved_model.load(str(version))
    image = prepare_scan(read_scan(samples["yes"][0]))
    rgb = loaded.signatures["rgb"](
        rgb_bytes=tf.constant([image.tobytes(), b"abc", b"", bytes(RGB_BYTES + 1), image.tobytes()])
    )
    alone = loaded.signatures["serving_default"](images=tf.constant(image[None]))
    expected = alone["probability"].numpy()[0]
    assert rgb["probability"].numpy() == pytest.approx([expected, -1, -1, -1, expected], abs=1e-6)
    assert [bool(e) for e in rgb["error"].numpy()] == [False, True, True, True, False]
    assert b"holds 3" in rgb["error"].numpy()[1]
    assert rgb["label"].numpy()[1:4].tolist() == [b""] * 3
    assert not rgb["in_distribution"].numpy()[1:4].any()


def test_the_graph_itself_refuses_other_shapes(version):
    """As TensorFlow Serving runs it: nothing checks the placeholder's shape before the graph."""
    graph = tf.Graph()
    with tf.compat.v1.Session(graph=graph) as session:
        loader = tf.compat.v1.saved_model
        definition = loader.load(session, ["serve"], str(version)).signature_def["serving_default"]
        fed = graph.get_tensor_by_name(definition.inputs["images"].name)
        asked = graph.get_tensor_by_name(definition.outputs["probability"].name)
        # Past the Python wrapper, which would compare shapes as no server does.
        options = config_pb2.CallableOptions(feed=[fed.name], fetch=[asked.name])
        run = session._make_callable_from_options(options)
        assert run(np.zeros((2, *IMAGE_SHAPE), np.uint8))[0].shape == (2,)
        for shape in ((1, 10, 10, 3), (1, 224, 224, 1), (224, 224, 3)):
            with pytest.raises(tf.errors.InvalidArgumentError):
                run(np.zeros(shape, np.uint8))


def test_evaluate_writes_its_figures(version, dataset, tmp_path):
    written = tmp_path / "reports" / "samples.json"
    words = ["--model", version, "--data", "data/samples", "--json", written]
    done = finished("training", "evaluate", *words)
    assert "sensitivity" in done.stdout
    figures = json.loads(written.read_text())
    assert (figures["n"], figures["tumor"], figures["no_tumor"]) == (36, 18, 18)
    for metric in ("auc", "pr_auc", "accuracy", "sensitivity", "specificity", "brier"):
        assert figures[metric]["low"] <= figures[metric]["value"] <= figures[metric]["high"]
    said = figures["decisions"]
    assert sum(row["n"] for row in said["risk"].values()) == 36
    assert sum(row["share"]["value"] for row in said["risk"].values()) == pytest.approx(1, abs=1e-3)
    assert 0 <= said["refused"]["share"]["value"] <= 1
    assert sum(part["n"] for part in figures["by_source"].values()) == 36
    assert all("decisions" in part for part in figures["by_source"].values())
    assert figures["macro_average"]["sources"] == len(figures["by_source"])


def test_patients_are_drawn_whole_where_a_manifest_states_no_groups(version, samples, tmp_path):
    rows = []
    for word in ("yes", "no"):
        (tmp_path / word).mkdir()
        for i, path in enumerate(samples[word][:6]):
            shutil.copy(path, tmp_path / word)
            rows.append(f"{word}/{path.name},{word} {i // 3}")
    (tmp_path / "manifest.csv").write_text("\n".join(["path,patient", *rows]) + "\n")
    written = tmp_path / "report.json"
    finished("training", "evaluate", "--model", version, "--data", tmp_path, "--json", written)
    figures = json.loads(written.read_text())
    assert (figures["n"], figures["groups"]) == (12, 4)


def test_figures_without_probable_label_errors_stand_beside_the_others(version, dataset, tmp_path):
    audited = shutil.copytree(dataset, tmp_path / "audited")
    listed = next(
        scan
        for scan in read_manifest(dataset)
        if scan.split == Split.TEST and scan.label == "no_tumor"
    )
    issue = LabelIssue(
        path=listed.path,
        sha256=listed.sha256,
        source=listed.source,
        label=listed.label,
        probability=0.9,
        quality=0.1,
    )
    write_label_issues(audited, [issue])
    written = tmp_path / "report.json"
    words = ["--model", version, "--data", audited / "test", "--json", written]
    done = finished("training", "evaluate", *words)
    assert "probably mislabelled: 1" in done.stdout
    figures = json.loads(written.read_text())
    assert figures["without_label_issues"]["n"] == figures["n"] - 1
    assert figures["without_label_issues"]["tumor"] == figures["tumor"]
    words = ["--model", version, "--data", "data/samples", "--json", written]
    assert "mislabelled" not in finished("training", "evaluate", *words).stdout
    assert json.loads(written.read_text())["without_label_issues"] is None


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        ("models", "data/samples", "models is not a version directory"),
        (None, "docker", "holds no class folders"),
    ],
)
def test_evaluate_says_what_is_wrong(version, model, data, message):
    words = ["--model", model or version, "--data", data]
    done = finished("training", "evaluate", *words, code=1)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def of_two_sources(tmp_path, dataset):
    """The dataset with each scan in a group of its own, in turn of the sources east and west."""
    shutil.copytree(dataset, tmp_path / "two")
    rows = sorted(read_manifest(dataset), key=lambda scan: (scan.split, scan.label))
    rows = [
        replace(row, source=("east", "west")[i % 2], group=str(i)) for i, row in enumerate(rows)
    ]
    write_manifest(tmp_path / "two", rows)
    return tmp_path / "two"


def test_leaving_a_source_out_trains_without_it_and_tests_on_it(run, of_two_sources, tmp_path):
    recipe = tmp_path / "run"
    recipe.mkdir()
    shutil.copy(run / "settings.json", recipe)
    words = ["--run", recipe, "--data", of_two_sources, "--sources", "west"]
    done = finished("training", "loso", *words, "--epochs", "1", "--views-per-epoch", "16")
    assert "Without west (1 of 1)" in done.stdout
    (row,) = json.loads((recipe / "leave_one_source_out.json").read_text())["rows"]
    kept = [scan for scan in read_manifest(of_two_sources) if scan.split != Split.TEST]
    assert row["source"] == "west"
    assert row["n"] == sum(scan.source == "west" for scan in kept)
    for judged in (row["report"], row["shortcut"]):
        assert judged["auc"]["low"] <= judged["auc"]["value"] <= judged["auc"]["high"]
    settings = json.loads((recipe / "without" / "west" / "settings.json").read_text())
    assert settings["without"] == ["west"]
    found = json.loads((recipe / "leave_one_source_out.json").read_text())
    found["rows"].insert(0, row | {"source": "measured before"})
    (recipe / "leave_one_source_out.json").write_text(json.dumps(found))
    again = finished("training", "loso", *words, "--epochs", "1", "--views-per-epoch", "16")
    rows = json.loads((recipe / "leave_one_source_out.json").read_text())["rows"]
    assert [row["source"] for row in rows] == ["measured before", "west"]
    assert "Epoch" not in again.stdout, "a finished training is not repeated"
    done = finished("training", "loso", *words[:-1], "moon", code=1)
    assert "no source called moon" in done.stderr


def test_a_search_goes_on_where_it_stopped_and_records_its_result(dataset, tmp_path):
    words = ["--data", dataset, "--out", tmp_path, "--recipe", "scratch", "--epochs", "1"]
    words += ["--views-per-epoch", "16"]
    for trials in (1, 2):
        done = finished("training", "tune", *words, "--trials", str(trials))
        result = json.loads((tmp_path / "tune.json").read_text())
        assert len(result["trials"]) == trials
        assert ("Trial 1" in done.stdout) == (trials == 1)
        assert ("Trial 2" in done.stdout) == (trials == 2)
    assert result["best"]["loss"] == min(trial["loss"] for trial in result["trials"])
    assert result["trials"][0]["dropout"] != result["trials"][1]["dropout"] or (
        result["trials"][0]["learning_rate"] != result["trials"][1]["learning_rate"]
    ), "a resumed search proposes something new"
    assert 2e-4 <= result["best"]["learning_rate"] <= 4e-3
    assert f"python -m training train {result['flags']}" in " ".join(done.stdout.split())
    settings = json.loads((tmp_path / "scratch-1" / "settings.json").read_text())
    assert settings["recipe"] == "scratch"
    assert settings["dropout"] == pytest.approx(result["trials"][0]["dropout"])
