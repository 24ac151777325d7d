"""Scores with verdicts, and boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from splitnet.bundle.manifest import Task
from splitnet.errors import ModelError
from splitnet.tasks import Detections, Result, Score, Setting, make_kind, post_process
from splitnet.wire.exchange import InferenceResponse
from splitnet.wire.messages import response_from_message, response_to_message

SETTING = Setting(("cat", "dog"), height=100, width=200)


def _score(value: float, **parameters: Any) -> Score:
    result = post_process("score", np.array([value], np.float32), parameters=parameters)
    assert isinstance(result, Score)
    return result


def test_verdicts() -> None:
    three = {"thresholds": [0.25, 0.75], "verdicts": ["real", "unsure", "fake"]}
    verdicts = [_score(value, **three).verdict for value in (-1.0, 0.2, 0.25, 0.7, 0.75, 9.0)]
    assert verdicts == ["real", "real", "unsure", "unsure", "fake", "fake"]
    assert _score(0.0, activation="sigmoid") == Score(0.5, "yes")
    assert [_score(value, activation="sigmoid").value for value in (-1e4, 1e4)] == [0.0, 1.0]
    assert _score(-2.0, activation="sigmoid").value == pytest.approx(0.1192, abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "parameters", "says"),
    [
        ("score", {"thresholds": [0.5, 0.5], "verdicts": ["a", "b", "c"]}, "must rise"),
        ("score", {"verdicts": ["a"]}, "1 thresholds need 2"),
        ("score", {"thresholds": [float("nan")]}, "thresholds"),
        ("score", {"treshold": 1}, "treshold"),
        ("detection", {"layout": "diagonal"}, "layout"),
        ("detection", {"max_overlap": 2}, "max_overlap"),
        ("classification", {"top": 3}, "top"),
    ],
)
def test_parameters_are_checked(kind: str, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=f"kind {kind}: .*{says}"):
        make_kind(kind, parameters)


def test_outputs_of_another_shape() -> None:
    with pytest.raises(ModelError, match="one value"):
        post_process("score", np.zeros(2, np.float32))
    for shape in ((7,), (3, 4), (1, 3, 6)):
        with pytest.raises(ModelError, match="4 \\+ classes"):
            post_process("detection", np.zeros(shape, np.float32))


ROWS = np.array(
    [
        [10, 10, 50, 50, 0.6, 0.1],
        [12, 12, 52, 52, 0.9, 0.1],  # the same cat, better
        [12, 12, 52, 52, 0.1, 0.8],  # a dog at its place
        [100, 10, 250, 50, 0.7, 0.0],  # beyond the edge
        [0, 0, 9, 9, 0.2, 0.1],
    ],
    np.float32,
)


def _detect(rows: Any, top_k: int = 0, **parameters: Any) -> Detections:
    result = make_kind("detection", parameters).result(np.asarray(rows, np.float32), SETTING, top_k)
    assert isinstance(result, Detections)
    return result


def test_boxes_of_a_class_that_overlap_are_one() -> None:
    boxes = _detect(ROWS).boxes
    assert [(box.label, round(box.score, 2)) for box in boxes] == [("cat", 0.9), ("dog", 0.8), ("cat", 0.7)]
    assert (boxes[0].x1, boxes[0].y2) == (12.0, 52.0)
    assert (boxes[2].x2, boxes[2].y2) == (200.0, 50.0)
    assert len(_detect(ROWS, max_overlap=1.0).boxes) == 4
    assert len(_detect(ROWS, max_boxes=2).boxes) == len(_detect(ROWS, top_k=2).boxes) == 2
    assert len(_detect(ROWS, min_score=0.0).boxes) == 4
    assert _detect(ROWS, min_score=1.0).boxes == ()
    assert _detect(np.zeros((0, 6))).boxes == ()


def test_layouts_give_the_same_boxes() -> None:
    expected = _detect(ROWS)
    assert _detect(ROWS.T, layout="columns") == expected
    centre = ROWS.copy()
    centre[:, :2], centre[:, 2:4] = (ROWS[:, :2] + ROWS[:, 2:4]) / 2, ROWS[:, 2:4] - ROWS[:, :2]
    assert _detect(centre, boxes="centre") == expected
    shares = ROWS.copy()
    shares[:, :4] /= np.array([200, 100, 200, 100], np.float32)
    found = _detect(shares, units="shares").boxes
    assert [box.label for box in found] == [box.label for box in expected.boxes]
    assert found[0].x1 == pytest.approx(12, abs=1e-4)
    logits = ROWS.copy()
    logits[:, 4:] = np.log(ROWS[:, 4:].clip(1e-6) / (1 - ROWS[:, 4:].clip(1e-6)))
    assert [box.score for box in _detect(logits, scores="logits").boxes] == pytest.approx([0.9, 0.8, 0.7])


def test_they_travel() -> None:
    results: dict[str, Result] = {"score": _score(0.7), "boxes": _detect(ROWS)}
    assert response_from_message(response_to_message(InferenceResponse(results))).results == results


def test_parameters_are_part_of_the_manifest_only_where_there_are_any() -> None:
    plain = Task(name="a", kind="score", input="x", output="y")
    assert "parameters" not in plain.model_dump(mode="json")
    declared = plain.model_copy(update={"parameters": {"thresholds": [1]}})
    assert declared.model_dump(mode="json")["parameters"] == {"thresholds": [1]}
