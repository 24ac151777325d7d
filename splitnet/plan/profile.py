"""What `splitnet profile` measured: a JSON file with an edge half, a cloud half, or both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from splitnet.errors import UsageError
from splitnet.files import write_whole

FORMAT: Final = 1
"""Version of the schema."""

MAX_BYTES = 16 << 20
"""Largest file that is read."""

Half = Literal["edge", "cloud"]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Bytes = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """Base of every part: immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Times(Part):
    """Of one call, warm; `joules` is its mean energy, processor package and all that ran on it, None: not readable."""

    median_ms: Milliseconds
    p95_ms: Milliseconds
    joules: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Threaded(Part):
    """A graph on one thread, and on as many as the half's `threads`."""

    one: Times
    many: Times


class Machine(Part):
    """What was measured on; says nothing about whose it is."""

    processor: str
    cores: int = Field(ge=1)
    system: str
    python: str
    packages: dict[str, str]


class Photos(Part):
    """What was measured with; frames of `random` pictures do not have the sizes that photos have."""

    count: int = Field(ge=1)
    kind: Literal["photos", "random"]


class Sent(Part):
    """One codec, or image format, on the device: seconds to encode, and mean bytes of a whole frame or file.

    `codec` is a spec of featcodec, or FORMAT:quality=Q for an image.
    """

    codec: str
    encode: Times
    bytes: Bytes


class Fidelity(Part):
    """What a codec costs the answers, the worst of all classifications: means over `photos`.

    `curve` comes from the bundle (photos that its profile never saw), and then `bytes` are the curve's; `measured` is
    from the photos of this profile, and `bytes` is None.
    """

    agreement: Share | None = None
    kl: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    bytes: Bytes | None = None
    photos: int = Field(ge=1)
    source: Literal["curve", "measured"]


class Received(Part):
    """One codec, or image format, in the cloud; an image's decoding ends with the network's input."""

    codec: str
    decode: Times
    fidelity: Fidelity | None = None


class Whole(Part):
    """The unsplit network, and the tasks that it answers."""

    graph: Threaded
    tasks: tuple[str, ...]


class EdgeCut(Part):
    """First layers up to features, and (calibrated cuts) up to symbols; codecs of the latter are `transform` ones."""

    name: str
    plain: Threaded
    transform: Threaded | None = None
    codecs: tuple[Sent, ...]


class CloudCut(Part):
    """From features, and from coefficients, to results with all heads."""

    name: str
    plain: Threaded
    transform: Threaded | None = None
    codecs: tuple[Received, ...]


class Measured(Part):
    """What both halves say about how they were measured; `threads` is what `many` means."""

    machine: Machine
    threads: int = Field(ge=1)
    repeats: int = Field(ge=1)
    photos: Photos


class EdgeHalf(Measured):
    """All times are `slowdown` times those measured, for a device emulated so much slower; energy is left out then.

    `prepare` is from a photo's file to the pixels of the crop (None where there were no files), `normalise` from there
    to the network's input.
    """

    slowdown: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    prepare: Times | None = None
    normalise: Times
    cuts: tuple[EdgeCut, ...]
    images: tuple[Sent, ...]
    whole: Whole | None = None


class CloudHalf(Measured):
    """`answers` are the bytes of each task's result in the answer's message."""

    answers: dict[str, Bytes]
    cuts: tuple[CloudCut, ...]
    images: tuple[Received, ...]
    whole: Whole


class Profile(Part):
    """One file. `fingerprint` is that of the bundle."""

    format: Literal[1] = FORMAT
    network: str
    version: str
    fingerprint: Sha256
    edge: EdgeHalf | None = None
    cloud: CloudHalf | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.edge is None and self.cloud is None:
            raise ValueError("neither an edge half nor a cloud half")
        return self


def read_profile(path: Path, half: Half) -> Profile:
    """Read and check a file that must hold `half`. Raises UsageError: one line that names the file."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read the profile {path}: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path} is over {MAX_BYTES >> 20} MiB: no profile is")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON; make a profile with `splitnet profile`") from error
    if not isinstance(content, dict) or "format" not in content or "fingerprint" not in content:
        raise UsageError(f"{path} is no profile; make one with `splitnet profile`")
    if content["format"] != FORMAT:
        raise UsageError(f"{path} has format {content['format']!r}; this splitnet reads {FORMAT}: profile again")
    try:
        found = Profile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path} is damaged at {place or 'its top'}: {first['msg']}; profile again") from error
    if getattr(found, half) is None:
        raise UsageError(f"{path} holds no {half} half; run `splitnet profile BUNDLE --half {half}`")
    return found


def merge(edge: Profile, cloud: Profile) -> Profile:
    """The edge half of one profile and the cloud half of another.

    Raises UsageError, naming both fingerprints, if they are of different bundles.
    """
    if edge.fingerprint != cloud.fingerprint:
        raise UsageError(
            f"the edge profile is of bundle {edge.fingerprint}, the cloud profile of {cloud.fingerprint}; "
            "profile the same bundle on both"
        )
    return edge.model_copy(update={"cloud": cloud.cloud})


def check_bundle(profile: Profile, fingerprint: str, what: str) -> None:
    """Raise UsageError, naming both fingerprints, if `profile` (called `what`) is of another bundle."""
    if profile.fingerprint != fingerprint:
        raise UsageError(f"{what} is of bundle {profile.fingerprint}, not of this one, {fingerprint}; profile again")


def write_profile(path: Path, profile: Profile) -> None:
    """Write it whole or not at all. Raises OutputError."""
    data = profile.model_dump_json(indent=1).encode() + b"\n"
    write_whole(path, lambda stream: stream.write(data), folders=True)
