"""Training a decoder, bounded by a number of steps; the same seed gives the same decoder on the same machine."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.privacy.decoder import Decoder
from splitnet.runtime import Array

BATCH = 16
EDGES = 0.5
"""Weight of the differences between neighbouring pixels: it asks for edges, which the eye reads."""


def loss_of(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute error of pixels, plus that of their horizontal and vertical differences."""
    loss = functional.l1_loss(found, wanted)
    for axis in (2, 3):
        loss = loss + EDGES * functional.l1_loss(found.diff(dim=axis), wanted.diff(dim=axis))
    return loss


def train(
    decoder: Decoder,
    features: Array,
    pictures: Array,
    steps: int,
    seed: int,
    rate: float = 2e-3,
    advance: Callable[[], object] = lambda: None,
) -> list[float]:
    """Adam with a short warm-up and a cosine to zero; returns the loss of each step.

    `features` float16 or float32 (N, C, s, s), `pictures` uint8 (N, 3, 112, 112).
    """
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.from_numpy(features), torch.from_numpy(pictures)
    decoder.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
    optimiser = torch.optim.Adam(decoder.parameters(), rate)
    losses: list[float] = []
    order = torch.empty(0, dtype=torch.long)
    for step in range(steps):
        if len(order) < BATCH:
            order = torch.cat([order, torch.randperm(len(x), generator=generator)])
        chosen, order = order[:BATCH], order[BATCH:]
        # The linear map is already good; full steps at once would throw it away.
        share = min((step + 1) / (0.05 * steps + 1), 0.5 + 0.5 * math.cos(math.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = rate * share
        optimiser.zero_grad()
        loss = loss_of(
            decoder(x[chosen].float().contiguous(memory_format=torch.channels_last)), y[chosen].float() / 255
        )
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        optimiser.step()
        losses.append(float(loss.detach()))
        advance()
    decoder.eval()
    return losses


def reconstruct(decoder: Decoder, features: Array) -> list[Array]:
    """Features (N, C, s, s) -> pictures, uint8 (112, 112, 3) each."""
    found: list[Array] = []
    with torch.inference_mode():
        for start in range(0, len(features), BATCH):
            out = decoder(torch.from_numpy(features[start : start + BATCH]).float()).clamp(0, 1) * 255
            found += list(out.round().permute(0, 2, 3, 1).contiguous().numpy().astype(np.uint8))
    return found
