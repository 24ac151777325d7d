"""Trained decoders kept between runs, so that other steps or codecs can be tried without training again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.privacy import decoder as decoder_module
from benchmarks.privacy import training
from benchmarks.privacy.decoder import Decoder
from splitnet.errors import OutputError
from splitnet.runtime import Array


def trained(
    decoder: Decoder, features: Array, pictures: Array, facts: tuple[object, ...], folder: Path, fit: Callable[[], None]
) -> None:
    """Load the decoder's parameters if one was kept that learned from the same with the same code, else fit and keep.

    `facts` are what else decides the outcome: steps, seed. Raises OutputError where the folder cannot be written.
    """
    digest = hashlib.sha256(repr((facts, torch.__version__)).encode())
    for module in (decoder_module, training):
        assert module.__file__ is not None
        digest.update(Path(module.__file__).read_bytes())
    digest.update(features.tobytes())
    digest.update(pictures.tobytes())
    path = folder / f"{digest.hexdigest()[:24]}.pt"
    if path.is_file():
        decoder.load_state_dict(torch.load(path, weights_only=True))
        decoder.eval()
        return
    fit()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        torch.save(decoder.state_dict(), temporary)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
