"""Graphs on ONNX Runtime: the default engine, on the device and in the cloud."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

# ONNX Runtime would write a device id below the home directory and look up its maker's hosts: nothing of that here.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

from splitnet.errors import ModelError, UsageError
from splitnet.runtime.graph import Array, TensorSpec

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(uint16)": "uint16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


class OnnxGraph:
    """An ONNX graph loaded into ONNX Runtime.

    Parameters
    ----------
    model
        Path of an ``.onnx`` file, or its bytes.
    name
        What errors call the graph; the file's name by default.
    threads
        Threads of one run. The default of one keeps a device's other work alive and makes timings comparable.
    inter_threads
        Operators that run side by side; more than one makes ONNX Runtime look for such.
    providers
        ONNX Runtime's execution providers, tried in order.
    share_memory
        Take memory for what is computed from one arena of the process: for a service with many graphs.

    Raises
    ------
    ModelError
        if ONNX Runtime cannot load the graph, or fails while it runs it.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        name: str = "",
        threads: int = 1,
        inter_threads: int = 1,
        providers: Sequence[str] = (CPU,),
        share_memory: bool = False,
    ) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = inter_threads
        if inter_threads > 1:
            options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
        if share_memory and _share_memory():
            options.add_session_config_entry("session.use_env_allocators", "1")
            # Weights apart: they go back to the system with their graph.
            options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
        # Warnings about graph clean-ups are not for users, and errors come as exceptions anyway.
        options.log_severity_level = 4
        name = name or (model.name if isinstance(model, Path) else "graph")
        try:
            self._session = ort.InferenceSession(
                str(model) if isinstance(model, Path) else model, options, providers=list(providers)
            )
        except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
            raise ModelError(f"ONNX Runtime cannot load {name}: {_first_line(error)}") from error
        self.name = name
        self.inputs = tuple(_spec(node) for node in self._session.get_inputs())
        self.outputs = tuple(_spec(node) for node in self._session.get_outputs())
        self._all = [output.name for output in self.outputs]
        self._options = None
        if any(side is None for spec in self.inputs for side in spec.shape[1:]):
            # Each size would leave what it took in the arena, and sizes are without number.
            self._options = ort.RunOptions()
            self._options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """Compute `outputs` (all of them, in order, when None) from named inputs."""
        try:
            results: list[Array] = self._session.run(
                self._all if outputs is None else list(outputs), dict(feeds), self._options
            )
        except Exception as error:
            raise ModelError(f"ONNX Runtime failed in {self.name}: {_first_line(error)}") from error
        return results


def choose_providers(wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """`wanted`, checked; without any, CUDA where this build has it, then the CPU.

    Raises UsageError, listing what this build has.
    """
    available = ort.get_available_providers()
    missing = [name for name in wanted if name not in available]
    if missing:
        raise UsageError(f"this ONNX Runtime has no provider {missing[0]!r}; it has {', '.join(available)}")
    return tuple(wanted) or tuple(name for name in (CUDA, CPU) if name in available)


@functools.cache
def _share_memory() -> bool:
    """One arena for what all graphs of the process compute, that grows by what is asked for; whether there is one.

    Each graph would have one of its own, doubled whenever it grows: half as much memory again for six graphs that never
    run at the same time.
    """
    # Elsewhere ONNX Runtime makes no arena here, and each graph's own is better than none.
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    no_limit, as_requested, default = 0, 1, -1
    # Some versions refuse a second one; then graphs use what the application made.
    with contextlib.suppress(Exception):
        ort.create_and_register_allocator(memory, ort.OrtArenaCfg(no_limit, as_requested, default, default))
    return True


def _spec(node: ort.NodeArg) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    return TensorSpec(node.name, _DTYPES.get(node.type, node.type), shape)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
