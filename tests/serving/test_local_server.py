"""The local server: swaps, failures, TensorFlow Serving's own texts, an orderly end."""

import gzip
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from base64 import b64encode

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from serving.client import Client

IMAGE = np.full((1, 224, 224, 3), 128, np.uint8)
GREY = {"b64": b64encode(IMAGE.tobytes()).decode()}


@pytest.fixture(scope="module")
def stub(tiny_server):
    """The official stub, as any other program uses it."""
    with grpc.insecure_channel(tiny_server.grpc) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def predict_request(**spec):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = spec.get("name", "brain_tumor")
    request.model_spec.signature_name = spec.get("signature", "")
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(IMAGE))
    return request


def test_official_stubs_get_an_official_answer(stub):
    response = stub.Predict(predict_request(), timeout=10)
    assert tf.make_ndarray(response.outputs["probability"]) == pytest.approx(128 / 255)
    assert tf.make_ndarray(response.outputs["label"]).tolist() == [b"tumor"]
    assert response.model_spec.version.value == 1
    # Programs that read the fields themselves must find them where TensorFlow Serving puts them.
    assert list(response.outputs["probability"].float_val) == pytest.approx([128 / 255])
    assert list(response.outputs["in_distribution"].bool_val) == [True]
    assert response.outputs["probability"].tensor_content == b""


def without_inputs(request):
    request.inputs.clear()


def renamed_input(request):
    request.inputs["nope"].CopyFrom(request.inputs["images"])
    del request.inputs["images"]


def as_float(request):
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(IMAGE.astype(np.float32)))


def small(request):
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(IMAGE[:, :10, :10]))


def short(request):
    request.inputs["images"].tensor_content = b"\0" * 100


def filtered(request):
    request.output_filter.append("nope")


# Codes and texts as recorded from TensorFlow Serving 2.20, but for "small": it answered that with a
# diagnosis, since its model did not check.
@pytest.mark.parametrize(
    ("change", "spec", "code", "details"),
    [
        (None, {"name": "nope"}, "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        (None, {"name": ""}, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            None,
            {"version": 99},
            "NOT_FOUND",
            "Servable not found for request: Specific(brain_tumor, 99)",
        ),
        (
            None,
            {"signature": "nope"},
            "FAILED_PRECONDITION",
            'Serving signature key "nope" not found.',
        ),
        (
            without_inputs,
            {},
            "INVALID_ARGUMENT",
            "input size does not match signature: 0!=1 len({}) != len({images}). "
            "Sent extra: {}. Missing but required: {images}.",
        ),
        (
            renamed_input,
            {},
            "INVALID_ARGUMENT",
            "Signature input alias: images(feed name: serving_default_images:0) not found in request "
            "and no default value provided. Inputs expected to be in the request {nope}, "
            "or default input alias set: ",
        ),
        (as_float, {}, "INVALID_ARGUMENT", "Expects arg[0] to be uint8 but float is provided"),
        (short, {}, "INVALID_ARGUMENT", "tensor parsing error: images"),
        (
            filtered,
            {},
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: nope Outputs expected to be in the set "
            "{in_distribution,label,ood_score,probability,risk}.",
        ),
        (
            small,
            {},
            "INVALID_ARGUMENT",
            "Shape of tensor images [1,10,10,3] is not compatible with expected shape [?,224,224,3].",
        ),
    ],
)
def test_grpc_errors_have_tensorflow_servings_words(stub, change, spec, code, details):
    request = predict_request(**spec)
    if change:
        change(request)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request, timeout=10)
    assert (caught.value.code().name, caught.value.details()) == (code, details)


def test_metadata_and_status_through_official_stubs(stub, tiny_server):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "brain_tumor"
    response = stub.GetModelMetadata(request, timeout=10)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "explain", "rgb", "card"} <= set(signatures.signature_def)
    request.metadata_field[:] = []
    with pytest.raises(grpc.RpcError, match="must specify at least one metadata_field"):
        stub.GetModelMetadata(request, timeout=10)
    with grpc.insecure_channel(tiny_server.grpc) as channel:
        status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(
            get_model_status_pb2.GetModelStatusRequest(model_spec=request.model_spec), timeout=10
        )
    assert [(row.version, row.state) for row in status.model_version_status] == [(1, 30)]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("GET", "/nope", "", 404, "Could not find any versions of model nope"),
        (
            "GET",
            "/brain_tumor/versions/99",
            "",
            404,
            "Could not find version 99 of model brain_tumor",
        ),
        (
            "GET",
            "/brain_tumor/versions/abc",
            "",
            400,
            "Malformed request: GET /v1/models/brain_tumor/versions/abc",
        ),
        (
            "GET",
            "/brain_tumor:predict",
            "",
            400,
            "Malformed request: GET /v1/models/brain_tumor:predict",
        ),
        ("POST", "/brain_tumor", "{}", 400, "Malformed request: POST /v1/models/brain_tumor"),
        ("DELETE", "/brain_tumor", "", 400, "Malformed request: DELETE /v1/models/brain_tumor"),
        ("GET", "", "", 400, "Missing model name in request."),
        (
            "POST",
            "/nope:predict",
            '{"instances": [1]}',
            404,
            "Servable not found for request: Latest(nope)",
        ),
        (
            "POST",
            "/brain_tumor/labels/nope:predict",
            '{"instances": [1]}',
            400,
            "Unrecognized servable version label: nope",
        ),
        (
            "POST",
            "/brain_tumor:predict",
            '{"signature_name": "nope", "instances": [1]}',
            400,
            'Serving signature name: "nope" not found in signature def',
        ),
        (
            "POST",
            "/brain_tumor:predict",
            '{"instances": [{"nope": 1}]}',
            400,
            "Failed to process element: 0 key: nope of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON object: does not have named input: nope",
        ),
        (
            "POST",
            "/brain_tumor:predict",
            '{"instances": ["x"]}',
            400,
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
            'JSON Value: "x" Type: String is not of expected type: uint8',
        ),
        (
            "POST",
            "/brain_tumor:predict",
            '{"instances": [[[[0.5, 0, 0]]]]}',
            400,
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON Value: 0.5 Type: Number is not of expected type: uint8",
        ),
        (
            "POST",
            "/brain_tumor:predict",
            '{"signature_name": "rgb", "instances": [{"b64": "@@@"}]}',
            400,
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
            "Unable to base64 decode",
        ),
        (
            "POST",
            "/brain_tumor:predict",
            '{"instances": []}',
            400,
            "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array",
        ),
        ("POST", "/brain_tumor:predict", "{}", 400, "Missing 'inputs' or 'instances' key"),
        ("POST", "/brain_tumor:predict", "", 400, "JSON Parse error: The document is empty"),
        ("POST", "/brain_tumor:predict", "[1]", 400, "JSON Value: [1] Is not object"),
        (
            "POST",
            "/brain_tumor:predict",
            '{"instances": [1], "inputs": [1]}',
            400,
            'JSON Value: {\n    "instances": [1],\n    "inputs": [1]\n} Not formatted correctly '
            "expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
        (
            "POST",
            "/brain_tumor/versions/99999999999999999999:predict",
            '{"instances": [1]}',
            400,
            "Failed to convert version: 99999999999999999999 to numeric.",
        ),
    ],
)
def test_rest_errors_have_tensorflow_servings_words(tiny_server, method, path, body, status, error):
    answer = requests.request(method, f"{tiny_server.rest}/v1/models{path}", data=body, timeout=10)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"error": error}


@pytest.mark.parametrize(
    "elements", ['[["a", "b"]]', '[["a"]]', '["\\ud800"]', '[["a"], "b"]', "[" * 90 + "]" * 90]
)
def test_strings_of_a_wrong_shape_or_encoding_are_the_callers_error(tiny_server, elements):
    body = f'{{"signature_name": "rgb", "inputs": {{"rgb_bytes": {elements}}}}}'
    url = f"{tiny_server.rest}/v1/models/brain_tumor:predict"
    answer = requests.post(url, data=body, timeout=10)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]
    assert "Traceback" not in tiny_server.log.read_text()


def test_a_gzip_body_that_ends_too_early_is_refused(tiny_server):
    whole = gzip.compress(json.dumps({"signature_name": "rgb", "inputs": [GREY]}).encode())
    answer = requests.post(
        f"{tiny_server.rest}/v1/models/brain_tumor:predict",
        data=whole[:-4],  # the content is there, its checksum is not
        headers={"Content-Encoding": "gzip"},
        timeout=10,
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "The gzip body ends too early")


def test_rest_answers_without_the_40_ms_of_a_delayed_acknowledgement(tiny_server):
    seconds = []
    with requests.Session() as session:
        for _ in range(20):
            begin = time.perf_counter()
            session.get(f"{tiny_server.rest}/v1/models/brain_tumor", timeout=10)
            seconds.append(time.perf_counter() - begin)
    assert min(seconds[1:]) < 0.025  # the least: a busy machine delays some, the fault all


def test_options_gets_tensorflow_servings_empty_page(tiny_server):
    answer = requests.options(f"{tiny_server.rest}/v1/models/brain_tumor:predict", timeout=10)
    assert (answer.status_code, answer.text) == (400, "")
    assert answer.headers["content-type"].startswith("text/html")


def test_rest_refuses_what_tensorflow_serving_let_through(tiny_server):
    url = f"{tiny_server.rest}/v1/models/brain_tumor:predict"
    out_of_range = requests.post(url, json={"instances": [[[[300, 0, 0]]]]}, timeout=10)
    assert out_of_range.status_code == 400
    assert "300 Type: Number is not of expected type: uint8" in out_of_range.json()["error"]
    wrong_shape = requests.post(url, json={"instances": [[[[1, 2, 3]]]]}, timeout=10)
    assert wrong_shape.status_code == 400
    assert "not compatible with expected shape [?,224,224,3]" in wrong_shape.json()["error"]


@pytest.mark.parametrize(
    ("body", "form"),
    [
        ({"instances": [{"images": IMAGE[0].tolist()}]}, "predictions"),
        ({"instances": IMAGE.tolist()}, "predictions"),
        ({"inputs": IMAGE.tolist()}, "outputs"),
        ({"inputs": {"images": IMAGE.tolist()}}, "outputs"),
        ({"signature_name": "rgb", "instances": [GREY]}, "predictions"),
        ({"signature_name": "rgb", "instances": [{"rgb_bytes": GREY}]}, "predictions"),
        ({"signature_name": "rgb", "inputs": [GREY]}, "outputs"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_rest_takes_rows_and_columns_plain_and_gzipped(tiny_server, body, form, packed):
    data = json.dumps(body).encode()
    answer = requests.post(
        f"{tiny_server.rest}/v1/models/brain_tumor/versions/1:predict",
        data=gzip.compress(data) if packed else data,
        headers={"Content-Encoding": "gzip"} if packed else {},
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    found = answer.json()[form]
    row = found[0] if form == "predictions" else {name: one[0] for name, one in found.items()}
    assert row["probability"] == pytest.approx(128 / 255, abs=1e-7)
    assert row["label"] == "tumor"
    assert row["in_distribution"] is True


def test_one_bad_payload_does_not_cost_its_neighbours_their_answer(tiny_server):
    body = {"signature_name": "rgb", "instances": [GREY, {"b64": "AAAA"}, GREY]}
    answer = requests.post(
        f"{tiny_server.rest}/v1/models/brain_tumor:predict", json=body, timeout=10
    ).json()
    assert [row["error"] for row in answer["predictions"]] == ["", "wrong length", ""]
    assert answer["predictions"][2]["probability"] == pytest.approx(128 / 255, abs=1e-7)


def test_an_unknown_page_is_not_json(tiny_server):
    answer = requests.get(f"{tiny_server.rest}/v2/health/ready", timeout=10)
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (404, "text/html")


def test_a_swap_under_load_fails_no_request_and_mixes_no_versions(serve, write_model, tmp_path):
    base = tmp_path / "models"
    write_model(base, 1)
    spare = write_model(tmp_path, 2, bias=0.25)
    answers, errors, stop = [], [], threading.Event()
    with serve(base, "--file_system_poll_wait_seconds", "0.1") as server:

        def ask(address):
            with Client(address, timeout_s=30) as client:
                while not stop.is_set():
                    try:
                        answer = client.predict(np.repeat(IMAGE, 2, axis=0))
                    except Exception as error:
                        errors.append(error)
                    else:
                        answers.append(
                            (answer.version, *[p.probability for p in answer.predictions])
                        )

        addresses = [server.grpc, server.grpc, server.rest]
        threads = [threading.Thread(target=ask, args=(address,)) for address in addresses]
        for thread in threads:
            thread.start()
        try:
            spare.rename(base / "2")
            server.wait_for(2)
            shutil.move(base / "2", tmp_path / "withdrawn")
            server.wait_for(1)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert server.versions() == {1: "AVAILABLE", 2: "END"}
    assert errors == []
    expected = {1: 128 / 255, 2: 128 / 255 + 0.25}
    assert {answer[0] for answer in answers} == {1, 2}
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
        while server.versions().get(2) != "END":
            pass
        with Client(server.grpc) as client:
            assert client.predict(IMAGE).version == 1
            status = requests.get(f"{server.rest}/v1/models/brain_tumor/versions/2", timeout=10)
            assert status.json()["model_version_status"][0]["status"]["error_message"]
            shutil.copytree(whole, base / "2", dirs_exist_ok=True)
            server.wait_for(2)
            assert client.predict(IMAGE).version == 2


def test_it_waits_for_a_first_version_and_keeps_the_last(serve, write_model, tmp_path):
    base = tmp_path / "models"
    base.mkdir()
    with serve(base, "--file_system_poll_wait_seconds", "0.1", wait=False) as server:
        while not server.log.read_text().count("No versions of brain_tumor"):
            assert server.process.poll() is None
        write_model(tmp_path, 1).rename(base / "1")
        server.wait_for(1)
        shutil.rmtree(base / "1")
        with Client(server.grpc) as client:
            assert client.predict(IMAGE).version == 1
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0


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
        while server.versions().get(1) != "LOADING":
            assert server.process.poll() is None
            time.sleep(0.1)
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert time.monotonic() - begin < 10


def test_nan_is_an_error_and_not_broken_json(serve, write_model, tmp_path):
    write_model(tmp_path, 1, nan=True)
    with serve(tmp_path) as server:
        answer = requests.post(
            f"{server.rest}/v1/models/brain_tumor:predict",
            json={"signature_name": "rgb", "instances": [GREY]},
            timeout=10,
        )
    assert answer.status_code == 500
    assert answer.json() == {"error": "The model's output is not finite and cannot be JSON"}


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--model_base_path", "/nowhere"], "/nowhere is not a folder. Give --model-base-path"),
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
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert line in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
