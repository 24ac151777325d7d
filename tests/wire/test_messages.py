"""The exchange survives the trip through protobuf."""

import numpy as np
import pytest

from splitnet.bundle.manifest import ImageInput
from splitnet.errors import InternalError, InvalidRequestError
from splitnet.tasks import Classification, Embedding, Label, Tensor
from splitnet.v1 import inference_pb2 as pb
from splitnet.wire import messages
from splitnet.wire.exchange import CutInfo, InferenceRequest, InferenceResponse, ModelInfo, ModelSummary, Timing

FINGERPRINT = "ab" * 32


def test_request() -> None:
    request = InferenceRequest("net", FINGERPRINT, "block7", b"frame", ("a", "b"), 3, True, "2")
    wire = messages.request_to_message(request).SerializeToString()
    assert messages.request_from_message(pb.InferRequest.FromString(wire)) == request


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (pb.InferRequest(fingerprint=bytes(32)), "names no model"),
        (pb.InferRequest(model="net", fingerprint=b"short"), "has 5 bytes"),
    ],
)
def test_malformed_requests(message: pb.InferRequest, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says):
        messages.request_from_message(message)


def test_response() -> None:
    response = InferenceResponse(
        {
            "classes": Classification((Label(4, "cat", 0.75), Label(2, "dog", 0.25))),
            "vector": Embedding(np.array([0.6, 0.8], dtype=np.float32)),
            "map": Tensor(np.arange(6, dtype=np.float32).reshape(1, 2, 3)),
        },
        Timing(0.001, 0.002, 0.003, 0.004, 0.005, 0.015),
        {"classes": np.array([1.5, -2.5], dtype=np.float32)},
    )
    wire = messages.response_to_message(response).SerializeToString()
    back = messages.response_from_message(pb.InferResponse.FromString(wire))
    assert list(back.results) == ["classes", "vector", "map"]
    assert back.results["classes"] == response.results["classes"]
    for name in ("vector", "map"):
        mine, theirs = response.results[name], back.results[name]
        assert type(theirs) is type(mine)
        assert isinstance(mine, Embedding | Tensor)
        assert isinstance(theirs, Embedding | Tensor)
        np.testing.assert_array_equal(mine.values, theirs.values)
    assert back.timing == response.timing
    np.testing.assert_array_equal(back.outputs["classes"], [1.5, -2.5])
    assert list(back.outputs) == ["classes"]


@pytest.mark.parametrize(
    "result",
    [
        pb.TaskResult(task="t"),
        pb.TaskResult(task="t", tensor=pb.Tensor(shape=[3], float32=b"1234")),
        pb.TaskResult(task="t", embedding=pb.Embedding(float32=b"12345")),
    ],
)
def test_a_response_that_makes_no_sense_is_the_servers_fault(result: pb.TaskResult) -> None:
    with pytest.raises(InternalError, match="task 't'"):
        messages.response_from_message(pb.InferResponse(results=[result]))


def test_model() -> None:
    image = ImageInput(tensor="", height=8, width=9, resize_short=10, mean=(1, 2, 3), std=(4, 5, 6))
    model = ModelInfo(
        ModelSummary("net", "1", FINGERPRINT),
        image,
        (CutInfo("block7", (80, 14, 14), "float32", 10, 20),),
        {"classification": "classification"},
        ("none", "raw"),
        1000,
    )
    wire = messages.model_to_message(model).SerializeToString()
    assert messages.model_from_message(pb.GetModelResponse.FromString(wire)) == model


def test_a_model_without_input_is_the_servers_fault() -> None:
    with pytest.raises(InternalError, match="makes no sense"):
        messages.model_from_message(pb.GetModelResponse())
