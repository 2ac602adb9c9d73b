"""Both clients, over gRPC and REST, against the local server on a tiny model."""

import asyncio
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from serving.client import AsyncClient, Client
from serving.contract import SIGNATURES
from serving.errors import DeadlineExceeded, ModelNotFound, ServerUnavailable
from tests.serving.scripted import CLIENTS, open_client

IMAGES = np.stack([np.full((224, 224, 3), level, np.uint8) for level in (10, 128, 210)])


@pytest.fixture(params=["grpc", "rest"])
def client(request, kind, tiny_server):
    with open_client(kind, getattr(tiny_server, request.param)) as client:
        yield client


def test_predictions_are_those_of_the_model_in_order(client):
    answer = client.predict(IMAGES)
    assert answer.version == 1
    assert answer.latency_s > 0
    assert [p.probability for p in answer.predictions] == pytest.approx(
        [10 / 255, 128 / 255, 210 / 255], abs=1e-6
    )
    assert [p.label for p in answer.predictions] == ["no_tumor", "tumor", "tumor"]
    assert [p.risk for p in answer.predictions] == ["low", "medium", "high"]
    assert all(p.in_distribution for p in answer.predictions)
    assert answer.predictions[0].heatmap is None


def test_a_batch_larger_than_a_request_comes_back_whole_and_in_order(client):
    levels = np.arange(70, dtype=np.uint8)
    images = np.repeat(levels, 224 * 224 * 3).reshape(-1, 224, 224, 3)
    answer = client.predict(images)
    assert [p.probability for p in answer.predictions] == pytest.approx(levels / 255, abs=1e-6)


def test_explain_adds_a_heatmap_of_each_image(client):
    answer = client.explain(IMAGES[:2])
    assert answer.predictions[1].heatmap.shape == (7, 7)
    assert answer.predictions[1].heatmap == pytest.approx(128 / 255, abs=1e-6)
    assert answer.predictions[0].probability == pytest.approx(10 / 255, abs=1e-6)


def test_all_ways_give_the_same_float(tiny_server):
    answers = set()
    for kind in CLIENTS:
        for address in (tiny_server.grpc, tiny_server.rest):
            with open_client(kind, address) as client:
                answer = client.predict(IMAGES)
            answers.add(tuple(p.probability for p in answer.predictions))
    assert len(answers) == 1


def test_card_thresholds_status_and_metadata(client):
    assert client.card()["version"] == 1
    assert client.thresholds(1).high == 0.8
    assert client.status() == {1: "AVAILABLE"}
    metadata = client.metadata()
    assert metadata.version == 1
    assert set(metadata.signatures) == set(SIGNATURES)
    for name, signature in SIGNATURES.items():
        assert signature.is_fulfilled_by(metadata.signatures[name])
    assert metadata.signatures["serving_default"] == SIGNATURES["serving_default"]


@pytest.mark.parametrize(
    "images", [IMAGES.astype(np.float32), IMAGES[0], IMAGES[:, :100], IMAGES[:0]]
)
def test_a_wrong_array_is_refused_before_it_is_sent(kind, images):
    with (
        open_client(kind, "127.0.0.1:1") as client,
        pytest.raises(ValueError, match="images must"),
    ):
        client.predict(images)


@pytest.mark.parametrize("address", ["localhost", "ftp://host:1", "host:", ":8500", "host:http"])
def test_an_address_that_is_none_says_what_one_is(address):
    for kind in (Client, AsyncClient):
        with pytest.raises(
            ValueError, match="Give HOST:PORT for gRPC or http://HOST:PORT for REST"
        ):
            kind(address)


@pytest.mark.parametrize("address", ["http://", "http://host:port", "http://host:1?query"])
def test_a_url_that_is_no_address_is_refused(address):
    for kind in (Client, AsyncClient):
        with pytest.raises(
            ValueError, match=r"no address of a model server|Port could not be cast"
        ):
            kind(address)


def test_a_version_and_a_label_at_once_are_refused(client):
    with pytest.raises(ValueError, match="not both"):
        client.predict(IMAGES[:1], version=1, version_label="stable")
    with pytest.raises(ValueError, match="not be empty"):
        client.card(version_label="")


def test_unknown_version_label_and_model(client, kind, tiny_server):
    with pytest.raises(ModelNotFound, match="does not serve this brain_tumor"):
        client.predict(IMAGES[:1], version=99)
    with pytest.raises(ModelNotFound, match="does not serve this brain_tumor"):
        client.predict(IMAGES[:1], version_label="nope")
    for address in (tiny_server.grpc, tiny_server.rest):
        with open_client(kind, address, model="liver") as other, pytest.raises(ModelNotFound):
            other.predict(IMAGES[:1])


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_nobody_listens(free_port, kind, scheme):
    with open_client(kind, f"{scheme}127.0.0.1:{free_port()}") as client:
        with pytest.raises(ServerUnavailable, match="python -m serving run"):
            client.predict(IMAGES[:1])
        with pytest.raises(ServerUnavailable):
            client.status()


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_a_server_that_hangs_costs_no_more_than_the_deadline(kind, scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"{scheme}127.0.0.1:{silent.getsockname()[1]}"
        before = threading.active_count()
        with (
            open_client(kind, address, timeout_s=0.5) as client,
            pytest.raises(DeadlineExceeded, match=r"no answer within 0\.5 s"),
        ):
            client.predict(IMAGES[:1])
        assert threading.active_count() <= before + 1


@pytest.mark.parametrize("way", ["grpc", "rest"])
def test_tasks_share_one_asynchronous_client(tiny_server, way):
    async def ask():
        async with AsyncClient(getattr(tiny_server, way)) as client:
            return await asyncio.gather(*(client.predict(IMAGES[i : i + 1]) for i in (0, 1, 2) * 8))

    probabilities = [answer.predictions[0].probability for answer in asyncio.run(ask())]
    assert probabilities == pytest.approx([10 / 255, 128 / 255, 210 / 255] * 8, abs=1e-6)


@pytest.mark.parametrize("way", ["grpc", "rest"])
def test_a_task_that_is_cancelled_leaves_the_client_usable(way, tiny_server):
    async def ask():
        async with AsyncClient(getattr(tiny_server, way)) as client:
            task = asyncio.create_task(client.predict(np.repeat(IMAGES, 10, axis=0)))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await client.predict(IMAGES)

    assert len(asyncio.run(ask()).predictions) == 3


def test_the_client_imports_no_tensorflow():
    code = "import sys, serving.client; print([m for m in sys.modules if 'tensorflow' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
