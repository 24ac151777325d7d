"""What an import pulls in: torch is for the workshop, not for the road."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_nothing_is_written_below_the_home_directory(tmp_path: Path) -> None:
    code = "import splitnet.runtime.onnxruntime_engine, splitnet.edge.grpc_aio_transport"
    environment = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-B", "-c", code], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


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
