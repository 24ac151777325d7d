"""What a bundle is made from: a network of the zoo, or somebody's own with what they say about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from splitnet.bundle.manifest import Input
from splitnet.models.shipped import ShippedProfile, shipped_profiles
from splitnet.models.zoo import find_network, read_labels

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class SourceTask:
    """A task: name, kind (see `splitnet.tasks`) and its parameters, the network's output, labels for its values."""

    name: str
    kind: str
    output: str
    labels: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceHead:
    """One more head: an ``.onnx`` file with one input and one output that goes on from a tensor of the network.

    `tensor` is a tensor's name, or a cut's. `name` is the task's, and its output's.
    """

    name: str
    path: Path
    tensor: str
    kind: str = "tensor"


@dataclass(frozen=True)
class ImportOptions:
    """What an imported network does not say about itself.

    Attributes
    ----------
    size
        Height and width in pixels, where the network leaves them free.
    any_size
        Where the network leaves them free: `size` is only the nominal one, and every other whose sides are multiples
        of this number of pixels works too.
    layout
        ``nhwc`` where the network takes (N, height, width, 3); the bundle's input is (N, 3, height, width) all the
        same.
    mean, std
        Per channel (or one value for all), in units of 8-bit pixels: the input is (x - mean) / std. The
        defaults give values from 0 to 1.
    resize_short
        Short side in pixels before the centre crop; the crop's own short side when None.
    shape
        Of an input that is no image, without the batch; excludes what is said above about images.
    tasks
        Tasks that replace the default for their output: kind ``tensor``, named for the output.
    heads
        Heads that go on from inside the network. The only option for a network of the zoo.
    """

    size: tuple[int, int] | None = None
    layout: Literal["nchw", "nhwc"] = "nchw"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (255.0,)
    resize_short: int | None = None
    shape: tuple[int, ...] | None = None
    tasks: tuple[SourceTask, ...] = ()
    heads: tuple[SourceHead, ...] = ()
    any_size: int | None = None

    @property
    def about_images(self) -> tuple[str, ...]:
        """What is said about an image: names of the fields that are not at their defaults."""
        fields = ("size", "any_size", "layout", "mean", "std", "resize_short")
        return tuple(name for name in fields if getattr(self, name) != getattr(ImportOptions, name))


@dataclass(frozen=True)
class Source:
    """A network ready to be split; `candidates` are the tensors that may become cuts, or None for all.

    `profiles` are the calibrated profiles that come with the network, by cut.
    """

    name: str
    version: str
    origin: str
    model: onnx.ModelProto
    input: Input
    tasks: tuple[SourceTask, ...]
    candidates: tuple[str, ...] | None
    profiles: Mapping[str, ShippedProfile] = field(default_factory=dict)


def from_zoo(name: str) -> Source:
    """Export a network of the zoo. Raises UsageError for an unknown name, ModelError as the export does."""
    network = find_network(name)
    from splitnet.graph.export import export

    outputs = [task.output for task in network.tasks]
    model = export(
        network.build(),
        network.input.shape,
        input_name=network.input.tensor,
        inner=network.cuts,
        outputs=outputs,
    )
    return Source(
        name=network.name,
        version=network.version,
        origin=f"{network.weights.project} sha256:{network.weights.sha256}",
        model=model,
        input=network.input,
        tasks=tuple(
            SourceTask(task.name, task.kind, task.output, read_labels(task.labels) if task.labels else ())
            for task in network.tasks
        ),
        candidates=network.cuts,
        profiles=shipped_profiles(name),
    )


LONGEST_NAME = 100
"""Characters of a name in a manifest."""


def safe_name(text: str) -> str:
    """`text` in the characters that names in a manifest may have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).lstrip("._-")[:LONGEST_NAME] or "x"


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """`names` made distinct, whatever their case (they become file names), by a number behind the later
    ones.
    """
    taken: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 1
        while candidate.lower() in taken:
            number += 1
            candidate = f"{name[:95]}.{number}"
        taken.add(candidate.lower())
        result.append(candidate)
    return tuple(result)
