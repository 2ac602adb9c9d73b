"""What a model must answer before it is published; each fault is told in its own sentence."""

import numpy as np
import pytest

from serving.release.answers import AnswerError, check_answers
from serving.release.scratch import Candidate


@pytest.fixture(scope="module")
def model(candidate):
    return Candidate(candidate)


def altered(model, signature, change, *, when=lambda inputs: True):
    """The model, but one signature's answer is changed."""

    def call(name, inputs):
        answer = model(name, inputs)
        if name == signature and when(inputs):
            change(answer)
        return answer

    return call


def test_a_model_that_fulfils_the_contract_passes(model):
    assert check_answers(model) == 9


def set_to(name, value):
    def change(answer):
        array = answer[name].copy()
        array[-1] = value
        answer[name] = array

    return change


def as_type(name, dtype):
    def change(answer):
        answer[name] = answer[name].astype(dtype)

    return change


def one_less(answer):
    answer["risk"] = answer["risk"][:-1]


def shifted(answer):
    answer["probability"] = np.clip(answer["probability"] + 0.01, 0, 1)


@pytest.mark.parametrize(
    ("signature", "change", "told"),
    [
        ("serving_default", set_to("probability", np.nan), "a probability outside 0..1"),
        ("serving_default", set_to("probability", 1.5), "a probability outside 0..1"),
        ("serving_default", set_to("ood_score", np.inf), "an ood_score that is no number"),
        ("serving_default", set_to("label", b"maybe"), "an unknown label: 'maybe'"),
        ("serving_default", set_to("risk", b"\xff"), "an unknown risk"),
        ("serving_default", as_type("probability", np.float64), r"probability float64 \[9\]"),
        ("serving_default", one_less, r"9 images with risk object \[8\]"),
        ("explain", set_to("heatmap", -0.1), "a heatmap outside 0..1"),
        ("explain", set_to("heatmap", np.nan), "a heatmap outside 0..1"),
        ("explain", shifted, "serving_default and explain disagree, in probability"),
        ("rgb", shifted, "serving_default and rgb disagree, in probability"),
        ("rgb", set_to("error", b"oops"), "rgb reports an error for a good image"),
        ("card", set_to("card", b""), "answers nothing for markdown"),
    ],
)
def test_a_fault_in_an_answer_is_told(model, signature, change, told):
    with pytest.raises(AnswerError, match=told):
        check_answers(altered(model, signature, change))


def test_an_answer_that_depends_on_its_neighbours_is_refused(model):
    alone = altered(model, "serving_default", shifted, when=lambda i: len(i["images"]) == 1)
    with pytest.raises(AnswerError, match="image 0 is answered otherwise alone than among others"):
        check_answers(alone)


def diagnosed(answer):
    for name, value in (("probability", 0.9), ("label", b"tumor"), ("risk", b"high")):
        answer[name] = answer[name].copy()
        answer[name][0] = value


def short(inputs):
    return len(inputs["rgb_bytes"][0]) != 150528


def test_bad_bytes_that_get_a_diagnosis_are_refused(model):
    with pytest.raises(AnswerError, match="rgb answers 0 bytes with a diagnosis"):
        check_answers(altered(model, "rgb", diagnosed, when=short))


def test_bad_bytes_that_harm_their_neighbour_are_refused(model):
    harmed = altered(model, "rgb", set_to("probability", 0.9), when=short)
    with pytest.raises(AnswerError, match="bad bytes change the answer about their neighbour"):
        check_answers(harmed)


def test_an_image_of_another_size_must_be_refused_by_the_graph(model):
    def call(name, inputs):
        if name == "serving_default" and inputs["images"].shape[1] == 10:
            return model(name, {"images": np.zeros((1, 224, 224, 3), np.uint8)})
        return model(name, inputs)

    with pytest.raises(AnswerError, match=r"the graph answers an image of shape \[10, 10, 3\]"):
        check_answers(call)


@pytest.mark.parametrize(
    "card",
    [b"not json", b"{}", b'{"thresholds": {"low": 0.9, "label": 0.5, "high": 0.8}}'],
)
def test_a_card_without_usable_thresholds_is_refused(model, card):
    def change(answer):
        answer["card"] = np.array([card, b"text"], object)

    with pytest.raises(AnswerError, match="holds no thresholds in order"):
        check_answers(altered(model, "card", change))
