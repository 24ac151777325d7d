"""What a kind of task is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from splitnet.tasks.results import FloatArray, Result


@dataclass(frozen=True, slots=True)
class Setting:
    """What a post-processor may need beside the output: labels, and the network's input in pixels (0: unknown)."""

    labels: Sequence[str] = ()
    height: int = 0
    width: int = 0


class Kind(BaseModel):
    """A kind of task: its fields are the parameters that a bundle's task may declare, `result` is its post-processor.

    Subclasses are small and pure: they are called once for each request and head, from several threads. Defaults make
    parameters optional; unknown ones are errors. `needs_image` says that results are places in an image, so that no
    network with another input can have such a task.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    needs_image: ClassVar[bool] = False

    def result(self, output: FloatArray, setting: Setting, top_k: int) -> Result:
        """A head's output for one input, finite, without batch dimension -> a result.

        `top_k` is what the request asks for; 0 where it does not say. It is called once with zeros when a bundle is
        loaded, and must raise ModelError for an output of a shape that it does not take.
        """
        raise NotImplementedError
