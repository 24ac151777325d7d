"""The attacker: a small convolutional decoder from a cut's features to the picture."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from splitnet.runtime import Array

SIDE = 112
"""Pixels of a reconstruction's side: half the network's input, to keep training short."""

WIDTHS = {7: 96, 14: 64, 28: 48, 56: 24}
"""Channels by side of the map."""


class Residual(nn.Module):
    """x + two 3x3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.second(functional.relu(self.first(x))))


class Decoder(nn.Module):
    """Features (N, C, s, s), s one of 7, 14, 28, 56 -> picture (N, 3, 112, 112), about 0 to 1, not clipped.

    The sum of a linear map (one 3x3 convolution, then a pixel shuffle) and a convolutional network with sub-pixel
    upsampling (W. Shi et al., *Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network*, 2016), which begins at zero. `solve` finds the linear map in closed form, so that a
    few hundred training steps go a long way.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        if side not in WIDTHS:
            raise ValueError(f"features of side {side}; the decoder is for {', '.join(map(str, WIDTHS))}")
        self.factor = SIDE // side
        self.register_buffer("shift", torch.zeros(1, channels, 1, 1))
        self.register_buffer("scale", torch.ones(1, channels, 1, 1))
        self.linear = nn.Conv2d(channels, 3 * self.factor**2, 3, padding=1)
        width = WIDTHS.get(side, 64) if side < 28 else 64
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 1), Residual(width), Residual(width)]
        while side < SIDE // 2:
            side *= 2
            layers += [nn.Conv2d(width, 4 * WIDTHS[side], 3, padding=1), nn.PixelShuffle(2)]
            width = WIDTHS[side]
            layers.append(nn.ReLU() if side == SIDE // 2 else Residual(width))
        self.last = nn.Conv2d(width, 12, 3, padding=1)
        self.network = nn.Sequential(*layers, self.last, nn.PixelShuffle(2))
        for module in self.network.modules():
            if isinstance(module, nn.Conv2d):
                # Keeps the signal's size from layer to layer; with torch's own it fades, and learning takes long.
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
                _zero(module.bias)
            if isinstance(module, Residual):
                module.second.weight.data.mul_(0.3)
        nn.init.zeros_(self.last.weight)

    def forward(self, features: Tensor) -> Tensor:
        x = (features - self.shift) * self.scale
        return functional.pixel_shuffle(self.linear(x), self.factor) + cast(Tensor, self.network(x))

    @torch.no_grad()
    def solve(self, features: Array, pictures: Array, ridge: float = 1e-3, batch: int = 16) -> None:
        """Standardise by these features, and set the linear map to the ridge regression of pictures on them.

        `features` (N, C, s, s) of any float type, `pictures` uint8 (N, 3, 112, 112). The ridge is a share of the mean
        eigenvalue.
        """
        known, wanted = torch.from_numpy(features), torch.from_numpy(pictures)
        sample = known[:: max(1, len(known) // 200)].float()
        self.shift.copy_(sample.mean((0, 2, 3), keepdim=True))
        self.scale.copy_(1 / sample.std((0, 2, 3), keepdim=True).clamp_min(1e-6))
        taps = self.linear.in_channels * 9 + 1
        gram = torch.zeros(taps, taps, dtype=torch.float64)
        cross = torch.zeros(taps, self.linear.out_channels, dtype=torch.float64)
        for start in range(0, len(known), batch):
            x = (known[start : start + batch].float() - self.shift) * self.scale
            columns = functional.unfold(x, 3, padding=1).transpose(1, 2).reshape(-1, taps - 1)
            columns = torch.cat([columns, torch.ones(len(columns), 1)], 1)
            target = functional.pixel_unshuffle(wanted[start : start + batch].float() / 255, self.factor)
            gram += columns.T @ columns  # float32 products of a batch, summed in float64
            cross += columns.T @ target.permute(0, 2, 3, 1).reshape(len(columns), -1)
        loaded = torch.full((taps,), ridge * float(gram.diagonal().mean()), dtype=torch.float64)
        loaded[-1] = 0  # brightness as such is not shrunk
        found = torch.linalg.solve(gram + torch.diag(loaded), cross).float()
        self.linear.weight.copy_(found[:-1].T.reshape(self.linear.weight.shape))
        assert self.linear.bias is not None
        self.linear.bias.copy_(found[-1])


def _zero(bias: Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)
