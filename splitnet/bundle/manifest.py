"""The manifest of a bundle: `bundle.json`, its schema and its fingerprint.

A bundle is the unit of deployment: edge and cloud load the same directory, every request carries its
fingerprint. All paths are relative POSIX paths inside the bundle; shapes leave the batch dimension out.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from splitnet.errors import UsageError

FORMAT: Final = 1
"""Version of the manifest's schema."""

MANIFEST: Final = "bundle.json"
"""Its file in the bundle's directory."""

MOST_MULTIPLE: Final = 1024
"""The largest step in which an image's sides may grow, in pixels."""


def _relative(path: str) -> str:
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path or str(pure) != path:
        raise ValueError(f"{path!r} is not a plain relative path")
    return path


RelativePath = Annotated[str, AfterValidator(_relative)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Mean = Annotated[float, Field(allow_inf_nan=False)]
Std = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """Base of every part of the manifest: immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class File(Part):
    """One file of the bundle."""

    path: RelativePath
    size: int = Field(ge=0)
    sha256: Sha256


class ImageInput(Part):
    """How a photo becomes the network's input: resize the short side, crop the centre, (x - mean) / std.

    Where height and width differ, the photo is resized to just cover the crop enlarged by resize_short /
    min(height, width), which for a square crop is the same as resizing the short side to `resize_short`.

    `mean` and `std` are per channel (RGB) in units of 8-bit pixel values; the tensor is float32, (N, 3,
    height, width).

    Where `multiple` is not 0, height and width are those that a photo gets unless asked otherwise, and the network
    takes every size whose sides are multiples of it, see `splitnet.bundle.sizes`.
    """

    kind: Literal["image"] = "image"
    tensor: str
    height: int = Field(gt=0, le=8192)
    width: int = Field(gt=0, le=8192)
    resize_short: int = Field(gt=0, le=8192)
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    mean: tuple[Mean, Mean, Mean]
    std: tuple[Std, Std, Std]
    multiple: int = Field(default=0, ge=0, le=MOST_MULTIPLE)

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # So that a bundle from before there were free sizes keeps its fingerprint.
        fields: dict[str, Any] = handler(self)
        if not self.multiple:
            del fields["multiple"]
        return fields

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.resize_short < min(self.height, self.width):
            raise ValueError(f"resize_short {self.resize_short} is smaller than the crop {self.height}x{self.width}")
        if self.multiple and (self.height % self.multiple or self.width % self.multiple):
            raise ValueError(f"the sides of {self.height}x{self.width} are no multiples of {self.multiple}")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the input tensor without the batch dimension."""
        return (3, self.height, self.width)


class TensorInput(Part):
    """Any other input: float32 values as they are, `shape` without the batch dimension."""

    kind: Literal["tensor"] = "tensor"
    tensor: str
    shape: tuple[Annotated[int, Field(ge=1, lt=1 << 31)], ...]


Input = Annotated[ImageInput | TensorInput, Field(discriminator="kind")]
"""What a network takes."""


class Transform(Part):
    """A calibrated transform for one cut: its profile, and the two graphs with the transform inside.

    `edge` and `cloud` name ONNX graphs that begin and end as the cut's plain ones do, but exchange symbols and
    coefficients, see `splitnet.graph.transform`. `curve` is a JSON file of bytes and fidelity by step, or None.
    `step` is the step to use where nobody asks for another, in units of the features' standard deviation.
    """

    profile: RelativePath
    edge: RelativePath
    cloud: RelativePath
    curve: RelativePath | None = None
    step: float = Field(gt=0, allow_inf_nan=False)

    @property
    def paths(self) -> tuple[str, ...]:
        """Its files."""
        return tuple(path for path in (self.profile, self.edge, self.cloud, self.curve) if path is not None)


class Crossing(Part):
    """A tensor that crosses from edge to cloud; its shape has no batch dimension.

    `free` are the axes of `shape` whose length follows the image's size; `shape` is that of the nominal size.
    """

    tensor: str
    shape: tuple[Annotated[int, Field(ge=1, lt=1 << 31)], ...]
    dtype: Literal["float32", "float16"] = "float32"
    free: tuple[Annotated[int, Field(ge=0)], ...] = ()

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        if not self.free:
            del fields["free"]
        return fields

    @model_validator(mode="after")
    def _free_axes_exist(self) -> Self:
        if list(self.free) != sorted({axis for axis in self.free if axis < len(self.shape)}):
            raise ValueError(f"{self.tensor!r} of {len(self.shape)} axes has the free axes {list(self.free)}")
        return self

    @property
    def values(self) -> int:
        """Number of values for one input."""
        return math.prod(self.shape)


class Cut(Crossing):
    """A place where a tensor crosses from edge to cloud: alone, or with `more`, of which it is the one computed last.

    `edge` and `cloud` name the two ONNX graphs, or are None for a cut that was found but not built.
    `macs_before` and `macs_after` count multiply-adds for one input. `transform` is there where the cut was calibrated.
    `precision` is what the edge graph computes in; what crosses is `dtype` all the same.
    """

    name: Name
    macs_before: int = Field(ge=0, lt=1 << 63)
    macs_after: int = Field(ge=0, lt=1 << 63)
    edge: RelativePath | None = None
    cloud: RelativePath | None = None
    transform: Transform | None = None
    precision: Literal["float32", "int8", "float16"] = "float32"
    more: tuple[Crossing, ...] = ()

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # So that a bundle from before there were transforms, precisions, more tensors, free axes keeps its fingerprint.
        fields: dict[str, Any] = handler(self)
        if not self.free:
            del fields["free"]
        if self.transform is None:
            del fields["transform"]
        if self.precision == "float32":
            del fields["precision"]
        if not self.more:
            del fields["more"]
        return fields

    @property
    def crossing(self) -> tuple[Crossing, ...]:
        """All tensors in the order in which frames carry them, this one first."""
        return (self, *self.more)

    @property
    def values(self) -> int:
        """Number of values that cross for one input, in all tensors."""
        return sum(math.prod(one.shape) for one in self.crossing)

    @property
    def float_bytes(self) -> int:
        """Bytes that cross for one input without any codec."""
        return sum(math.prod(one.shape) * (2 if one.dtype == "float16" else 4) for one in self.crossing)


class Task(Part):
    """A question that the cloud answers from the shared features.

    `head` is an ONNX graph from `input` (an output of every cloud graph, with a batch dimension) to
    `output`, or None where the cloud graph computes `output` itself. `kind` chooses the post-processor in
    `splitnet.tasks`, `parameters` are that post-processor's.
    """

    name: Name
    kind: Name
    input: str
    output: str
    head: RelativePath | None = None
    labels: RelativePath | None = None
    parameters: dict[str, JsonValue] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _without_absent_parameters(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # So that a bundle from before there were parameters keeps its fingerprint.
        fields: dict[str, Any] = handler(self)
        if not self.parameters:
            del fields["parameters"]
        return fields


class Manifest(Part):
    """Everything that `bundle.json` says."""

    format: Literal[1] = FORMAT
    name: Name
    version: Name
    source: str
    input: Input
    whole: RelativePath
    cuts: tuple[Cut, ...] = Field(min_length=1)
    tasks: tuple[Task, ...] = Field(min_length=1)
    files: tuple[File, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind, names in (
            ("cut", [cut.name for cut in self.cuts]),
            ("task", [task.name for task in self.tasks]),
            ("file", [file.path for file in self.files]),
        ):
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise ValueError(f"{kind} {repeated[0]!r} is listed more than once")
        listed = {file.path for file in self.files}
        if MANIFEST in listed:
            raise ValueError(f"{MANIFEST} lists itself")
        used = {self.whole, *(task.head for task in self.tasks), *(task.labels for task in self.tasks)}
        used |= {path for cut in self.cuts for path in (cut.edge, cut.cloud)}
        used |= {path for cut in self.cuts if cut.transform is not None for path in cut.transform.paths}
        missing = sorted(path for path in used if path is not None and path not in listed)
        if missing:
            raise ValueError(f"{missing[0]!r} is used but not listed under files")
        if any((cut.edge is None) != (cut.cloud is None) for cut in self.cuts):
            raise ValueError("a cut needs both its edge and its cloud graph, or neither")
        if not self.built_cuts:
            raise ValueError("no cut has its graphs")
        if any(cut.transform is not None and cut.edge is None for cut in self.cuts):
            raise ValueError("a cut with a transform needs its plain graphs too")
        for cut in self.cuts:
            if len({one.tensor for one in cut.crossing}) != len(cut.crossing):
                raise ValueError(f"cut {cut.name!r} lists a tensor more than once")
            if cut.more and cut.transform is not None:
                raise ValueError(f"cut {cut.name!r} has several tensors; a transform is for one")
            if any(one.free for one in cut.crossing) and not (self.input.kind == "image" and self.input.multiple):
                raise ValueError(f"cut {cut.name!r} has free axes, but the input's size is fixed")
        return self

    @property
    def built_cuts(self) -> tuple[Cut, ...]:
        """The cuts whose graphs are in the bundle, from the input to the output."""
        return tuple(cut for cut in self.cuts if cut.edge is not None)

    def is_input(self, cut: Cut) -> bool:
        """Whether nothing runs before this cut: what crosses is the input itself, or an image file of it."""
        return cut.tensor == self.input.tensor

    @property
    def image_input(self) -> ImageInput:
        """The input where it is an image. Raises UsageError for any other."""
        if isinstance(self.input, TensorInput):
            raise UsageError(f"{self.name} takes float32 {self.input.shape}, no images; give a bundle that does")
        return self.input

    @property
    def calibrated_cuts(self) -> tuple[Cut, ...]:
        """The cuts that have a transform, from the input to the output."""
        return tuple(cut for cut in self.cuts if cut.transform is not None)

    @property
    def edge_files(self) -> tuple[File, ...]:
        """The files that a device needs: all but the unsplit network, the cloud graphs and the heads."""
        cloud = {self.whole, *(task.head for task in self.tasks), *(cut.cloud for cut in self.cuts)}
        cloud |= {cut.transform.cloud for cut in self.cuts if cut.transform is not None}
        # A graph that serves both halves stays.
        edge = {cut.edge for cut in self.cuts}
        return tuple(file for file in self.files if file.path not in cloud or file.path in edge)

    def canonical(self) -> bytes:
        """The manifest as canonical JSON: sorted keys, no blanks, ASCII, no trailing newline."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True
        ).encode("ascii")

    def fingerprint(self) -> str:
        """SHA-256 of the canonical manifest, 64 hexadecimal digits."""
        return hashlib.sha256(self.canonical()).hexdigest()
