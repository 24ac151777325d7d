"""Which engine runs a service's graphs, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from splitnet.errors import UsageError
from splitnet.runtime.graph import Graph

BackendName = Literal["onnxruntime", "torch"]


class Backend(Protocol):
    """Loads graphs."""

    def load(self, data: bytes, name: str) -> Graph:
        """A graph from the bytes of an ``.onnx`` file; errors call it `name`. Raises ModelError."""
        ...


@dataclass(frozen=True)
class OnnxRuntime:
    """ONNX Runtime: `threads` within an operator, `inter_threads` for operators side by side.

    `providers` are tried in order; without any, CUDA where this build of ONNX Runtime has it, then the CPU.
    """

    threads: int = 1
    inter_threads: int = 1
    providers: tuple[str, ...] = ()

    def load(self, data: bytes, name: str) -> Graph:
        """Raises ModelError, or UsageError for a provider that this build does not have."""
        from splitnet.runtime.onnxruntime_engine import OnnxGraph, choose_providers

        providers = choose_providers(self.providers)
        return OnnxGraph(
            data,
            name=name,
            threads=self.threads,
            inter_threads=self.inter_threads,
            providers=providers,
            share_memory=True,
        )


@dataclass(frozen=True)
class Torch:
    """torch, on `device`; without one on CUDA where there is any. Its threads are those of the whole process."""

    threads: int = 1
    device: str = ""

    def load(self, data: bytes, name: str) -> Graph:
        """Raises ModelError, or UsageError where torch is not installed."""
        try:
            import torch

            from splitnet.runtime.torch_engine import TorchGraph
        except ImportError as error:
            raise UsageError(f"backend torch needs {error.name}; pip install 'splitnet[train]'") from error
        torch.set_num_threads(self.threads)
        return TorchGraph(data, name=name, device=self.device or ("cuda" if torch.cuda.is_available() else "cpu"))


def make_backend(
    name: BackendName, threads: int, inter_threads: int = 1, *, providers: tuple[str, ...] = (), device: str = ""
) -> Backend:
    """The backend called `name`. Raises UsageError for options of the other one."""
    if name == "torch":
        if providers or inter_threads != 1:
            raise UsageError("providers and inter_threads are options of onnxruntime, and the backend is torch")
        return Torch(threads, device)
    if device:
        raise UsageError("a device is an option of torch; with onnxruntime name a provider")
    return OnnxRuntime(threads, inter_threads, providers)
