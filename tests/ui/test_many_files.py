"""Many files and volumes at once over HTTP: order, batches, one bad file, a version that is replaced."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import httpx
import numpy as np
import pytest

from tests.data.medical import nifti, packed, series
from tests.ui import pictures
from tests.ui.scripted_server import VERSION, ScriptedServer
from ui.run import BATCH

PATH = "/api/v1/analyze"


picture = partial(pictures.picture, spread=4)


def send(api: httpx.Client, payloads: Sequence[bytes]) -> dict[str, Any]:
    """The gathered answer."""
    form = [("file", (f"{number}.png", payload)) for number, payload in enumerate(payloads)]
    response = api.post(PATH, files=form)
    assert response.status_code == 200, response.text
    report: dict[str, Any] = response.json()
    return report


def stream(api: httpx.Client, payloads: Sequence[bytes]) -> list[dict[str, Any]]:
    """The events of the streamed answer."""
    form = [("file", (f"{number}.png", payload)) for number, payload in enumerate(payloads)]
    response = api.post(PATH, files=form, headers={"Accept": "application/x-ndjson"})
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def test_of_twenty_files_with_a_bad_one_nineteen_are_answered(
    api: httpx.Client, model_server: ScriptedServer
) -> None:
    payloads = [picture(20 + 10 * number) for number in range(20)]
    payloads[7] = payloads[7][:-200]
    report = send(api, payloads)
    assert [one["file"] for one in report["results"]] == [n for n in range(20) if n != 7]
    for one in report["results"]:
        (answer,) = one["slices"]
        assert answer["decision"]["probability"] == pytest.approx(
            (20 + 10 * one["file"]) / 255, abs=1e-6
        )
        assert (answer["heatmap"], answer["picture"], answer["overlay"]) == (None, None, None)
    (refused,) = report["refused"]
    assert refused["file"] == 7
    assert refused["error"]["code"] == "corrupt"
    assert report["model"] == {"name": "brain_tumor", "version": VERSION}
    assert report["disclaimer"].startswith("Not a medical device.")
    assert model_server.batches == [16, 3]


def test_two_hundred_files_go_to_the_model_in_batches(
    api: httpx.Client, model_server: ScriptedServer
) -> None:
    levels = [10 + number % 200 for number in range(200)]
    report = send(api, [picture(level, side=64) for level in levels])
    assert len(report["results"]) == 200
    assert report["refused"] == []
    told = [one["slices"][0]["decision"]["probability"] for one in report["results"]]
    assert told == pytest.approx([level / 255 for level in levels], abs=0.01)
    assert model_server.batches == [BATCH] * 12 + [8]


def test_a_stream_tells_in_order_and_names_the_model_before_the_first_answer(
    api: httpx.Client, model_server: ScriptedServer
) -> None:
    events = stream(api, [picture(20 + number) for number in range(40)])
    kinds = [event["event"] for event in events]
    assert kinds[:18] == ["study"] * 16 + ["model", "slice"]
    assert kinds.count("model") == 1
    assert kinds[-1] == "end"
    answered = [event["study"] for event in events if event["event"] == "slice"]
    assert answered == list(range(40))


def test_a_version_replaced_half_way_is_said_and_never_mixed(
    api: httpx.Client, model_server: ScriptedServer
) -> None:
    model_server.swap_after = 1
    events = stream(api, [picture(20 + number) for number in range(40)])
    assert [event["event"] for event in events].count("slice") == BATCH
    assert events[-1]["event"] == "failed"
    assert events[-1]["error"]["code"] == "model_replaced"
    assert "Send it again" in events[-1]["error"]["message"]

    report = send(api, [picture(20 + number) for number in range(40)])
    assert report["model"]["version"] == VERSION + 1
    assert len(report["results"]) == 40


def head(levels: Sequence[int]) -> np.ndarray:
    """Axial slices of so mean a brightness from below; 0 is air. Axes run right, forwards and up."""
    slices = []
    for level in levels:
        scan = np.zeros((64, 64), np.uint8)
        scan[8:56, 8:56] = level
        scan[20:44, 20:44] = min(255, level * 2)
        slices.append(scan)
    return np.stack(slices, axis=2)


def test_empty_slices_are_told_in_their_places_and_never_sent_to_the_model(
    api: httpx.Client, model_server: ScriptedServer
) -> None:
    levels = [0] * 5 + [40 + 2 * number for number in range(30)] + [0] * 5
    volume = nifti(head(levels), np.diag([1, 1, 1.5, 1]))
    events = stream(api, [volume])
    study, model, *slices, end = events
    assert (study["event"], study["kind"], study["length"]) == ("study", "volume", 40)
    assert (study["plane"], study["spacing_mm"]) == ("axial", 1.5)
    assert model["event"] == "model"
    assert [one["slice"]["index"] for one in slices] == list(range(40))
    assert [one["slice"]["empty"] for one in slices] == [level == 0 for level in levels]
    assert [one["slice"]["decision"] is None for one in slices] == [level == 0 for level in levels]
    assert end["event"] == "end"
    assert model_server.batches == [16, 14]


def test_a_version_replaced_within_a_volume_is_one_honest_failure(
    api: httpx.Client, model_server: ScriptedServer
) -> None:
    model_server.swap_after = 1
    volume = nifti(head([60] * 40))
    response = api.post(PATH, files={"file": ("a.nii", volume)})
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "model_replaced"
    assert send(api, [volume])["model"]["version"] == VERSION + 1


def test_a_series_of_files_and_the_same_in_a_zip_are_one_volume_each(
    api: httpx.Client, model_server: ScriptedServer
) -> None:
    slices = [scan.T for scan in np.moveaxis(head([50 + 4 * n for n in range(20)]), 2, 0)]
    files = series(slices)
    archive = packed({f"IM{number:03d}": one for number, one in enumerate(files)})
    for payloads in (files[::-1], [archive]):
        model_server.batches.clear()
        (study,) = send(api, payloads)["results"]
        assert (study["kind"], study["length"], study["spacing_mm"]) == ("volume", 20, 5.0)
        told = [one["decision"]["probability"] for one in study["slices"]]
        assert told == sorted(told)
        assert model_server.batches == [16, 4]


def test_what_was_left_out_of_a_volume_is_told(api: httpx.Client) -> None:
    several = np.stack([head([60] * 6)] * 2, axis=3)
    (study,) = send(api, [nifti(several)])["results"]
    assert [note["code"] for note in study["notes"]] == ["first_volume"]
