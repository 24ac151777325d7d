"""What devices send: real photos through the real edge half, serialised once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from splitnet.bundle import Bundle
from splitnet.demo.photos import labelled_photos
from splitnet.edge.encoder import EdgeEncoder
from splitnet.errors import UsageError
from splitnet.v1 import inference_pb2 as pb


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of request; no codec: the cut's default, no tasks: all of them. `weight` is relative to other kinds."""

    cut: str
    codec: str = ""
    tasks: tuple[str, ...] = ()
    weight: float = 1.0


def parse_mix(text: str) -> tuple[Kind, ...]:
    """`CUT[:CODEC][@TASK+TASK][*WEIGHT]` with semicolons between them. Raises UsageError.

    >>> parse_mix("block7*3;block4:affine:bits=8|zlib@embedding")
    (Kind(cut='block7', codec='', tasks=(), weight=3.0), Kind(cut='block4', codec='affine:bits=8|zlib', \
tasks=('embedding',), weight=1.0))
    """
    kinds = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        rest, _, weight = part.rpartition("*") if "*" in part else (part, "", "1")
        body, _, tasks = rest.partition("@")
        cut, _, codec = body.partition(":")
        try:
            kinds.append(Kind(cut, codec, tuple(filter(None, tasks.split("+"))), float(weight)))
        except ValueError:
            raise UsageError(f"--mix {part!r}: {weight!r} is no weight; write for example block7*3") from None
    if not kinds or any(kind.weight <= 0 for kind in kinds):
        raise UsageError(f"--mix {text!r} names nothing to send; write for example 'block7*3;block4'")
    return tuple(kinds)


class Requests:
    """Requests of several kinds over the demo's photos, in an order that the seed decides.

    Raises
    ------
    UsageError
        for an unknown cut, codec or task.
    """

    def __init__(self, bundle: Bundle, kinds: Sequence[Kind], seed: int = 0, photos: int = 20) -> None:
        self._random = random.Random(seed)
        self._weights = [kind.weight for kind in kinds]
        self._messages: list[list[pb.InferRequest]] = []
        for kind in kinds:
            for task in kind.tasks:
                bundle.task(task)
            encoder = EdgeEncoder(bundle, kind.cut, kind.codec or None, threads=2)
            self._messages.append(
                [
                    pb.InferRequest(
                        model=bundle.manifest.name,
                        fingerprint=bytes.fromhex(bundle.fingerprint),
                        cut=encoder.cut.name,
                        frame=encoder.encode(photo.path).frame,
                        tasks=kind.tasks,
                    )
                    for photo in labelled_photos()[:photos]
                ]
            )

    def draw(self) -> pb.InferRequest:
        """The next request; do not change it."""
        return self._random.choice(self._random.choices(self._messages, self._weights)[0])

    @property
    def mean_bytes(self) -> float:
        """Bytes of a request, mean over the mix."""
        means = [sum(one.ByteSize() for one in kind) / len(kind) for kind in self._messages]
        return sum(mean * weight for mean, weight in zip(means, self._weights, strict=True)) / sum(self._weights)
