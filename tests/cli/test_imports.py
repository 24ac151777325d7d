"""What an import pulls in: torch is for the workshop, not for the road."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import splitnet", ["torch", "onnx", "onnxruntime", "grpc", "pydantic"]),
        ("import splitnet.edge", ["torch", "onnx", "matplotlib"]),
        ("import splitnet.edge.grpc_transport", ["torch", "onnx", "structlog"]),
        ("import splitnet.cloud.server", ["torch", "onnx", "PIL"]),
        ("import splitnet.cli", ["torch", "onnx", "onnxruntime", "grpc", "PIL"]),
        ("import featcodec", ["torch", "onnxruntime", "grpc", "pydantic", "typer", "zstandard"]),
        ("import splitnet.bundle, splitnet.models, splitnet.graph", ["torch", "onnx"]),
    ],
)
def test_import_stays_light(statement: str, absent: list[str]) -> None:
    code = f"{statement}\nimport sys\nprint([name for name in {absent} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
