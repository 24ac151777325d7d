"""The largest and the smallest values of an output."""

import numpy as np
from pydantic import Field

from splitnet.tasks import Custom, Kind

NOTHING = None


class Extremes(Kind):
    """The `count` smallest and largest values, and where they are."""

    count: int = Field(default=1, ge=1)

    def result(self, output, setting, top_k):
        order = np.argsort(output, axis=None)
        flat = output.reshape(-1)[order]
        data = {"smallest_at": order[: self.count].tolist(), "largest_at": order[-self.count :].tolist()}
        return Custom("extremes", data, {"smallest": flat[: self.count], "largest": flat[-self.count :]})
