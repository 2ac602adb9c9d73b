"""The shipped version: its samples come out right, what is no scan is refused, its card is true."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_images

from data.imaging import prepare_scan, read_scan
from serving.client import Client
from serving.contract import SIGNATURES


@pytest.fixture(scope="module")
def client(local_server):
    with Client(local_server.grpc) as client:
        yield client


def test_at_least_32_of_the_36_samples_come_out_right(client, samples):
    right = 0
    for folder, label in (("yes", "tumor"), ("no", "no_tumor")):
        images = np.stack([prepare_scan(read_scan(path)) for path in samples[folder]])
        predictions = client.predict(images).predictions
        right += sum(p.label == label for p in predictions)
    assert sum(map(len, samples.values())) == 36
    assert right >= 32


def png(image: Image.Image) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    return encoded.getvalue()


def letter() -> Image.Image:
    page = Image.new("RGB", (600, 800), "white")
    for line in range(40):
        ImageDraw.Draw(page).text(
            (40, 20 + 18 * line), "Dear colleague, thank you for " * 3, "black"
        )
    return page


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8))


@pytest.mark.parametrize("kind", ["temple", "flower", "letter", "noise"])
def test_what_is_no_scan_is_refused(client, kind):
    photos = dict(zip(("temple", "flower"), load_sample_images().images, strict=True))
    drawn = {"letter": letter, "noise": noise}
    image = Image.fromarray(photos[kind]) if kind in photos else drawn[kind]()
    (prediction,) = client.predict(prepare_scan(png(image))[None]).predictions
    assert not prediction.in_distribution
    assert prediction.ood_score > 1


def test_the_server_states_the_contract(client):
    served = client.metadata().signatures
    assert served.keys() == SIGNATURES.keys()
    for name, signature in SIGNATURES.items():
        assert signature.is_fulfilled_by(served[name])


def test_the_card_is_the_one_beside_the_version_and_names_its_origin(client, models):
    version = client.metadata().version
    card = client.card(version)
    assert card == json.loads((models / str(version) / "model_card.json").read_text())
    assert card["version"] == version
    assert len(card["data"]["sha256"]) == 64
    assert not card["git_commit"].endswith("dirty")
    assert card["metrics"]["test"]["n"] > 1000
    assert (models / str(version) / "saved_model.pb").stat().st_size < 25 * 2**20
