"""What `ctx` adapts from symbol to symbol; the reference of _native/ctx_adaptive.h and ctx_mixer.h."""

from __future__ import annotations

from featcodec.array_coders.ctx_tables import RATE, SQUASH, STRETCH


class Mean:
    """A mean of `count` values, which moves toward one more at a time."""

    def __init__(self, value: int, count: int, limit: int) -> None:
        self.value, self._count, self._limit = value, count, limit

    def update(self, target: int) -> None:
        """Move toward `target`, more slowly each time until the limit."""
        self.value += ((target - self.value) * RATE[self._count]) >> 16
        self._count += self._count < self._limit


class Bit(Mean):
    """The probability that a flag is 1, 16 bits."""

    def __init__(self) -> None:
        super().__init__(32768, 2, 90)

    def stretched(self) -> int:
        """256 log2(p / (1 - p))."""
        return STRETCH[self.value >> 4]


def squashed(i: int) -> int:
    """The probability (16 bits) that is stretched to `i`."""
    return SQUASH[max(-4096, min(4096, i)) + 4096]


class Mixer:
    """Logistic mixing of three probabilities, with learned weights (Q14, 16 bits)."""

    _ONE, _FIRST = 14, 6827  # bits of the weight 1; what a weight begins as

    def __init__(self) -> None:
        self._weight = [self._FIRST] * 3

    def mix(self, inputs: list[int]) -> int:
        """The probability of a 1, from stretched ones."""
        return squashed(sum(w * i for w, i in zip(self._weight, inputs, strict=True)) >> self._ONE)

    def update(self, inputs: list[int], p: int, one: bool) -> None:
        """Learn from what came."""
        error = (65535 if one else 0) - p
        for i, value in enumerate(inputs):
            self._weight[i] = self._moved(self._weight[i], value, error)

    def _moved(self, weight: int, value: int, error: int) -> int:
        return max(-32768, min(32767, weight + ((((value * (error >> 1)) >> 16) + 1) >> 1)))


class WideMixer(Mixer):
    """That of mode 3: Q16, 18 bits."""

    _ONE, _FIRST = 16, 27307
    _MOST = 131072  # so that a mixture fits 32 bits in the kernel

    def _moved(self, weight: int, value: int, error: int) -> int:
        return max(-self._MOST, min(self._MOST, weight + ((value * error + 32768) >> 16)))
