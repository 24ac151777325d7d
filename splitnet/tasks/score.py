"""One number and what it means."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from splitnet.errors import ModelError
from splitnet.tasks.contract import Kind, Setting
from splitnet.tasks.results import FloatArray, Score

Number = Annotated[float, Field(allow_inf_nan=False)]


class ScoreKind(Kind):
    """A head of one value; `verdicts[i]` holds from the i-th threshold on, the first one below all of them.

    With `activation="sigmoid"` the value is 1 / (1 + exp(-x)), and thresholds are probabilities.
    """

    thresholds: tuple[Number, ...] = (0.5,)
    verdicts: tuple[str, ...] = ("no", "yes")
    activation: Literal["none", "sigmoid"] = "none"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if any(low >= high for low, high in pairwise(self.thresholds)):
            raise ValueError("thresholds must rise")
        if len(self.verdicts) != len(self.thresholds) + 1:
            raise ValueError(f"{len(self.thresholds)} thresholds need {len(self.thresholds) + 1} verdicts")
        return self

    def result(self, output: FloatArray, setting: Setting, top_k: int) -> Score:
        if output.size != 1:
            raise ModelError(f"a score is one value; the head's output is {output.shape}")
        value = float(output.reshape(-1)[0])
        if self.activation == "sigmoid":
            # The half of the formula that cannot overflow.
            value = 1 / (1 + math.exp(-value)) if value >= 0 else 1 - 1 / (1 + math.exp(max(value, -700.0)))
        value = float(np.float32(value))
        return Score(value, self.verdicts[bisect_right(self.thresholds, value)])
