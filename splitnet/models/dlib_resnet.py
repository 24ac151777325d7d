"""dlib's residual face embedder (Davis King, 2017; the published network is CC0) in torch, with named tensors.

A ResNet (He et al., *Deep Residual Learning for Image Recognition*, 2015) of 29 convolutions, trained so that the
descriptors of two photos of one person are closer than 0.6. Convolutions of stride 2 have no padding, and a residual
sum is as large as the larger summand in channels, rows and columns: the smaller one is continued with zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from splitnet.errors import ModelError
from splitnet.models.dlib_file import AddSkip, Affine, Convolution, Dense, Layer, Pool, Relu

LayerT = TypeVar("LayerT", bound=Layer)


class ConvAffine(nn.Module):
    """Convolution with the affine layer behind it folded in: w' = w g, b' = b g + s."""

    def __init__(self, layers: _Layers, inputs: int) -> None:
        super().__init__()
        convolution, affine = layers.take(Convolution), layers.take(Affine)
        self.outputs, found, *kernel = convolution.weight.shape
        if (found, affine.gain.size) != (inputs, self.outputs):
            raise layers.error(
                f"has {affine.gain.size} channels and a convolution of {found} to {self.outputs} for {inputs} channels"
            )
        rows, columns = kernel
        self.conv = nn.Conv2d(inputs, self.outputs, (rows, columns), convolution.stride, convolution.padding)
        # In float64, so that folding costs one rounding.
        gain = torch.tensor(affine.gain, dtype=torch.float64)
        bias = torch.tensor(convolution.bias, dtype=torch.float64) * gain + torch.tensor(affine.shift)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor(convolution.weight) * gain[:, None, None, None])
            assert self.conv.bias is not None
            self.conv.bias.copy_(bias)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class Block(nn.Module):
    """Two convolutions plus the input, halved by 2x2 averages where the first convolution halves."""

    def __init__(self, layers: _Layers, inputs: int) -> None:
        super().__init__()
        self.first = ConvAffine(layers, inputs)
        layers.take(Relu)
        self.second = ConvAffine(layers, self.first.outputs)
        self.halved = layers.next_is(Pool)
        if self.halved:
            layers.take_pool("avg", 2)
        layers.take(AddSkip)
        layers.take(Relu)
        self.outputs = max(inputs, self.second.outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(functional.relu(self.first(x)))
        skip = functional.avg_pool2d(x, 2) if self.halved else x
        shape = tuple(max(int(a), int(b)) for a, b in zip(y.shape[1:], skip.shape[1:], strict=True))
        return functional.relu(_grow(y, shape) + _grow(skip, shape))


class DlibResNet(nn.Module):
    """Image (N, 3, side, side), (pixels - mean) / 256 in the order red, green, blue -> named tensors, all float32.

    ``stem``, ``pool``, ``block0`` ... (feature maps), ``pooled`` (N, channels), ``descriptor`` (N, 128), which is
    dlib's own answer, and the output ``embedding``: the descriptor scaled to unit length; a zero vector stays zero.

    Parameters
    ----------
    layers
        As `splitnet.models.dlib_file.read_network` gives them: they decide on widths and on the number of blocks.

    Raises
    ------
    ModelError
        if they are not those of a residual network, or the size of one does not fit the one before it.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        rest = _Layers(layers)
        self.stem = ConvAffine(rest, 3)
        rest.take(Relu)
        rest.take_pool("max", 3)
        blocks: list[Block] = []
        channels = self.stem.outputs
        while not rest.next_is(Pool):
            blocks.append(Block(rest, channels))
            channels = blocks[-1].outputs
        self.blocks = nn.ModuleList(blocks)
        rest.take_pool("avg", 0)
        weight = rest.take(Dense).weight
        if weight.shape[0] != channels:
            raise rest.error(f"takes {weight.shape[0]} inputs, not {channels}")
        rest.end()
        self.dense = nn.Linear(weight.shape[0], weight.shape[1], bias=False)
        with torch.no_grad():
            self.dense.weight.copy_(torch.tensor(weight.T))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return self.resume("image", image)

    def resume(self, name: str, tensor: Tensor) -> dict[str, Tensor]:
        """Go on from the named tensor, or from "image": it and all that follow. Raises KeyError for an unknown name."""
        steps: dict[str, Callable[[Tensor], Tensor]] = {
            "image": lambda x: x,
            "stem": lambda x: functional.relu(self.stem(x)),
            "pool": lambda x: functional.max_pool2d(x, 3, 2),
            **{f"block{index}": block for index, block in enumerate(self.blocks)},
            "pooled": lambda x: x.mean((2, 3)),
            "descriptor": self.dense,
        }
        if name not in steps:
            raise KeyError(name)
        names = list(steps)
        named, x = ({} if name == "image" else {name: tensor}), tensor
        for following in names[names.index(name) + 1 :]:
            x = named[following] = steps[following](x)
        # Not functional.normalize: its expand() asks for the batch size, a second tensor across every cut.
        named["embedding"] = x / x.square().sum(1, keepdim=True).sqrt().clamp_min(1e-12)
        return named


def _grow(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Continue (N, channels, rows, columns) with zeros to the given channels, rows and columns."""
    channels, rows, columns = (wanted - int(have) for wanted, have in zip(shape, x.shape[1:], strict=True))
    return functional.pad(x, (0, columns, 0, rows, 0, channels)) if channels or rows or columns else x


class _Layers:
    """The layers of a file in turn, each asked for by its kind."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers, self._at = layers, 0

    def next_is(self, kind: type[Layer]) -> bool:
        return self._at < len(self._layers) and isinstance(self._layers[self._at], kind)

    def take(self, kind: type[LayerT]) -> LayerT:
        found = self._layers[self._at] if self._at < len(self._layers) else None
        if not isinstance(found, kind):
            is_ = "missing" if found is None else f"of the kind {type(found).__name__}"
            raise ModelError(f"no residual network: layer {self._at} is {is_}, expected {kind.__name__}")
        self._at += 1
        return found

    def take_pool(self, kind: str, kernel: int) -> None:
        """Every pool of this network has a stride of 2, or of 1 over the whole map (kernel 0)."""
        found, expected = self.take(Pool), Pool(kind, kernel, 2 if kernel else 1)
        if found != expected:
            raise self.error(f"is {found}, expected {expected}")

    def end(self) -> None:
        if self._at != len(self._layers):
            raise ModelError(f"no residual network: {len(self._layers) - self._at} layers behind the last")

    def error(self, what: str) -> ModelError:
        """An error about the layer that was taken last."""
        return ModelError(f"no residual network: layer {self._at - 1} {what}")
