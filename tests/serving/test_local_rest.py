"""The local server over REST: both forms, gzip, TensorFlow Serving's own texts."""

import gzip
import json
import time
from base64 import b64encode

import numpy as np
import pytest
import requests

from tests.conftest import eventually

IMAGE = np.full((1, 224, 224, 3), 128, np.uint8)
GREY = {"b64": b64encode(IMAGE.tobytes()).decode()}


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
    answer = requests.request(method, f"{tiny_server.rest}/v1/models{path}", data=body, timeout=60)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"error": error}


@pytest.mark.parametrize(
    "elements", ['[["a", "b"]]', '[["a"]]', '["\\ud800"]', '[["a"], "b"]', "[" * 90 + "]" * 90]
)
def test_strings_of_a_wrong_shape_or_encoding_are_the_callers_error(tiny_server, elements):
    body = f'{{"signature_name": "rgb", "inputs": {{"rgb_bytes": {elements}}}}}'
    url = f"{tiny_server.rest}/v1/models/brain_tumor:predict"
    answer = requests.post(url, data=body, timeout=60)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]
    assert "Traceback" not in tiny_server.log.read_text()


def test_a_gzip_body_that_ends_too_early_is_refused(tiny_server):
    whole = gzip.compress(json.dumps({"signature_name": "rgb", "inputs": [GREY]}).encode())
    answer = requests.post(
        f"{tiny_server.rest}/v1/models/brain_tumor:predict",
        data=whole[:-4],  # the content is there, its checksum is not
        headers={"Content-Encoding": "gzip"},
        timeout=60,
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "The gzip body ends too early")


def test_rest_answers_without_the_40_ms_of_a_delayed_acknowledgement(tiny_server):
    with requests.Session() as session:

        def is_quick():
            begin = time.perf_counter()
            session.get(f"{tiny_server.rest}/v1/models/brain_tumor", timeout=60)
            return time.perf_counter() - begin < 0.025

        session.get(tiny_server.rest, timeout=60)  # the first over a connection is never delayed
        eventually(is_quick, "one is quick: a busy machine delays some, the fault all")


def test_options_gets_tensorflow_servings_empty_page(tiny_server):
    answer = requests.options(f"{tiny_server.rest}/v1/models/brain_tumor:predict", timeout=60)
    assert (answer.status_code, answer.text) == (400, "")
    assert answer.headers["content-type"].startswith("text/html")


def test_rest_refuses_what_tensorflow_serving_let_through(tiny_server):
    url = f"{tiny_server.rest}/v1/models/brain_tumor:predict"
    out_of_range = requests.post(url, json={"instances": [[[[300, 0, 0]]]]}, timeout=60)
    assert out_of_range.status_code == 400
    assert "300 Type: Number is not of expected type: uint8" in out_of_range.json()["error"]
    wrong_shape = requests.post(url, json={"instances": [[[[1, 2, 3]]]]}, timeout=60)
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
        timeout=60,
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
        f"{tiny_server.rest}/v1/models/brain_tumor:predict", json=body, timeout=60
    ).json()
    assert [row["error"] for row in answer["predictions"]] == ["", "wrong length", ""]
    assert answer["predictions"][2]["probability"] == pytest.approx(128 / 255, abs=1e-7)


def test_an_unknown_page_is_not_json(tiny_server):
    answer = requests.get(f"{tiny_server.rest}/v2/health/ready", timeout=60)
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (404, "text/html")


def test_nan_is_an_error_and_not_broken_json(serve, write_model, tmp_path):
    write_model(tmp_path, 1, nan=True)
    with serve(tmp_path) as server:
        answer = requests.post(
            f"{server.rest}/v1/models/brain_tumor:predict",
            json={"signature_name": "rgb", "instances": [GREY]},
            timeout=60,
        )
    assert answer.status_code == 500
    assert answer.json() == {"error": "The model's output is not finite and cannot be JSON"}
