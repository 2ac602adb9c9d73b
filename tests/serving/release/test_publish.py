"""`publish`, the real command: what is refused, in which words, and that nothing is left of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from serving.contract import IMAGE_SHAPE
from serving.release.digest import MANIFEST, check
from serving.release.scratch import CandidateError, examine
from serving.versions import list_versions
from tests.conftest import eventually


@pytest.fixture
def own(candidate, tmp_path) -> Path:
    """A copy of the candidate that a test may spoil."""
    return shutil.copytree(candidate, tmp_path / "candidate")


def test_a_candidate_becomes_the_next_version(command, candidate, tmp_path):
    base = tmp_path / "models"
    done = command("publish", candidate, base, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["version"] == 1
    assert (told["signatures"], told["images"], told["warmup"]) == (4, 9, 4)
    found = check(base / "1")
    assert found.is_whole
    assert found.digest == told["digest"]
    model = (base / "1" / "saved_model.pb").read_bytes()
    assert model == (candidate / "saved_model.pb").read_bytes()
    own = shutil.copytree(base / "1", tmp_path / "own")
    (own / "model_card.json").write_text(json.dumps({"version": 7, "git_commit": "abc123abc123"}))
    (own / MANIFEST).unlink()
    again = command("publish", own, base)
    assert again.returncode == 0, again.stderr
    assert f"{base / '2'} is published" in again.stdout
    assert ", commit abc123abc123.\n" in again.stdout
    assert "Verified: 4 signatures, 9 images, 4 warm-up records" in again.stdout
    assert "Its card was written when it was version 7, and still says so." in again.stdout
    assert check(base / "2").is_whole
    assert check(base / "2").digest != found.digest


def refused(done, base) -> str:
    """The one line that tells why; nothing may have been published."""
    assert done.returncode == 1
    assert done.stdout == ""
    assert list_versions(base) == []
    staging = base / ".versions" / "staging"
    assert not staging.exists() or list(staging.iterdir()) == []
    (line,) = done.stderr.splitlines()
    return line


def test_a_folder_without_a_model_is_refused(command, tmp_path):
    line = refused(command("publish", tmp_path, tmp_path / "models"), tmp_path / "models")
    assert (
        f"{tmp_path} holds no saved_model.pb. Name the directory of one exported version." in line
    )


def test_a_model_that_is_too_large_is_refused(command, candidate, tmp_path):
    done = command("publish", candidate, tmp_path / "models", "--max-megabytes", "0.1")
    assert "MB; --max-megabytes allows 0.1." in refused(done, tmp_path / "models")


def test_a_link_is_refused(command, own, tmp_path):
    (own / "more").symlink_to(tmp_path)
    line = refused(command("publish", own, tmp_path / "models"), tmp_path / "models")
    assert "more is neither a plain file nor a directory" in line


def test_a_transfer_that_was_cut_short_is_refused(command, own, tmp_path):
    (own / MANIFEST).write_text(f"{'0' * 64}  saved_model.pb\n{'0' * 64}  gone\n")
    line = refused(command("publish", own, tmp_path / "models"), tmp_path / "models")
    assert "is not what was exported: gone is missing" in line
    assert "saved_model.pb has changed" in line


def test_missing_variables_are_refused(command, own, tmp_path):
    for file in (own / "variables").iterdir():
        file.unlink()
    line = refused(command("publish", own, tmp_path / "models"), tmp_path / "models")
    assert "was not published: TensorFlow cannot load it: " in line
    assert "variables/variables" in line


def test_a_model_that_does_not_load_is_refused(command, own, tmp_path):
    (own / "saved_model.pb").write_bytes(b"\x0a\x7fgarbage")
    line = refused(command("publish", own, tmp_path / "models"), tmp_path / "models")
    assert "was not published: TensorFlow cannot load it: " in line


def test_verifying_that_takes_too_long_is_ended(command, candidate, tmp_path):
    done = command("publish", candidate, tmp_path / "models", "--verify-timeout-s", "0.01")
    assert "verifying it took longer than 0.01 s" in refused(done, tmp_path / "models")


def test_the_end_of_the_scratch_process_is_survived(candidate, tmp_path):
    """As when the kernel kills it for want of memory."""
    base = tmp_path / "models"
    publishing = [sys.executable, "-m", "serving", "publish", str(candidate), str(base)]
    with subprocess.Popen(
        publishing, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as publisher:
        children = Path(f"/proc/{publisher.pid}/task/{publisher.pid}/children")
        eventually(lambda: children.read_text().split(), "the scratch process begins")
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
        stdout, stderr = publisher.communicate(timeout=240)
    done = subprocess.CompletedProcess(publishing, publisher.returncode, stdout, stderr)
    line = refused(done, base)
    assert "ended the scratch process with SIGKILL, most likely for want of memory" in line


def test_versions_pinned_by_a_config_are_told_to_keep_the_new_one_waiting(
    command, candidate, base, tmp_path
):
    assert command("label", base, "stable", 3).returncode == 0
    done = command("publish", candidate, base)
    assert done.returncode == 0, done.stderr
    assert "It does not serve yet: the model config pins 3." in done.stdout
    assert f"Next: python -m serving label {base} canary 4" in done.stdout


# What only the scratch process can find is tested where it is found, without the start of a process.


def save(folder: Path, signature, **others) -> Path:
    tf.saved_model.save(
        tf.Module(), str(folder), signatures={"serving_default": signature} | others
    )
    return folder


def test_a_missing_signature_is_told(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec((None, *IMAGE_SHAPE), tf.uint8, name="images")])
    def brightness(images):
        light = tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2, 3])
        text = tf.as_string(light)
        sure = light > 0.0
        return {
            "probability": light,
            "label": text,
            "risk": text,
            "in_distribution": sure,
            "ood_score": light,
        }

    folder = save(tmp_path / "model", brightness)
    with pytest.raises(CandidateError, match="the signature explain is missing"):
        examine(folder)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            tf.TensorSpec((None, *IMAGE_SHAPE), tf.float32, name="images"),
            "input images is .*float32",
        ),
        (
            tf.TensorSpec((None, None, None, 3), tf.uint8, name="images"),
            "input images is .*None, 3",
        ),
        (tf.TensorSpec((None, *IMAGE_SHAPE), tf.uint8, name="image"), "input image is not part of"),
    ],
)
def test_another_signature_is_told_by_its_first_difference(tmp_path, spec, told):
    @tf.function(input_signature=[spec])
    def serve(x):
        return {"probability": tf.reduce_mean(tf.cast(x, tf.float32), axis=[1, 2, 3])}

    folder = save(tmp_path / "model", serve)
    with pytest.raises(CandidateError, match=f"serving_default breaks the contract: {told}"):
        examine(folder)


def test_a_model_that_answers_nan_is_refused(tmp_path, write_model, warm_up):
    folder = write_model(tmp_path, 1, nan=True)
    warm_up(folder)
    with pytest.raises(CandidateError, match=r"answers a probability outside 0\.\.1"):
        examine(folder)


def test_a_model_without_warm_up_is_refused(tmp_path, write_model):
    folder = write_model(tmp_path, 1)
    with pytest.raises(CandidateError, match="there is no tf_serving_warmup_requests"):
        examine(folder)


@pytest.mark.parametrize(
    ("signatures", "told"),
    [
        (("serving_default", "none_such"), "warm-up record 2 fails"),
        (("serving_default", "rgb", "card"), "no warm-up record for the signature explain"),
        ((), "no warm-up record for the signature serving_default"),
    ],
)
def test_a_warm_up_that_fails_or_is_not_complete_is_told(own, warm_up, signatures, told):
    warm_up(own, signatures)
    with pytest.raises(CandidateError, match=told):
        examine(own)


def test_a_warm_up_that_is_cut_short_is_told(own):
    path = own / "assets.extra" / "tf_serving_warmup_requests"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CandidateError, match="warm-up record 4 fails"):
        examine(own)
