"""The local server's process: swaps, failures, an orderly end, what keeps it from starting."""

import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.client import Client
from serving.errors import ServingError
from serving.local.server import run
from serving.settings import RunSettings
from tests.conftest import ROOT, eventually

IMAGE = np.full((1, 224, 224, 3), 128, np.uint8)


def test_a_swap_under_load_fails_no_request_and_mixes_no_versions(serve, write_model, tmp_path):
    base = tmp_path / "models"
    write_model(base, 1)
    spare = write_model(tmp_path, 2, bias=0.25)
    answers, errors, stop = [], [], threading.Event()
    with serve(base, "--file_system_poll_wait_seconds", "0.1") as server:

        def ask(address):
            with Client(address, timeout_s=120) as client:
                while not stop.is_set():
                    try:
                        answer = client.predict(np.repeat(IMAGE, 2, axis=0))
                    except Exception as error:
                        errors.append(error)
                    else:
                        answers.append(
                            (answer.version, *[p.probability for p in answer.predictions])
                        )

        def answered():
            return {answer[0] for answer in answers}

        addresses = [server.grpc, server.grpc, server.rest]
        threads = [threading.Thread(target=ask, args=(address,)) for address in addresses]
        for thread in threads:
            thread.start()
        try:
            eventually(lambda: answered() == {1}, "version 1 answers")
            spare.rename(base / "2")
            eventually(lambda: answered() == {1, 2}, "version 2 answers")
            shutil.move(base / "2", tmp_path / "withdrawn")
            both = {1: "AVAILABLE", 2: "END"}
            eventually(lambda: server.versions() == both, "version 1 is back alone")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert errors == []
    expected = {1: 128 / 255, 2: 128 / 255 + 0.25}
    for version, *probabilities in answers:
        assert probabilities == pytest.approx([expected[version]] * 2, abs=1e-6)


def test_a_broken_version_leaves_the_old_one_serving_until_it_is_mended(
    serve, write_model, tmp_path
):
    base = tmp_path / "models"
    write_model(base, 1)
    whole = write_model(tmp_path, 2)
    with serve(base, "--file_system_poll_wait_seconds", "0.1") as server:
        (base / "2").mkdir()
        (base / "2" / "saved_model.pb").write_bytes(b"half a copy")
        eventually(lambda: server.versions().get(2) == "END", "version 2 is given up")
        with Client(server.grpc) as client:
            assert client.predict(IMAGE).version == 1
            status = requests.get(f"{server.rest}/v1/models/brain_tumor/versions/2", timeout=60)
            assert status.json()["model_version_status"][0]["status"]["error_message"]
            shutil.copytree(whole, base / "2", dirs_exist_ok=True)
            server.wait_for(2)
            assert client.predict(IMAGE).version == 2


def test_it_waits_for_a_first_version_and_keeps_the_last(serve, write_model, tmp_path):
    base = tmp_path / "models"
    base.mkdir()
    with serve(base, "--file_system_poll_wait_seconds", "0.1", wait=False) as server:
        waiting = "No versions of brain_tumor"
        eventually(lambda: waiting in server.log.read_text(), "it says that there is none")
        write_model(tmp_path, 1).rename(base / "1")
        server.wait_for(1)
        shutil.rmtree(base / "1")
        with Client(server.grpc) as client:
            assert client.predict(IMAGE).version == 1
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(120) == 0


def test_sigterm_while_a_version_loads_ends_the_server(serve, write_model, tmp_path):
    base = tmp_path / "models"
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = "card"
    request.inputs["format"].CopyFrom(tf.make_tensor_proto(["json"]))
    folder = write_model(base, 1) / "assets.extra"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as file:
        for _ in range(200_000):  # a minute or more of warming up
            file.write(log.SerializeToString())
    with serve(base, "--grace_seconds", "1", wait=False) as server:
        eventually(lambda: server.versions().get(1) == "LOADING", "it warms up")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(120) == 0
        assert "AVAILABLE" not in server.log.read_text(), "it was over before it was ended"


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--model_base_path", "{base}", "--port", "{port}"], "Choose another --port."),
        (
            ["--model_base_path", "{base}", "--port", "{free}", "--rest_api_port", "{port}"],
            "Choose another --rest-api-port.",
        ),
    ],
)
def test_what_keeps_it_from_starting_is_one_line(tiny_models, free_port, tiny_server, flags, line):
    port = tiny_server.grpc.split(":")[1]
    flags = [flag.format(base=tiny_models, port=port, free=free_port()) for flag in flags]
    done = subprocess.run(
        [sys.executable, "-m", "serving", "run", *flags],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1
    assert line in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "Give --model-base-path the folder that holds the version directories"),
        ({"model_base_path": Path("/nowhere")}, "/nowhere is not a folder. Give --model-base-path"),
        ({"model_config_file": Path("/nowhere")}, "^/nowhere cannot be read"),
        (
            {"model_base_path": ROOT, "batching_parameters_file": Path("x")},
            "--batching-parameters-file needs --enable-batching.",
        ),
    ],
)
def test_flags_that_cannot_be_are_refused_before_anything_is_opened(settings, line):
    with pytest.raises(ServingError, match=line):
        run(RunSettings(**settings))
