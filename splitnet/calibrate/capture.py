"""Feature maps of any torch module into a `.npy`, for `python -m benchmarks.codecs --features`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from splitnet.errors import ModelError, UsageError
from splitnet.files import write_whole

if TYPE_CHECKING:
    from torch import Tensor, nn


@contextmanager
def capture_features(module: nn.Module, layer: str, path: Path, *, limit: int = 64) -> Iterator[None]:
    """Write what `layer` puts out while the block runs, at most `limit` maps, when the block ends without an error.

    The file holds float32 of shape (N, C, H, W), one row for each element of the batches that ran.

    Parameters
    ----------
    layer
        Name of a submodule, as in ``module.named_modules()``.

    Raises
    ------
    UsageError
        if there is no such layer: lists near names.
    ModelError
        if the layer puts out no tensor (N, C, H, W), maps of different shapes, or nothing at all.
    OutputError
        if the file cannot be written; nothing half-written stays behind.

    Examples
    --------
    >>> with capture_features(model, "layer3", Path("layer3.npy")):  # doctest: +SKIP
    ...     model(batch)
    """
    found = dict(module.named_modules())
    if layer not in found or not layer:
        near = difflib.get_close_matches(layer, found, n=5, cutoff=0.3) or [name for name in found if name][:5]
        raise UsageError(f"no layer {layer!r} in {type(module).__name__}; near names: {', '.join(near)}")
    kept: list[np.ndarray[Any, np.dtype[np.float32]]] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        maps = _as_maps(output, layer)
        if kept and kept[0].shape != maps.shape[1:]:
            raise ModelError(
                f"layer {layer!r} put out {maps.shape[1:]} after {kept[0].shape}; capture one shape at a time"
            )
        kept.extend(maps[: limit - len(kept)])

    handle = found[layer].register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()
    if not kept:
        raise ModelError(f"layer {layer!r} did not run; call the module inside the block")
    maps = np.stack(kept)
    write_whole(path, lambda stream: np.save(stream, maps, allow_pickle=False))


def _as_maps(output: object, layer: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    import torch

    if not isinstance(output, torch.Tensor) or output.ndim != 4 or not output.is_floating_point():
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise ModelError(f"layer {layer!r} puts out {shape}; feature maps are one float tensor (N, C, H, W)")
    # A copy: a later layer may work in place.
    maps: np.ndarray[Any, np.dtype[np.float32]] = output.detach().to("cpu", torch.float32, copy=True).numpy()
    return maps
