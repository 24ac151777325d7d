"""Run by test_tasks_extension with the example package on its path: its kind from a bundle over the wire."""

import sys
from pathlib import Path

import numpy as np

import featcodec
from splitnet.bundle import Bundle
from splitnet.cloud import InferenceService
from splitnet.errors import ModelError
from splitnet.tasks import Custom, Tensor, kind_names, make_kind, post_process
from splitnet.wire.exchange import InferenceRequest
from splitnet.wire.messages import response_from_message, response_to_message


def _refused(name: str, parameters: dict[str, object]) -> str:
    try:
        make_kind(name, parameters)
    except ModelError as error:
        return str(error)
    raise AssertionError(f"{name} {parameters} was taken")


def main(directory: Path) -> None:
    assert {"extremes", "broken", "wrong"} <= set(kind_names())
    assert isinstance(post_process("tensor", np.zeros(2, np.float32)), Tensor)
    for name, says in (("broken", "does not import"), ("wrong", "must name a subclass")):
        assert says in _refused(name, {})
    assert "count" in _refused("extremes", {"count": 0})
    bundle = Bundle.load(directory)
    features = np.zeros((1, *bundle.cut("r2").shape), np.float32)
    request = InferenceRequest("tiny", bundle.fingerprint, "r2", featcodec.encode(features, "none|raw"))
    answer = response_from_message(response_to_message(InferenceService([bundle]).infer(request)))
    result = answer.results["ends"]
    assert isinstance(result, Custom)
    assert (result.kind, sorted(result.tensors)) == ("extremes", ["largest", "smallest"])
    assert result.tensors["largest"].shape == (2,)
    assert len(result.data["smallest_at"]) == 2
    print("extension works")


main(Path(sys.argv[1]))
