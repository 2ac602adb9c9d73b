"""The benchmark measures what it says, on real programs; how fast this machine is, is not tested."""

import json
from io import StringIO

import pytest
from rich.console import Console

from serving.bench.run import bench
from serving.errors import ServingError
from serving.settings import BenchSettings
from tests.conftest import ROOT

SAMPLES = ROOT / "data" / "samples"
QUICK = {"samples": SAMPLES, "seconds": 0.1, "turn_s": 0.05, "tail_s": 0.2, "clients": (1, 2, 3)}


@pytest.mark.timeout(900)
def test_all_ways_are_measured_in_every_round(tiny_models, tiny_server, tmp_path):
    console = Console(file=StringIO(), width=60)
    settings = BenchSettings(
        model_base_path=tiny_models, out=tmp_path / "reports", tfs=tiny_server.grpc, **QUICK
    )
    bench(settings, console)

    found = json.loads((settings.out / "bench.json").read_text())
    cells = {
        (one["name"], one["batching"], one["images"], one["clients"]): one for one in found["cells"]
    }
    expected = {("in process", False, 8, clients) for clients in (1, 2)}
    expected |= {("gRPC", False, 8, clients) for clients in (1, 2)}
    expected |= {("in process, bfloat16", False, images, 1) for images in (1, 8)}
    for clients in (1, 2, 3):
        for name in ("in process", "original", "TensorFlow Serving"):
            expected.add((name, False, 1, clients))
        for batching in (False, True):
            for name in ("gRPC", "REST", "page"):
                expected.add((name, batching, 1, clients))
    assert cells.keys() == expected
    assert found["rounds"] == 2
    for (name, _, _, clients), one in cells.items():
        assert len(one["images_per_s"]) == 2
        assert min(one["images_per_s"]) > 0
        assert one["answers"] >= 2 * clients
        assert 0 < one["p50_ms"] <= one["p95_ms"] <= one["p99_ms"]
        assert (one["failed"], one["first_failure"]) == (0, None)
        # Nothing is known of a server that is only an address.
        assert (one["cpu_ms_per_image"] is None) or name != "TensorFlow Serving"
    assert cells["original", False, 1, 1]["cpu_ms_per_image"] > 0

    targets = {one["what"]: one["target"] for one in found["ratios"]}
    assert targets["gRPC : in process, one client"] == 0.9
    assert targets["gRPC : in process, 2 clients"] == 0.95
    assert targets["gRPC with batching, 3 clients : one client"] == 1.5
    assert targets["REST : gRPC, 3 clients, batching"] == 0.85
    assert targets["gRPC : TensorFlow Serving, 2 clients"] == 0.95
    assert targets["page : original, one client"] is None
    tails = [(one["batching"], one["arrivals"], one["failed"]) for one in found["tails"]]
    assert tails == [
        (batching, arrivals, 0)
        for batching in (False, True)
        for arrivals in ("evenly spaced", "at random")
    ]
    memory = {one["program"]: one["resident"] for one in found["memory"]}
    assert memory["page"] < memory["local server, batching on"] < memory["original"]
    assert found["bfloat16"]["scans"] == 36

    tables = (settings.out / "bench.md").read_text()
    assert tables in console.file.getvalue()  # unwrapped, though the console is narrow
    assert (settings.out / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_an_empty_base_path_is_an_error(tmp_path):
    with pytest.raises(ServingError, match="holds no version to measure"):
        bench(BenchSettings(model_base_path=tmp_path), Console(file=StringIO()))


def test_a_folder_without_scans_is_an_error(tiny_models, tmp_path):
    settings = BenchSettings(model_base_path=tiny_models, samples=tmp_path)
    with pytest.raises(ServingError, match="holds no folder with a scan"):
        bench(settings, Console(file=StringIO()))


def test_a_server_that_does_not_start_says_why(tiny_models, tmp_path):
    """Parameters that contradict each other; the message is the server's own last line."""
    wrong = tmp_path / "batching.config"
    wrong.write_text("max_batch_size { value: 8 } allowed_batch_sizes: 4")
    settings = BenchSettings(
        model_base_path=tiny_models, batching_parameters_file=wrong, original=False, **QUICK
    )
    with pytest.raises(ServingError, match=r"local server did not start.*allowed_batch_sizes"):
        bench(settings, Console(file=StringIO()))


def test_numbers_of_clients_must_grow():
    with pytest.raises(ValueError, match="clients must grow, for example 1 8 32"):
        BenchSettings(clients=(1, 8, 8))
