"""The local server's models: configuration files, failing versions and tries, readiness, draining."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from serving.local.config import ModelConfig
from serving.local.errors import RequestError
from serving.local.loader import ModelLoader, PollSettings, State
from serving.local.manager import ModelManager
from serving.local.metrics import Metrics
from serving.local.servable import Servable
from tests.conftest import ROOT, eventually

IMAGE = np.full((1, 224, 224, 3), 128, np.uint8)
QUICK = ("--file_system_poll_wait_seconds", "0.1")


def request_of(model, *, label=""):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.version_label = label
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(IMAGE))
    return request


def predict(server, *, label="", timeout=120):
    request = request_of(server.model_name, label=label)
    with grpc.insecure_channel(server.grpc) as channel:
        return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout)


def code_of(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code().name


def replace(path: Path, text: str) -> None:
    """As `label` and operators do it: whole, at once."""
    spare = path.with_suffix(".new")
    spare.write_text(text)
    os.replace(spare, path)


def config(base: Path, inside: str, name: str = "brain_tumor") -> str:
    return f'config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" {inside} }}'


def test_a_config_file_is_taken_on_when_it_changes(serve, write_model, tmp_path):
    base, other, file = tmp_path / "one", tmp_path / "two", tmp_path / "models.config"
    for version in (1, 2):
        write_model(base, version, bias=version / 100)
    write_model(other, 5)
    one = "model_version_policy { specific { versions: 1 } }"
    both = "model_version_policy { all {} } version_labels { key: 'canary' value: 2 }"
    file.write_text(f"model_config_list {{ {config(base, one)} }}")
    flags = ("--model_config_file", str(file), "--model-config-file-poll-wait-seconds", "0.1")
    with serve(base, *QUICK, *flags) as server:
        assert server.versions() == {1: "AVAILABLE"}
        assert code_of(lambda: predict(server, label="canary")) == "INVALID_ARGUMENT"

        # The label may be written before its version serves: it holds from then on.
        replace(file, f"model_config_list {{ {config(base, both)} {config(other, '', 'other')} }}")
        server.wait_for(2)
        eventually(lambda: _labelled(server, "canary") == 2, "the label names version 2")
        url = f"{server.rest}/v1/models/other"
        eventually(lambda: "AVAILABLE" in requests.get(url, timeout=60).text, "the other serves")

        replace(file, "nonsense")
        eventually(lambda: "The old configuration stays" in server.log.read_text(), "it is told")
        assert predict(server).model_spec.version.value == 2

        replace(file, f"model_config_list {{ {config(base, one)} }}")
        eventually(lambda: server.versions()[2] == "END", "version 2 is unloaded")
        eventually(lambda: '"END"' in requests.get(url, timeout=60).text, "the other is unloaded")
        assert predict(server).model_spec.version.value == 1


def _labelled(server, label):
    try:
        return predict(server, label=label).model_spec.version.value
    except grpc.RpcError:
        return None


def test_a_reload_to_a_path_that_is_not_there_fails_at_once_and_changes_nothing(tiny_server):
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(name="brain_tumor", base_path="/nowhere")
    with grpc.insecure_channel(tiny_server.grpc) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.HandleReloadConfigRequest(request, timeout=60)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "Could not find base path /nowhere for servable brain_tumor"
    assert predict(tiny_server).model_spec.version.value == 1


def test_a_new_label_may_be_given_ahead_of_its_version_where_that_is_allowed(tiny_models):
    def load(name, path, version):
        return Servable(name, path, version, Metrics())

    def labelled(version):
        return [ModelConfig("m", tiny_models, labels={"next": version})]

    settings = PollSettings(poll_s=0.05, retries=0, retry_s=1)
    manager = ModelManager(settings, load, labels_ahead=True)
    manager.start([ModelConfig("m", tiny_models)], lambda: None)
    manager.reload(labelled(2), deadline=None)
    spec = model_pb2.ModelSpec(name="m", version_label="next")
    with pytest.raises(RequestError, match="Servable not found"), manager.servable(spec):
        pass
    eventually(lambda: _reloads(manager, labelled(1)), "the label moves to a version that serves")
    with manager.servable(spec) as servable:
        assert servable.version == 1
    with pytest.raises(RequestError, match=r"assign label to version 2 .* not currently available"):
        manager.reload(labelled(2), deadline=None)  # in use by now: it may not go astray
    manager.stop(60)


def _reloads(manager, models):
    try:
        manager.reload(models, deadline=None)
    except RequestError:
        return False
    return True


def test_a_look_for_versions_that_began_before_a_change_does_not_undo_it(tiny_models):
    loading, go_on = threading.Event(), threading.Event()

    def load(name, path, version):
        loading.set()
        assert go_on.wait(240)
        return Servable(name, path, version, Metrics())

    settings = PollSettings(poll_s=60, retries=0, retry_s=1)
    loader = ModelLoader(ModelConfig("m", tiny_models), settings, load)
    loader.start()
    assert loading.wait(240)
    loader.configure(ModelConfig("m", tiny_models, labels={"stable": 1, "next": 2}))
    loader.adopt_labels({"stable": 1, "next": 2})  # as a reload does
    go_on.set()
    eventually(loader.is_available, "version 1 serves")
    loader.stop(240)
    with loader.servable(label="stable") as servable:
        assert servable.version == 1


def test_a_version_that_fails_its_warm_up_leaves_the_old_one_and_says_so(
    serve, write_model, tmp_path
):
    base = tmp_path / "models"
    write_model(base, 1)
    record = prediction_log_pb2.PredictionLog()
    request = record.predict_log.request
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(IMAGE[:, :10, :10]))
    bad = write_model(tmp_path, 2)
    (bad / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(bad / "assets.extra" / "tf_serving_warmup_requests")) as file:
        file.write(record.SerializeToString())
    monitoring = ROOT / "serving" / "config" / "monitoring.config"
    flags = ("--monitoring_config_file", str(monitoring), "--max_num_load_retries", "0")
    with serve(base, *QUICK, *flags) as server:
        bad.rename(base / "2")
        eventually(lambda: server.versions().get(2) == "END", "version 2 is given up")
        assert predict(server).model_spec.version.value == 1
        rows = requests.get(f"{server.rest}/v1/models/brain_tumor", timeout=60).json()
        failed, old = rows["model_version_status"]
        assert "not compatible with expected shape" in failed["status"]["error_message"]
        assert old["state"] == "AVAILABLE"
        assert "version 2 cannot be loaded: Shape of tensor images" in server.log.read_text()
        text = requests.get(f"{server.rest}/monitoring/prometheus/metrics", timeout=60).text
        path = base / "2"
        loads = ":tensorflow:cc:saved_model:load_attempt_count"
        assert f'{loads}{{model_path="{path}",status="fail"}} 1\n' in text
        warmup = ":tensorflow:serving:model_warmup_latency_count"
        assert f'{warmup}{{model_path="{path}",status="INVALID_ARGUMENT"}} 1\n' in text


def test_a_version_is_tried_again_as_often_as_allowed(tiny_models):
    tries = []

    def load(name, path, version):
        tries.append(version)
        if len(tries) < 3:
            raise OSError("the disk is away for a moment")
        return Servable(name, path, version, Metrics())

    def settings(retries):
        return PollSettings(poll_s=0.01, retries=retries, retry_s=0.02)

    model = ModelConfig("m", tiny_models)
    patient = ModelLoader(model, settings(2), load)
    patient.start()
    eventually(patient.is_available, "the third try succeeds")
    patient.stop(60)
    assert tries == [1, 1, 1]

    tries.clear()
    hasty = ModelLoader(model, settings(1), load)
    hasty.start()
    eventually(lambda: len(tries) == 2, "it is tried twice")
    time.sleep(0.2)  # ten more would be due
    hasty.stop(60)
    assert tries == [1, 1]
    assert hasty.status()[1].state is State.END
    assert hasty.status()[1].error_message == "the disk is away for a moment"


def test_health_tells_whether_every_model_serves(serve, write_model, tmp_path):
    base = tmp_path / "models"
    base.mkdir()
    with (
        serve(base, *QUICK, wait=False) as server,
        grpc.insecure_channel(server.grpc) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)

        def health(service=""):
            request = health_pb2.HealthCheckRequest(service=service)
            answer = stub.Check(request, timeout=240, wait_for_ready=True)
            return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

        assert health() == "NOT_SERVING"
        write_model(tmp_path, 1).rename(base / "1")
        eventually(lambda: health() == "SERVING", "it is ready")
        assert health("tensorflow.serving.PredictionService") == "SERVING"


def test_sigterm_answers_what_waits_for_its_batch(serve, tiny_models, tmp_path):
    parameters = tmp_path / "batching.config"
    parameters.write_text("max_batch_size { value: 2 } batch_timeout_micros { value: 5000000 }")
    flags = ("--enable_batching=true", "--batching_parameters_file", str(parameters))
    with serve(tiny_models, *flags) as server, grpc.insecure_channel(server.grpc) as channel:
        waiting = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict.future(
            request_of(server.model_name), timeout=120
        )
        status = get_model_status_pb2.GetModelStatusRequest()
        status.model_spec.name = server.model_name
        # Sent later over the same connection: once it is answered, the other has arrived.
        model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(status, timeout=120)
        assert not waiting.done()
        server.process.send_signal(signal.SIGTERM)
        answer = waiting.result()
        assert server.process.wait(120) == 0
    assert answer.outputs["probability"].float_val[0] == pytest.approx(128 / 255)


def test_old_versions_leave_no_memory_behind(write_model, tmp_path):
    """Loaders that come and go leave none of their servables alive."""
    import gc
    import weakref

    write_model(tmp_path, 1)
    alive = []

    def load(name, path, version):
        servable = Servable(name, path, version, Metrics())
        alive.append(weakref.ref(servable))
        return servable

    settings = PollSettings(poll_s=0.01, retries=0, retry_s=1)
    loader = ModelLoader(ModelConfig("m", tmp_path), settings, load)
    loader.start()
    eventually(loader.is_available, "version 1 serves")
    write_model(tmp_path / "spare", 2).rename(tmp_path / "2")
    eventually(lambda: loader.status()[1].state is State.END, "version 1 is unloaded")
    shutil.rmtree(tmp_path / "2")
    eventually(lambda: loader.status()[2].state is State.END, "version 2 is unloaded")
    loader.stop(60)
    gc.collect()
    assert [one() is None for one in alive] == [True, True, False]
