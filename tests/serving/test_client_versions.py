"""Both clients while versions come and go: one answer is by one version, and says by which."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from serving.client import Client
from serving.contract import SIGNATURES, Signature, TensorSpec
from serving.dialogue import CARDS_KEPT, MAX_IMAGES
from serving.errors import ContractError, ModelNotFound
from tests.conftest import eventually
from tests.serving.scripted import SCRIPTED, Script, open_client

IMAGES = np.zeros((70, 224, 224, 3), np.uint8)


@pytest.fixture
def asked(kind, way):
    """A function that runs a script and returns what a function of the client returns."""

    def run(script, ask):
        with SCRIPTED[way](script) as address, open_client(kind, address) as client:
            return ask(client)

    return run


def made_by(answer):
    """The versions whose probabilities are in an answer."""
    return {round(100 * p.probability) for p in answer.predictions}


def test_large_batches_are_split_and_one_version_answers_all(asked):
    script = Script(versions=[1, 2])
    answer = asked(script, lambda client: client.predict(IMAGES))
    assert (answer.version, made_by(answer), len(answer.predictions)) == (2, {2}, 70)
    assert script.sizes == [MAX_IMAGES, MAX_IMAGES, 6]
    assert script.seen == ["metadata newest", *["predict 2"] * 3]


@pytest.mark.parametrize("keeps_old", [True, False])
def test_a_swap_between_two_parts_never_mixes_versions(asked, keeps_old):
    """With the old version still there its answer is finished; without, it is begun anew."""
    script = Script()

    def swap(number):
        if number == 2:
            script.versions = [1, 2] if keeps_old else [2]

    def ask(client):
        client.predict(IMAGES[:1])  # from now on the newest may be asked for as such
        return client.predict(IMAGES)

    script.on_predict = swap
    answer = asked(script, ask)
    expected = 1 if keeps_old else 2
    assert (answer.version, made_by(answer), len(answer.predictions)) == (expected, {expected}, 70)


def test_a_server_that_never_keeps_a_version_is_given_up(asked):
    script = Script()

    def swap(_number):
        script.versions = [script.versions[-1] + 1]

    script.on_predict = swap
    with pytest.raises(ModelNotFound):
        asked(script, lambda client: client.predict(IMAGES))
    assert len(script.seen) < 20


def test_the_version_a_caller_names_is_never_replaced_by_another(asked):
    script = Script(versions=[1, 2])

    def unload(number):
        if number == 1:
            script.versions = [2]

    script.on_predict = unload
    with pytest.raises(ModelNotFound):
        asked(script, lambda client: client.predict(IMAGES, version=1))
    assert script.seen == ["metadata 1", "predict 1", "predict 1"]


def test_the_newest_is_the_newest_after_a_swap_and_a_rollback(asked):
    script = Script()

    def ask(client):
        for versions in ([1], [2], [1]):
            script.versions = versions
            answer = client.predict(IMAGES[:1])
            assert (answer.version, made_by(answer)) == (versions[-1], set(versions))

    asked(script, ask)


def test_each_version_is_checked_once_and_repeated_calls_cost_one_request(asked, way):
    script = Script(labels={"stable": 1})

    def ask(client):
        client.predict(IMAGES[:1])
        before = len(script.seen)
        for _ in range(5):
            client.predict(IMAGES[:1], version=1)
        return script.seen[before:]

    assert asked(script, ask) == ["predict 1"] * 5
    assert script.seen.count("metadata newest") == 1


def test_over_rest_the_newest_is_asked_for_once_a_second_and_not_once_a_call(monkeypatch, kind):
    now = [100.0]
    monkeypatch.setattr("serving.dialogue.monotonic", lambda: now[0])
    script = Script()
    with SCRIPTED["rest"](script) as address, open_client(kind, address) as client:
        for _ in range(3):
            client.predict(IMAGES[:1])
        script.versions = [1, 2]  # the old one stays: nothing but the clock tells of the new one
        now[0] += 1.5
        assert client.predict(IMAGES[:1]).version == 2
    assert script.seen == [
        *("metadata newest", "predict 1", "predict 1", "predict 1"),
        *("metadata newest", "predict 2"),
    ]


def test_a_label_names_a_version_and_the_answer_tells_which(asked):
    script = Script(versions=[1, 2, 3], labels={"stable": 2})

    def ask(client):
        answers = [client.predict(IMAGES, version_label="stable") for _ in range(2)]
        return [*answers, client.predict(IMAGES[:1])], client.thresholds(version_label="stable")

    answers, thresholds = asked(script, ask)
    assert [(a.version, made_by(a)) for a in answers] == [(2, {2}), (2, {2}), (3, {3})]
    assert thresholds.high == 0.9


def test_a_label_that_moves_is_followed(asked):
    script = Script(versions=[1], labels={"stable": 1})

    def ask(client):
        first = client.predict(IMAGES[:1], version_label="stable")
        script.versions, script.labels = [2], {"stable": 2}
        return first.version, client.predict(IMAGES[:1], version_label="stable").version

    assert asked(script, ask) == (1, 2)


def test_cards_are_fetched_once_a_version(asked):
    script = Script(versions=[1, 2])

    def ask(client):
        return [client.card(version)["version"] for version in (2, 1, 2, 1)]

    assert asked(script, ask) == [2, 1, 2, 1]
    assert sum(line.startswith("predict") for line in script.seen) == 2


def without(name):
    return {key: one for key, one in SIGNATURES.items() if key != name}


def with_output(name, output, spec):
    signature = SIGNATURES[name]
    return SIGNATURES | {name: Signature(signature.inputs, signature.outputs | {output: spec})}


@pytest.mark.parametrize(
    ("signatures", "sentence"),
    [
        (without("explain"), "Version 1 on the server lacks the signature 'explain'"),
        (
            with_output("serving_default", "probability", TensorSpec("float64", (None,))),
            "has other tensors in the signature 'serving_default'",
        ),
        (
            with_output("rgb", "probability", TensorSpec("float32", (None, 1))),
            "has other tensors in the signature 'rgb'",
        ),
        ({}, "lacks the signature 'serving_default'"),
    ],
)
def test_a_version_outside_the_contract_is_refused_before_it_is_asked(asked, signatures, sentence):
    script = Script(signatures={1: signatures})
    with pytest.raises(ContractError, match=sentence):
        asked(script, lambda client: client.predict(IMAGES[:1]))
    with pytest.raises(ContractError, match=sentence):
        asked(script, lambda client: client.card(1))
    assert not any(line.startswith("predict") for line in script.seen)


def test_a_later_version_outside_the_contract_gives_no_diagnosis(asked):
    script = Script(signatures={2: without("rgb")})

    def ask(client):
        client.predict(IMAGES[:1])
        script.versions = [2]
        for _ in range(2):
            with pytest.raises(ContractError, match="Version 2"):
                client.predict(IMAGES[:1])
        script.versions = [1]
        return client.predict(IMAGES[:1]).version

    assert asked(script, ask) == 1


def test_threads_share_a_client(way):
    script = Script()
    with (
        SCRIPTED[way](script) as address,
        Client(address) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = list(pool.map(lambda _: client.predict(IMAGES[:1]), range(40)))
    assert {answer.version for answer in answers} == {1}
    assert script.sizes == [1] * 40


def test_a_real_swap_under_load_never_mixes_versions(serve, write_model, tmp_path):
    """Batches of two requests while version 2 replaces 1, and 1 comes back by a rollback."""
    base = tmp_path / "models"
    write_model(base, 1)
    staged = write_model(tmp_path / "staged", 2, bias=0.25)

    def ask(client):
        answer = client.predict(IMAGES[:40])
        assert {p.probability for p in answer.predictions} == {{1: 0.0, 2: 0.25}[answer.version]}
        return answer.version

    with (
        serve(base, "--file_system_poll_wait_seconds", "0.2") as server,
        Client(server.grpc, timeout_s=120) as grpc,
        Client(server.rest, timeout_s=120) as rest,
    ):

        def both_get(version):
            eventually(lambda: {ask(grpc), ask(rest)} == {version}, f"version {version} answers")

        both_get(1)
        staged.rename(base / "2")
        both_get(2)
        (base / "2").rename(tmp_path / "withdrawn")
        both_get(1)


def test_cards_of_the_latest_versions_are_remembered_and_no_more(asked):
    last = 3 * CARDS_KEPT
    script = Script(versions=list(range(1, last + 1)))

    def ask(client):
        for version in [*script.versions, last, last - CARDS_KEPT + 1, 1]:
            assert client.card(version)["version"] == version

    asked(script, ask)
    cards = [line for line in script.seen if line.startswith("predict")]
    assert cards == [f"predict {version}" for version in [*script.versions, 1]]
