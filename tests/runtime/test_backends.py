"""Engines give the same answers."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from splitnet.bundle import Bundle
from splitnet.cloud.model import CloudModel
from splitnet.errors import ModelError, UsageError
from splitnet.runtime.backends import Backend, OnnxRuntime, Torch, make_backend
from splitnet.runtime.onnxruntime_engine import CPU, CUDA, choose_providers


@pytest.mark.parametrize("backend", [Torch(device="cpu"), OnnxRuntime(2, 2, (CPU,))], ids=["torch", "parallel"])
def test_answers_of_the_zoo(lite0_bundle: Bundle, backend: Backend) -> None:
    reference, other = CloudModel(lite0_bundle), CloudModel(lite0_bundle, backend=backend)
    other.warm_up()
    generator = np.random.default_rng(2)
    for name, cut in reference.cuts.items():
        runs = [(generator.standard_normal((2, *cut.shape), dtype=np.float32), False)]
        if name in reference.calibrated:
            shape = (2, *reference.calibrated[name].profile.symbols_shape)
            runs.append((generator.standard_normal(shape, dtype=np.float32), True))
        for values, coefficients in runs:
            expected = reference.shared(cut, values, coefficients=coefficients)
            found = other.shared(cut, values, coefficients=coefficients)
            for task, head in reference.heads.items():
                np.testing.assert_allclose(
                    other.answer(other.heads[task], found), reference.answer(head, expected), rtol=1e-3, atol=1e-3
                )


def test_cuda_is_picked_up_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["TensorrtExecutionProvider", CUDA, CPU])
    assert choose_providers() == (CUDA, CPU)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    assert choose_providers() == (CPU,)
    with pytest.raises(UsageError, match="no provider 'CUDAExecutionProvider'; it has CPU"):
        choose_providers([CUDA])


def test_what_torch_cannot_run() -> None:
    import onnx

    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[N, 8] x) => (float[N, 8] y) { y = Erf(x) }
    """)
    with pytest.raises(ModelError, match="no operator Erf"):
        Torch().load(model.SerializeToString(), "g")
    with pytest.raises(ModelError, match="cannot load g"):
        Torch().load(b"no model", "g")


def test_by_name() -> None:
    assert make_backend("torch", 2, device="cpu") == Torch(2, "cpu")
    assert make_backend("onnxruntime", 2, 3, providers=(CPU,)) == OnnxRuntime(2, 3, (CPU,))
    with pytest.raises(UsageError, match="the backend is torch"):
        make_backend("torch", 1, providers=(CPU,))
    with pytest.raises(UsageError, match="name a provider"):
        make_backend("onnxruntime", 1, device="cpu")
