"""A profile at one step: which table codes each coefficient, what symbols stand for. Integers only, but for values."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from featcodec._native import kernels
from featcodec.contract import Array
from featcodec.profile_contexts import Contexts

if TYPE_CHECKING:
    from featcodec.profile import TransformProfile

_KEPT = 16  # steps of a profile; one more costs about a millisecond
_UNIT = 80  # log8(1024): the class of step 1


def log8(number: int) -> int:
    """round(8 log2 number), exactly: the k with 2^(2k - 1) <= number^16 < 2^(2k + 1)."""
    return ((number**16).bit_length()) // 2


class ProfileAtStep:
    """A profile and a step: what the array coder gets for the symbols of `transform`. Arrays are read-only."""

    def __init__(self, profile: TransformProfile, step: float) -> None:
        self.profile = profile
        self.shape = profile.symbols_shape
        self.has_contexts = len(profile.context_offsets) > 0
        self.step = np.float32(step)
        shift = log8(max(1, round(step * 1024))) - _UNIT
        self.classes: Array = np.maximum(profile.scales.astype(np.int32) - shift, 0)
        """int32 (P, C): class of the expected magnitude in steps, in 1/8 octaves."""
        top = profile.tables.shape[0] - 1
        self.tables: Array = np.minimum((self.classes + 1) >> 1, top).astype(np.uint8)
        """uint8 (P, C): the order-0 table."""
        magnitudes = np.arange(profile.points.shape[1], dtype=np.float32)
        self.values: Array = (magnitudes + profile.points) * self.step
        """float32 (T, M): the coefficient of each magnitude below M."""
        for array in (self.classes, self.tables, self.values):
            array.flags.writeable = False

    @property
    def fingerprint(self) -> bytes:
        """The profile's."""
        return self.profile.fingerprint

    @cached_property
    def contexts(self) -> Contexts | None:
        """None where the profile has no context terms."""
        return Contexts(self.profile, self.classes, self.tables) if self.has_contexts else None

    @cached_property
    def kernel(self) -> Any:
        """The native coder without contexts; it holds what it needs of the arrays."""
        return self._coder()

    def _coder(self) -> Any:
        coder = kernels.ProfileCoder(self.profile.kernel, self.shape[0], self.tables)
        coder.set_points(self.values, float(self.step))
        return coder

    @cached_property
    def context_kernel(self) -> Any:
        """The native coder with contexts, which there must be."""
        contexts = self.contexts
        assert contexts is not None
        coder = self._coder()
        layout = contexts.layout
        coder.set_contexts(
            layout.patterns,
            layout.back,
            self.profile.context_weights,
            contexts.bias,
            contexts.quiet(),
            contexts.logarithms(),
            contexts.alpha,
        )
        return coder

    def context_tables(self, symbols: Array) -> Array:
        """uint8 (B, P, C): the table of each symbol with contexts."""
        if self.contexts is None:
            return np.broadcast_to(self.tables, symbols.shape).copy()
        return self.contexts.tables_of(symbols)


class StepCache:
    """What is derived from one profile, for the steps used last."""

    def __init__(self, profile: TransformProfile) -> None:
        self._profile = profile
        self._lock = threading.Lock()
        self._steps: OrderedDict[float, ProfileAtStep] = OrderedDict()

    def at(self, step: float) -> ProfileAtStep:
        """The profile at a step."""
        with self._lock:
            found = self._steps.get(step)
            if found is None:
                found = self._steps[step] = ProfileAtStep(self._profile, step)
                if len(self._steps) > _KEPT:
                    self._steps.popitem(last=False)
            else:
                self._steps.move_to_end(step)
            return found
